"""Holes of objects."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.postprocessing.blocks import strips

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def fill_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give background that one object alone encloses to that object, in place.

    Holes are 8-connected, since objects are 4-connected, and do not touch the border of the image. The numbering stays
    in raster order.
    """
    gaps, count = ndimage.label(labels == 0, structure=EIGHT_NEIGHBOURS)
    enclosed = np.ones(count + 1, bool)
    for border in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        enclosed[border] = False
    enclosed[0] = False
    if not enclosed.any():
        return labels
    pixels = np.concatenate(
        [np.flatnonzero(enclosed[gaps[rows]]) + rows.start * labels.shape[1] for rows in strips(labels.shape)]
    )
    gap = gaps.ravel()[pixels]
    smallest = np.full(count + 1, np.iinfo(np.int32).max, dtype=np.int32)
    largest = np.zeros(count + 1, dtype=np.int32)
    # No pixel of a hole is at the border, so its neighbours are the ones next to it in memory.
    for step in (1, -1, labels.shape[1], -labels.shape[1]):
        neighbour = labels.ravel()[pixels + step]
        touching = neighbour > 0
        np.minimum.at(smallest, gap[touching], neighbour[touching])
        np.maximum.at(largest, gap[touching], neighbour[touching])
    labels.ravel()[pixels] = np.where(smallest == largest, largest, 0)[gap]
    return labels
