"""The landscape by which touching objects are divided: high inside objects and low between them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.postprocessing.blocks import Block, grow_block, relative_to

SMOOTHING = 1.0
"""Standard deviation in pixels: a speck of one or two pixels must not look like a peak."""

MARGIN = 5
"""Pixels round a block that its heights depend on: four for the smoothing, and one that `find_basins` looks at."""

DEPTH_MARGIN = 59
"""Pixels round a block in which the nearest background is looked for at first."""


def elevation(planes: Mapping[str, NDArray[np.float32]], threshold: float, block: Block) -> NDArray[np.float32]:
    """Return the heights of a block and of the pixels round it, as `basins.find_basins` wants them.

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
    frame = tuple(slice(side.start - 1, side.stop + 1) for side in block)
    heights = np.full([side.stop - side.start for side in frame], -np.inf, np.float32)
    around = grow_block(block, MARGIN, shape)
    foreground = np.asarray(planes["foreground"][around])
    mask = foreground >= threshold
    if not mask.any():
        return heights
    landscape = _padded(mask.shape)
    if "distance" in planes:
        np.copyto(landscape, planes["distance"][around])
    elif "boundary" in planes:
        np.subtract(1, planes["boundary"][around], out=landscape)
        landscape *= foreground
    else:
        np.copyto(landscape, _depth(planes["foreground"], threshold, around))
    if not np.isfinite([landscape.min(), landscape.max()]).all():
        np.nan_to_num(landscape, copy=False)  # smoothing would spread a single NaN
    smooth = ndimage.gaussian_filter(landscape, SMOOTHING, output=_padded(mask.shape), mode="nearest")
    seen = grow_block(block, 1, shape)
    source = relative_to(seen, around)
    np.copyto(heights[relative_to(seen, frame)], smooth[source], where=mask[source])
    return heights


def _padded(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Allocate an array (Y, X) whose rows lie no power of two apart in memory.

    A filter along the columns takes half of the time then, as a core's cache holds few places at such distances.
    """
    return np.empty((shape[0], shape[1] + (16 if shape[1] % 32 == 0 else 0)), np.float32)[:, : shape[1]]


def _depth(foreground: NDArray[np.float32], threshold: float, block: Block) -> NDArray[np.float32]:
    """Return the distance of each pixel of a block to the nearest background pixel of the image.

    What lies further away than the deepest pixel is deep need not be looked at.
    """
    reach = DEPTH_MARGIN
    while True:
        around = grow_block(block, reach, foreground.shape)
        mask = np.asarray(foreground[around]) >= threshold
        is_everything = mask.shape == foreground.shape
        if is_everything or not mask.all():
            depth = ndimage.distance_transform_edt(mask)[relative_to(block, around)].astype(np.float32)
            if is_everything or depth.max() <= reach:
                return depth
        reach *= 4
