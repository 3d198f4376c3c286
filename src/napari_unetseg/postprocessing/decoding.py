"""From probability maps to a label image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_unetseg.postprocessing.confidence import measure_confidence
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.smoothing import smooth

# Peaks are looked for at these heights, relative to the highest of their component. Coarser steps
# miss shallow dips, finer ones cost time; a peak below the last one never stands for an object.
PEAK_HEIGHTS = tuple(0.9**step for step in range(1, 18))
# Standard deviation in pixels: a speck of one or two pixels must not look like a peak.
SMOOTHING = 1.0
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def decode(probability: NDArray[np.float32], heads: tuple[str, ...], parameters: DecodeParameters) -> NDArray[np.int32]:
    """Read objects off a model's output.

    Pixels of foreground probability >= ``threshold`` belong to objects. They fall into components
    (4-connected: pixels that only meet at a corner do not touch), and a component is divided where
    its elevation has several peaks with a low enough pass between them:

    * with a ``"distance"`` head the elevation is the predicted distance to the object's edge,
    * with a ``"boundary"`` head it is foreground * (1 - boundary),
    * otherwise it is the distance to the nearest background pixel.

    A pass divides if it is lower than sqrt(``split``) times the lower of the two peaks. So 0 divides
    nothing; 0.5 divides where the pass is lower than 0.71 of either peak (without a second head:
    where the neck is narrower than 0.71 of the smaller part); 1 divides at every dip that the
    smoothing (gaussian, sigma 1 pixel) and the steps in which heights are compared (factor 0.9)
    leave. Rising ``split`` never joins objects. Peaks lower than 0.17 of the highest of their
    component do not count. The line of division is the watershed.

    What follows, in this order, looks at objects:

    1. with ``smoothing``, outlines are evened out, see `napari_unetseg.postprocessing.smoothing.smooth`;
    2. objects of fewer than ``min_size`` pixels are dropped;
    3. with ``fill_holes``, background that one object alone encloses becomes part of it; other objects inside
       it stay;
    4. objects whose mean foreground probability, as `measure_confidence` gives it, is below ``min_confidence``
       are dropped. So the limit acts on the number that a table of the objects shows.

    Parameters
    ----------
    probability
        float32 (heads, Y, X) with values 0..1. NaN counts as background.
    heads
        What each plane means; ``"foreground"`` must be among them.
    parameters
        Threshold, split, smoothing, minimum size, hole filling, minimum confidence.

    Returns
    -------
    NDArray[np.int32]
        (Y, X); 0 is background, objects count from 1 without gaps, in the raster order of their
        first pixel.
    """
    planes = dict(zip(heads, probability, strict=True))
    mask = planes["foreground"] >= parameters.threshold
    components, count = _label(mask)
    labels = components
    if parameters.split > 0 and count:
        elevation = _relative(_elevation(planes, mask), components, count)
        labels = _divide(components, count, elevation, _seeds(elevation, parameters.split))
    if parameters.smoothing:
        labels = smooth(labels, parameters.smoothing)
    labels = number_objects(labels, parameters.min_size)
    if parameters.fill_holes:
        labels = _fill_holes(labels)
    return (
        _drop_unsure(labels, planes["foreground"], parameters.min_confidence) if parameters.min_confidence else labels
    )


def _label(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label 4-connected regions in raster order of their first pixels."""
    regions, count = ndimage.label(mask)
    return regions.astype(np.int32, copy=False), count


def _elevation(planes: dict[str, NDArray[np.float32]], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a landscape that is high inside objects and low between them."""
    if "distance" in planes:
        landscape = planes["distance"]
    elif "boundary" in planes:
        landscape = planes["foreground"] * (1 - planes["boundary"])
    else:
        landscape = ndimage.distance_transform_edt(mask).astype(np.float32)
    # Smoothing would spread a single NaN.
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(np.nan_to_num(landscape), SMOOTHING, mode="nearest")
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


def _seeds(elevation: NDArray[np.float32], split: float) -> NDArray[np.intp]:
    """Return the pixels, one an object, from which the watershed starts.

    A region above ``sqrt(split) * height`` that reaches `height` holds one object unless higher steps
    have found some inside it already. Its highest pixel is the seed: what lies above the passes is
    flooded from there before any pass is.
    """
    heights, peaks = _peaks(elevation)
    seeds = np.empty(0, dtype=np.intp)
    for height in PEAK_HEIGHTS:
        regions, count = _label(elevation > np.sqrt(split) * height)
        tall = peaks[: np.searchsorted(-heights, -height, side="right")]
        region = regions.ravel()[tall]
        fresh = np.zeros(count + 1, dtype=bool)
        fresh[region] = True
        fresh[regions.ravel()[seeds]] = False
        fresh[0] = False
        highest = np.zeros(count + 1, dtype=np.intp)
        highest[region[::-1]] = tall[::-1]  # the last assignment stays: the highest peak
        seeds = np.append(seeds, highest[fresh])
    return seeds


def _peaks(elevation: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return heights and flat indices of all pixels without a higher 4-neighbour, highest first."""
    peak = elevation >= PEAK_HEIGHTS[-1]
    peak[1:] &= elevation[1:] >= elevation[:-1]
    peak[:-1] &= elevation[:-1] >= elevation[1:]
    peak[:, 1:] &= elevation[:, 1:] >= elevation[:, :-1]
    peak[:, :-1] &= elevation[:, :-1] >= elevation[:, 1:]
    pixels = np.flatnonzero(peak)
    heights = elevation.ravel()[pixels]
    order = np.argsort(-heights, kind="stable")
    return heights[order], pixels[order]


def _divide(
    components: NDArray[np.int32], count: int, elevation: NDArray[np.float32], seeds: NDArray[np.intp]
) -> NDArray[np.int32]:
    """Divide by watershed every component that holds more than one seed; leave the others whole."""
    crowded = np.bincount(components.ravel()[seeds], minlength=count + 1) > 1
    where = crowded[components]
    if not where.any():
        return components
    markers = np.zeros(elevation.shape, dtype=np.int32)
    markers.ravel()[seeds] = np.arange(count + 1, count + 1 + len(seeds))
    parts: NDArray[np.int32] = watershed(-elevation, markers, mask=where, connectivity=1)
    return np.where(where, parts, components)


def number_objects(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop small objects and count the others in the order in which their first pixels come."""
    pixels = np.flatnonzero(labels)
    owners = labels.ravel()[pixels]
    sizes = np.bincount(owners, minlength=1)
    first = np.zeros(len(sizes), dtype=np.intp)
    first[owners[::-1]] = pixels[::-1]  # the last assignment stays: the first pixel in raster order
    kept = np.flatnonzero(sizes >= max(min_size, 1))
    rank = np.zeros(len(sizes), dtype=np.int32)
    rank[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1)
    return rank[labels]


def _drop_unsure(
    labels: NDArray[np.int32], foreground: NDArray[np.float32], min_confidence: float
) -> NDArray[np.int32]:
    """Drop objects of too low a mean probability; the others keep their order. A mean that is not known is too low."""
    confidences = measure_confidence(labels, foreground).objects
    kept = confidences >= np.float32(min_confidence)
    rank = np.zeros(len(kept) + 1, dtype=np.int32)
    rank[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
    return rank[labels]


def _fill_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give background that one object encloses to that object.

    Holes are 8-connected, since objects are 4-connected. The numbering stays in raster order.
    """
    padded = np.pad(labels, 1)
    gaps, count = ndimage.label(padded == 0, structure=EIGHT_NEIGHBOURS)
    pixels = np.flatnonzero(gaps > 1)  # gap 1 is the outside: it holds the frame
    gap = gaps.ravel()[pixels]
    smallest = np.full(count + 1, np.iinfo(np.int32).max, dtype=np.int32)
    largest = np.zeros(count + 1, dtype=np.int32)
    for step in (1, -1, padded.shape[1], -padded.shape[1]):
        neighbour = padded.ravel()[pixels + step]
        touching = neighbour > 0
        np.minimum.at(smallest, gap[touching], neighbour[touching])
        np.maximum.at(largest, gap[touching], neighbour[touching])
    padded.ravel()[pixels] = np.where(smallest == largest, largest, 0)[gap]
    return padded[1:-1, 1:-1].copy()
