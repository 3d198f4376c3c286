"""The landscape by which touching objects are divided: high inside objects and low between them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.postprocessing.hills import Window

SMOOTHING = 1.0
"""Standard deviation in pixels: a speck of one or two pixels must not look like a peak."""

REACH = 5
"""Pixels round a block that its heights depend on: four for the smoothing, and one that `survey` looks at."""

DEPTH_REACH = 59
"""Pixels round a block in which the nearest background is looked for at first."""


def elevation(planes: Mapping[str, NDArray[np.float32]], threshold: float, block: Window) -> NDArray[np.float32]:
    """Return the heights of a block and of the pixels round it, as `hills.survey` wants them.

    Parameters
    ----------
    planes
        Maps (Y, X) of the whole image by head; of each, what is needed is read.
    threshold
        Lowest foreground probability of an object's pixels.
    block
        Rows and columns of the image.

    Returns
    -------
    float32 (height + 2, width + 2)
        -inf for the background and beyond the image.
    """
    shape = planes["foreground"].shape
    heights = np.full([side.stop - side.start + 2 for side in block], -np.inf, np.float32)
    around = _grown(block, REACH, shape)
    foreground = np.asarray(planes["foreground"][around])
    mask = foreground >= threshold
    if not mask.any():
        return heights
    if "distance" in planes:
        landscape = np.asarray(planes["distance"][around])
    elif "boundary" in planes:
        landscape = foreground * (1 - np.asarray(planes["boundary"][around]))
    else:
        landscape = _depth(planes["foreground"], threshold, around)
    # Smoothing would spread a single NaN.
    smooth = ndimage.gaussian_filter(np.nan_to_num(landscape), SMOOTHING, mode="nearest")
    seen = _grown(block, 1, shape)
    source = tuple(slice(one.start - all_.start, one.stop - all_.start) for one, all_ in zip(seen, around, strict=True))
    target = tuple(
        slice(one.start - own.start + 1, one.stop - own.start + 1) for one, own in zip(seen, block, strict=True)
    )
    np.copyto(heights[target], smooth[source], where=mask[source])
    return heights


def _depth(foreground: NDArray[np.float32], threshold: float, window: Window) -> NDArray[np.float32]:
    """Return the distance of each pixel of a window to the nearest background pixel of the image.

    What lies further away than the deepest pixel is deep need not be looked at.
    """
    reach = DEPTH_REACH
    while True:
        around = _grown(window, reach, foreground.shape)
        mask = np.asarray(foreground[around]) >= threshold
        rows, columns = (
            slice(own.start - all_.start, own.stop - all_.start) for own, all_ in zip(window, around, strict=True)
        )
        is_everything = mask.shape == foreground.shape
        if is_everything or not mask.all():
            depth = ndimage.distance_transform_edt(mask)[rows, columns].astype(np.float32)
            if is_everything or depth.max() <= reach:
                return depth
        reach *= 4


def _grown(window: Window, by: int, shape: tuple[int, ...]) -> Window:
    """Return a window with so many pixels more on each side, as far as the image goes."""
    rows, columns = (
        slice(max(side.start - by, 0), min(side.stop + by, length)) for side, length in zip(window, shape, strict=True)
    )
    return rows, columns
