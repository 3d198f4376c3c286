"""What the network learns to predict from a label image."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HeadName = Literal["foreground", "distance", "boundary", "flow_y", "flow_x"]

TARGETS: tuple[HeadName, ...] = ("foreground", "distance", "boundary", "flow_y", "flow_x")
"""What the planes of the training targets are, in order; a recipe names those that its network predicts."""

FLOWS = slice(TARGETS.index("flow_y"), TARGETS.index("flow_x") + 1)
"""The two planes that are components of a vector, -1..1; a network answers (1 + component) / 2."""


CROWDED_REACH = 2
"""Pixels from another object within which a pixel counts as crowded."""


def training_targets(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Stack what the loss compares with, one plane a name of `TARGETS`, float32 (5, Y, X).

    Where labels are below 0 nobody looked, and targets are NaN: such pixels teach nothing. Of an object that goes on
    there nobody knows the whole, so only its foreground is taught, and how crowded a pixel is only where all that
    decides it is known.
    """
    objects = np.maximum(labels, 0)
    targets = np.stack(
        [(objects > 0).astype(np.float32), distance_target(objects), crowding(objects), *flow_target(objects)]
    )
    unknown = labels < 0
    if unknown.any():
        cut = np.unique(objects[ndimage.maximum_filter(unknown, 3)])
        shapeless = unknown | np.isin(objects, cut[cut > 0])
        targets[TARGETS.index("foreground"), unknown] = np.nan
        targets[TARGETS.index("distance"), shapeless] = np.nan
        targets[TARGETS.index("boundary"), ndimage.maximum_filter(unknown, 2 * CROWDED_REACH + 1)] = np.nan
        targets[FLOWS, shapeless] = np.nan
    return targets


def distance_target(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Depth of each pixel in its own object, as a part of that object's deepest.

    Euclidean, float32 (Y, X): 0 in the background and on an object's outermost pixels, 1 at its
    core whatever its size, so that between touching objects there is a valley down to 0 and small
    and large ones separate at the same level. The image border is no edge: an object that it cuts
    keeps rising towards it.
    """
    target = np.zeros(labels.shape, np.float32)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        # One pixel around the box, where the image has one, so that the box's own sides are edges.
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        mask = labels[around] == label
        depth = ndimage.distance_transform_edt(mask) - 1 if not mask.all() else np.ones(mask.shape)
        deepest = depth.max()
        # An object of one pixel's width has no inside; all of it is core.
        target[around][mask] = depth[mask] / deepest if deepest > 0 else 1
    return target


def flow_target(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Direction from each pixel of an object to its core, float32 (2, Y, X), y and x.

    A vector is as long as the pixel is shallow: 1 on the object's outermost pixels, 0 at its core and in the
    background. Where objects touch, the vectors on either side point away from each other, so a network that
    has to tell which way the core lies has to tell the objects apart; this is the idea of the maps of
    HoVer-Net (Graham et al. 2019) and of the flows of Cellpose (Stringer et al. 2021).
    """
    flow = np.zeros((2, *labels.shape), np.float32)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        mask = labels[around] == label
        if mask.all() or min(mask.shape) < 2:
            continue
        depth = ndimage.distance_transform_edt(mask)
        # Ridges of the depth are ragged; smoothed by a part of the object's size they lead to its core.
        uphill = np.asarray(np.gradient(ndimage.gaussian_filter(depth, max(1.0, depth.max() / 3))))
        shallow = 1 - (depth - 1) / max(depth.max() - 1, 1)
        vectors = uphill / np.maximum(np.linalg.norm(uphill, axis=0), 1e-6) * shallow
        flow[(slice(None), *around)][:, mask] = vectors[:, mask]
    return flow


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
