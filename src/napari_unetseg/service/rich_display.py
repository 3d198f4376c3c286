"""A segmentation as HTML, for notebooks without a viewer."""

import base64
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import imageio.v3 as imageio
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean

from napari_unetseg.image import Image
from napari_unetseg.io.overlay import draw_overlay
from napari_unetseg.postprocessing.stacks import middle_plane

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation

MAX_SIDE = 400
"""Most pixels along a side of the picture."""

ROWS = 5
"""Rows of the table that are shown."""

_COLUMNS = (
    "label",
    "t",
    "z",
    "area",
    "equivalent_diameter",
    "eccentricity",
    "solidity",
    "mean_intensity",
    "confidence",
)


def as_html(segmentation: "Segmentation") -> str:
    """Describe a segmentation: how it was made, its outlines over the image, and the first rows of its table.

    Of a stack the plane in its middle is drawn.

    Returns
    -------
    str
        One element that needs nothing from elsewhere.
    """
    provenance = segmentation.provenance
    count = segmentation.count
    head = (
        f"<strong>{count:,} object{'' if count == 1 else 's'}</strong> in {escape(segmentation.image.name)}<br>"
        f"<small>{escape(provenance.model)} · {escape(provenance.device)} · {escape(provenance.precision)} · "
        f"{provenance.seconds:.1f} s</small>"
    )
    remarks = "".join(f"<br><small>⚠ {escape(warning)}</small>" for warning in segmentation.warnings)
    return (
        '<div style="display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start">'
        f"<figure style='margin: 0'>{_picture(segmentation)}</figure>"
        f"<div>{head}{remarks}{_table(segmentation)}</div></div>"
    )


def thumbnail(segmentation: "Segmentation") -> NDArray[np.uint8]:
    """Draw the outlines over the image, made smaller until it has at most `MAX_SIDE` pixels a side.

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue.
    """
    index = middle_plane(segmentation.labels.shape[:-2])
    return small_overlay(segmentation.image.plane(index), segmentation.labels[index], MAX_SIDE)


def small_overlay(image: Image, labels: NDArray[np.int32], max_side: int) -> NDArray[np.uint8]:
    """Draw outlines, a pixel wide, over an image that is made smaller until it has at most so many pixels a side.

    Parameters
    ----------
    image
        One plane.
    labels
        (Y, X), of the same shape.
    max_side
        In pixels.

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue.
    """
    factor = -(-max(labels.shape) // max_side)
    return draw_overlay(_smaller(image, factor), labels[factor // 2 :: factor, factor // 2 :: factor])


def _smaller(image: Image, factor: int) -> Image:
    """Average blocks of pixels; a row or column that fills no whole block to its middle is left out."""
    if factor == 1:
        return image
    height, width = (len(range(factor // 2, length, factor)) for length in image.shape)
    planes = [
        downscale_local_mean(np.asarray(plane), (factor, factor))[:height, :width] for plane in image.channels_first
    ]
    return replace(image, array=np.stack(planes).astype(np.float32), axes="CYX")


def _picture(segmentation: "Segmentation") -> str:
    drawn = thumbnail(segmentation)
    png = base64.b64encode(imageio.imwrite("<bytes>", drawn, extension=".png")).decode("ascii")
    words = escape(f"Outlines of the objects over {segmentation.image.name}", quote=True)
    # Small images are shown larger, by whole pixels.
    width = drawn.shape[1] * max(1, MAX_SIDE // 2 // max(drawn.shape))
    return f'<img alt="{words}" width="{width}" style="image-rendering: pixelated" src="data:image/png;base64,{png}">'


def _table(segmentation: "Segmentation") -> str:
    columns: dict[str, Any] = dict(segmentation.measurements)
    shown = [name for name in columns if name.startswith(_COLUMNS)]
    rows = pd.DataFrame({name: columns[name][:ROWS] for name in shown})
    left_out = len(columns["label"]) - len(rows)
    below = f"<small>and {left_out:,} more in <code>.measurements</code></small>" if left_out else ""
    return str(rows.to_html(index=False, border=0, float_format=lambda value: f"{value:.3g}")) + below
