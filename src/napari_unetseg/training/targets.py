"""What the network learns to predict from a label image."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HeadName = Literal["foreground", "distance", "boundary"]

TARGETS: tuple[HeadName, ...] = ("foreground", "distance", "boundary")
"""What the planes of the training targets are, in order; a recipe names those that its network predicts."""


CROWDED_REACH = 2
"""Pixels from another object within which a pixel counts as crowded."""


def training_targets(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Stack what the loss compares with, one plane a name of `TARGETS`, float32 (3, Y, X)."""
    return np.stack([(labels > 0).astype(np.float32), distance_target(labels), crowding(labels)])


def distance_target(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Depth of each pixel in its own object, as a part of that object's deepest.

    Euclidean, float32 (Y, X): 0 in the background and on an object's outermost pixels, 1 at its
    core whatever its size, so that between touching objects there is a valley down to 0 and small
    and large ones separate at the same level. The image border is no edge: an object that it cuts
    keeps rising towards it.
    """
    target = np.zeros(labels.shape, np.float32)
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        # One pixel around the box, where the image has one, so that the box's own sides are edges.
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in window)
        mask = labels[around] == label
        depth = ndimage.distance_transform_edt(mask) - 1 if not mask.all() else np.ones(mask.shape)
        deepest = depth.max()
        # An object of one pixel's width has no inside; all of it is core.
        target[around][mask] = depth[mask] / deepest if deepest > 0 else 1
    return target


def crowding(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Mark with 1 the pixels around which there are two different objects, float32 (Y, X).

    These few decide whether neighbours come apart, so the loss gives them more weight, as the
    weight map of Ronneberger et al. 2015 does, and a network may predict them as the boundary.
    """
    side = 2 * CROWDED_REACH + 1
    largest = ndimage.maximum_filter(labels, side)
    smallest = ndimage.minimum_filter(np.where(labels > 0, labels, np.iinfo(np.int32).max), side)
    crowded: NDArray[np.float32] = (largest > smallest).astype(np.float32)
    return crowded
