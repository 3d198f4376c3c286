"""Drawings as SVG files that read well on light and on dark pages, without a library.

A sheet has a ground of its own whose colours follow the reader's system, and holds pictures pixel by pixel, lines and
words. Its bytes follow from what is drawn alone, so that a drawing that did not change makes no difference in git.
"""

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from napari_unetseg.postprocessing.contours import trace_contours

Pixels = NDArray[np.uint8]
"""Grey (Y, X) or colours (Y, X, 3)."""

OBJECT_COLOURS = np.array(
    [(0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66)],
    np.uint8,
)
"""Told apart by most colour-blind people, too: M. Okabe and K. Ito, Color Universal Design (2008)."""

_RAMP = np.array([(13, 17, 43), (28, 74, 110), (26, 138, 133), (122, 192, 110), (250, 232, 120)], float)
"""From 0 to 1: darker is less, in grey as well."""

_STYLE = """
text{font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#1f2933;font-size:13px}
.head{font-weight:600;font-size:14px}.ground{fill:#f7f8f9}
.line{fill:none;stroke:#1f2933;stroke-width:1.2}.dash{fill:none;stroke:#1f2933;stroke-dasharray:4 3}
.mark{fill:none;stroke:#e8590c;stroke-width:2}.mark-dash{fill:none;stroke:#e8590c;stroke-width:1.5;stroke-dasharray:5 3}
.teal{fill:none;stroke:#0b9384;stroke-width:2}.blue{fill:none;stroke:#2b7fc4;stroke-width:2}
.white{fill:none;stroke:#fff;stroke-width:1.2}.shade{fill:#0b9384;fill-opacity:.28;stroke:none}
.dot{fill:#e8590c;stroke:#fff;stroke-width:1}
@media (prefers-color-scheme:dark){text{fill:#e4e7eb}.ground{fill:#1c2027}.line,.dash{stroke:#e4e7eb}}
"""


class Sheet:
    """A drawing in the making.

    Parameters
    ----------
    width, height
        In pixels of the page.
    says
        What the drawing shows, for readers who do not see it.
    """

    def __init__(self, width: int, height: int, says: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img"><title>{escape(says)}</title><style>{_STYLE}</style>',
            f'<rect class="ground" width="{width}" height="{height}" rx="6"/>',
        ]

    def words(self, x: float, y: float, text: str, *, head: bool = False, anchor: str = "start") -> None:
        """Write a line that begins, ends or has its middle at x."""
        kind = ' class="head"' if head else ""
        self._parts.append(f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')

    def picture(self, pixels: Pixels, x: float, y: float, scale: float = 1) -> None:
        """Draw pixels as squares of so many pixels of the page."""
        held = io.BytesIO()
        picture = PillowImage.fromarray(pixels)
        if picture.mode == "RGB":
            picture = picture.quantize(256, PillowImage.Quantize.MEDIANCUT, dither=PillowImage.Dither.NONE)
        picture.save(held, "PNG", optimize=True)
        data = base64.b64encode(held.getvalue()).decode("ascii")
        height, width = (side * scale for side in pixels.shape[:2])
        look = ' style="image-rendering:pixelated"' if scale > 1 else ""
        self._parts.append(
            f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none"{look} '
            f'href="data:image/png;base64,{data}"/>'
        )

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle."""
        self._parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>')

    def lines(self, points: NDArray[np.floating] | list[tuple[float, float]], kind: str) -> None:
        """Draw a line through points (x, y)."""
        places = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
        self._parts.append(f'<polyline class="{kind}" points="{places}"/>')

    def dot(self, x: float, y: float, radius: float = 3) -> None:
        """Draw a disc."""
        self._parts.append(f'<circle class="dot" cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}"/>')

    def outlines(self, labels: NDArray[np.integer], x: float, y: float, scale: float, kind: str = "white") -> None:
        """Draw the outlines of objects (Y, X) over a picture of them at the same place."""
        rings = [ring for contour in trace_contours(labels) for ring in (contour.exterior, *contour.holes)]
        steps = (
            "M" + "L".join(f"{x + (at[1] + 0.5) * scale:.6g} {y + (at[0] + 0.5) * scale:.6g}" for at in ring) + "Z"
            for ring in rings
        )
        self._parts.append(f'<path class="{kind}" d="{"".join(steps)}"/>')

    def save(self, path: Path) -> None:
        """Write the file."""
        path.write_text("\n".join([*self._parts, "</svg>\n"]), encoding="utf-8", newline="\n")


def grey(values: NDArray[np.floating | np.integer], low: float, high: float) -> Pixels:
    """Return values as grey, black at `low` and white at `high`."""
    return (((values - low) / (high - low)).clip(0, 1) * 255).round().astype(np.uint8)


def ramp(values: NDArray[np.floating]) -> Pixels:
    """Return values from 0 to 1 as colours, of which there are 64."""
    values = (values * 63).round() / 63
    steps = np.linspace(0, 1, len(_RAMP))
    channels = [np.interp(values, steps, channel) for channel in _RAMP.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def coloured(labels: NDArray[np.integer], over: Pixels, share: float = 0.6) -> Pixels:
    """Return a grey picture in which objects have colours, neighbours in number different ones."""
    picture = np.repeat(over[..., np.newaxis], 3, axis=-1) if over.ndim == 2 else over
    colours = OBJECT_COLOURS[(labels - 1) % len(OBJECT_COLOURS)]
    mixed = picture * (1 - share) + colours * share
    return np.where((labels > 0)[..., np.newaxis], mixed, picture).round().astype(np.uint8)
