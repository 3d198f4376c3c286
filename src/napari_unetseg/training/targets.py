"""What the network learns to predict from a label image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HEADS = ("foreground", "distance")
"""What the channels of a trained network's output mean, in order."""


def distance_target(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Distance of each pixel to the edge of its own object, as a part of that object's largest.

    Euclidean, float32 (Y, X), 0 in the background and 1 at every object's core, whatever its size:
    the level at which touching objects separate is then the same for small and large ones. The
    image border is no edge: an object that it cuts keeps rising towards it.
    """
    target = np.zeros(labels.shape, np.float32)
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        # One pixel around the box, where the image has one, so that the box's own sides are edges.
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in window)
        mask = labels[around] == label
        distance = ndimage.distance_transform_edt(mask) if not mask.all() else np.ones(mask.shape)
        target[around][mask] = (distance / distance.max())[mask]
    return target
