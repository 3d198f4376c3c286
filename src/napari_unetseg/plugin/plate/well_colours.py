"""In which colour a well is drawn: by its status, or by its number of objects."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.utils.colormaps import ensure_colormap
from qtpy.QtGui import QColor

from napari_unetseg.batch.events import Status
from napari_unetseg.plugin.plate.plate_facts import WellFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.utils.theme import Theme

ColourBy = Literal["status", "objects"]

_SCALE = "viridis"


@dataclass(frozen=True)
class WellColours:
    """Colours of a theme of napari.

    Attributes
    ----------
    background, line, text, chosen
        Behind the wells, round them, of words and round those that are chosen.
    statuses
        Of a well by where it stands.
    """

    background: QColor
    line: QColor
    text: QColor
    chosen: QColor
    statuses: dict[Status, QColor]

    @classmethod
    def of(cls, theme: "Theme") -> "WellColours":
        """Take the colours of a theme."""
        done = QColor(theme.current.as_hex())
        return cls(
            background=QColor(theme.background.as_hex()),
            line=QColor(theme.highlight.as_hex()),
            text=QColor(theme.text.as_hex()),
            chosen=QColor(theme.text.as_hex()),
            statuses={
                "waiting": QColor(theme.primary.as_hex()),
                "running": QColor(theme.warning.as_hex()),
                "done": done,
                "skipped": done,
                "failed": QColor(theme.error.as_hex()),
            },
        )


@dataclass(frozen=True)
class CountScale:
    """Which numbers of objects are the darkest and the brightest of the scale.

    Attributes
    ----------
    low, high
        Objects a field.
    """

    low: float
    high: float

    @classmethod
    def of(cls, wells: "Sequence[WellFacts]") -> "CountScale | None":
        """Return the scale of all wells of which some field is done; None while there is none."""
        counts = [count for well in wells if (count := well.objects_a_field) is not None]
        return cls(min(counts), max(counts)) if counts else None

    def colour(self, count: float) -> QColor:
        """Return the colour of a number of objects."""
        share = (count - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return scale_colour(share)


def scale_colour(share: float) -> QColor:
    """Return the colour at a share of the scale, 0 to 1."""
    red, green, blue = ensure_colormap(_SCALE).map(np.array([share]))[0, :3]
    return QColor.fromRgbF(float(red), float(green), float(blue))


def readable_on(colour: QColor) -> QColor:
    """Return black or white, whichever stands out more."""
    brightness = 0.299 * colour.red() + 0.587 * colour.green() + 0.114 * colour.blue()  # as ITU-R BT.601 weighs them
    return QColor("black") if brightness > 127 else QColor("white")
