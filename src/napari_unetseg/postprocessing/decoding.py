"""From probability maps to a label image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_unetseg.postprocessing.parameters import DecodeParameters

# Peaks are looked for at these heights, relative to the highest of their component. Coarser steps
# miss shallow dips, finer ones cost time; a peak below the last one never stands for an object.
PEAK_HEIGHTS = tuple(0.8**step for step in range(1, 11))
SMOOTHING = 1.0  # pixels; a speck of one or two pixels must not look like a peak
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def decode(probability: NDArray[np.float32], heads: tuple[str, ...], parameters: DecodeParameters) -> NDArray[np.int32]:
    """Read objects off a model's output.

    Pixels of foreground probability >= ``threshold`` belong to objects. They fall into components
    (4-connected: pixels that only meet at a corner do not touch), and a component is divided where
    its elevation has several peaks with a low enough pass between them:

    * with a ``"distance"`` head the elevation is the predicted distance to the object's edge,
    * with a ``"boundary"`` head it is foreground * (1 - boundary),
    * otherwise it is the square of the distance to the nearest background pixel.

    ``split`` is the height of the pass relative to the lower of the two peaks: a pass below
    ``split`` times that peak divides. So 0 divides nothing, 0.5 divides where the pass is less
    than half as high as either peak (for the squared distance: a neck narrower than 0.7 of the
    smaller part), and 1 divides at every dip that the smoothing (gaussian, sigma 1 pixel) and the
    steps in which heights are compared (factor 0.8) leave. The division line is the watershed.

    Then objects of fewer than ``min_size`` pixels are dropped, and, with ``fill_holes``, background
    that one object alone encloses becomes part of it; other objects inside it stay.

    Parameters
    ----------
    probability
        float32 (heads, Y, X) with values 0..1. NaN counts as background.
    heads
        What each plane means; ``"foreground"`` must be among them.
    parameters
        Threshold, split, minimum size, hole filling.

    Returns
    -------
    NDArray[np.int32]
        (Y, X); 0 is background, objects count from 1 without gaps, in the raster order of their
        first pixel.
    """
    planes = dict(zip(heads, np.nan_to_num(probability), strict=True))
    mask = probability[heads.index("foreground")] >= parameters.threshold
    components, count = ndimage.label(mask)
    labels = components
    if parameters.split > 0 and count:
        elevation = _relative(_elevation(planes, mask), components, count)
        labels = _divide(components, count, elevation, _seeds(elevation, parameters.split))
    labels = _drop_small(labels, parameters.min_size)
    if parameters.fill_holes:
        labels = _fill_holes(labels)
    return _raster_order(labels)


def _elevation(planes: dict[str, NDArray[np.float32]], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a landscape that is high inside objects and low between them."""
    if "distance" in planes:
        landscape = planes["distance"]
    elif "boundary" in planes:
        landscape = planes["foreground"] * (1 - planes["boundary"])
    else:
        landscape = ndimage.distance_transform_edt(mask).astype(np.float32) ** 2
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(landscape, SMOOTHING, mode="nearest")
    return smooth


def _relative(elevation: NDArray[np.float32], components: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    """Divide by the highest value of the own component; 0 in the background."""
    inside = components > 0
    owners, heights = components[inside], elevation[inside]
    highest = np.zeros(count + 1, dtype=np.float32)
    np.maximum.at(highest, owners, heights)
    relative = np.zeros_like(elevation)
    relative[inside] = heights / np.maximum(highest, np.finfo(np.float32).tiny)[owners]
    return relative


def _seeds(elevation: NDArray[np.float32], split: float) -> NDArray[np.int32]:
    """Label the peaks that stand for objects of their own.

    A region above ``split * height`` that reaches `height` is a seed unless higher steps have
    found seeds inside it already.
    """
    seeds = np.zeros(elevation.shape, dtype=np.int32)
    found = 0
    for height in PEAK_HEIGHTS:
        regions, count = ndimage.label(elevation > split * height)
        new = np.zeros(count + 1, dtype=np.int32)
        new[regions[elevation >= height]] = 1
        new[regions[seeds > 0]] = 0
        new[0] = 0
        fresh = int(new.sum())
        if fresh:
            new[new > 0] = np.arange(found + 1, found + fresh + 1)
            np.maximum(seeds, new[regions], out=seeds)
            found += fresh
    return seeds


def _divide(
    components: NDArray[np.int32], count: int, elevation: NDArray[np.float32], seeds: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Divide by watershed every component that holds more than one seed; leave the others whole."""
    owner = np.zeros(int(seeds.max()) + 1, dtype=np.int32)
    owner[seeds[seeds > 0]] = components[seeds > 0]
    crowded = np.bincount(owner[1:], minlength=count + 1) > 1
    where = crowded[components]
    if not where.any():
        return components
    parts = watershed(-elevation, np.where(where, seeds, 0), mask=where, connectivity=1)
    labels: NDArray[np.int32] = np.where(where, parts + count, components).astype(np.int32)
    return labels


def _drop_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    keep = np.bincount(labels.ravel()) >= min_size
    keep[0] = False
    return np.where(keep[labels], labels, 0)


def _fill_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give background that one object encloses to that object."""
    gaps, count = ndimage.label(np.pad(labels == 0, 1, constant_values=True), structure=EIGHT_NEIGHBOURS)
    padded = np.pad(labels, 1)
    smallest = np.full(count + 1, np.iinfo(np.int32).max, dtype=np.int32)
    largest = np.zeros(count + 1, dtype=np.int32)
    for axis in (0, 1):
        here, there = np.moveaxis(gaps, axis, 0), np.moveaxis(padded, axis, 0)
        for gap, label in ((here[:-1], there[1:]), (here[1:], there[:-1])):
            touching = (gap > 0) & (label > 0)
            np.minimum.at(smallest, gap[touching], label[touching])
            np.maximum.at(largest, gap[touching], label[touching])
    owner = np.where(smallest == largest, largest, 0)
    owner[gaps[0, 0]] = 0  # the outside, to which the image's frame belongs
    filled: NDArray[np.int32] = np.maximum(labels, owner[gaps[1:-1, 1:-1]])
    return filled


def _raster_order(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Count objects from 1 in the order in which their first pixels come."""
    present, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    foreground = np.flatnonzero(present > 0)
    rank = np.zeros(len(present), dtype=np.int32)
    rank[foreground[np.argsort(first[foreground])]] = np.arange(1, len(foreground) + 1)
    return rank[inverse].reshape(labels.shape)
