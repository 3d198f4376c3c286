"""How large the objects of an image are: from a first result, or roughly from the image itself."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import Image
from napari_unetseg.postprocessing.numbering import area_weighted_size, object_sizes

MIN_OBJECTS_TO_ESTIMATE = 5
"""Fewer objects have no typical diameter."""

FAR_OFF = 2.0
"""Objects that many times larger or smaller than those of the training are far off: at half and at double size
bundled models that see an image as it is lose from a tenth to half of their average precision."""

FAR_OFF_WITHIN = 3.0
"""The same of a model that names the sizes it sees well, for objects that lie among these."""

_SIDE = 512
_MIN_OBJECTS_ACROSS = 8
_AGREEMENT = 1.25
_RADIUS_TO_DIAMETER = 2.5  # of discs the smoothed distance is a little below the radius, and nuclei are not discs


def typical_diameter(labels: NDArray[np.integer], min_objects: int = MIN_OBJECTS_TO_ESTIMATE) -> float | None:
    """Return the median equivalent diameter of objects in pixels; None if they are fewer than `min_objects`.

    Parameters
    ----------
    labels
        (Y, X), 0 is background; labels may have gaps.
    """
    areas = _areas(labels)
    return _median_diameter(areas) if len(areas) >= min_objects else None


def area_weighted_diameter(labels: NDArray[np.integer], min_objects: int = MIN_OBJECTS_TO_ESTIMATE) -> float | None:
    """Return the diameter that half of the objects' pixels lie in objects of, or wider ones.

    Specks between the objects hardly change it, however many they are, unlike `typical_diameter`.

    Parameters
    ----------
    labels
        (Y, X), 0 is background; labels may have gaps.
    min_objects
        How many objects there must be.

    Returns
    -------
    float or None
        Equivalent diameter in pixels; None of fewer objects than `min_objects`.
    """
    return area_weighted_diameter_of(_areas(labels), min_objects)


def area_weighted_diameter_of(areas: NDArray[np.intp], min_objects: int) -> float | None:
    """Do what `area_weighted_diameter` does where the number of pixels of each object is known."""
    return float(_diameters(area_weighted_size(areas))) if len(areas) >= min_objects else None


def estimate_diameter(image: Image) -> float | None:
    """Guess the typical diameter of the objects in an image, without a model.

    The image is divided into dark and bright by Otsu's threshold; the class that covers less is taken for the
    objects. Their diameter is estimated twice: from the median area of connected components, and from the median
    height of the peaks of the distance to the background. The result is returned only where the two agree within
    a quarter, as they do for plain images; crowded or textured ones give None rather than a wrong value. At first
    only the middle of the image is measured, in full resolution. While its objects are large for that window, a
    larger part is measured in a lower resolution.

    Parameters
    ----------
    image
        Any size. Colours are averaged; of an image with other channels the first is used.

    Returns
    -------
    float or None
        In pixels of the image; None if it cannot be estimated.
    """
    planes = image.channels_first
    planes = planes[:3] if image.rgb else planes[:1]
    step = 1
    measures = _measure_middle(planes, step)
    while (measures is None or max(measures) > _SIDE / _MIN_OBJECTS_ACROSS) and _SIDE * step < max(image.shape):
        step *= 2
        measures = _measure_middle(planes, step)
    if measures is None or max(measures) > _AGREEMENT * min(measures):
        return None
    return step * float(np.sqrt(measures[0] * measures[1]))


def _measure_middle(planes: NDArray[np.generic], step: int) -> tuple[float, float] | None:
    """Measure the middle of (C, Y, X), seen in squares of `step` pixels."""
    return _measure(_middle(planes, step), is_part=max(planes.shape[1:]) > _SIDE * step)


def _middle(planes: NDArray[np.generic], step: int) -> NDArray[np.float32]:
    """Return the mean of (C, Y, X) over channels and squares of `step` pixels, in the middle of the image."""
    spans = []
    for length in planes.shape[1:]:
        kept = min(length, _SIDE * step) // step * step or length
        spans.append(slice((length - kept) // 2, (length - kept) // 2 + kept))
    seen = np.asarray(planes[:, *spans])
    height, width = (max(length // step, 1) for length in seen.shape[1:])
    squares = seen.reshape(len(seen), height, seen.shape[1] // height, width, seen.shape[2] // width)
    mean: NDArray[np.float32] = squares.mean(axis=(0, 2, 4), dtype=np.float32)
    mean[~np.isfinite(mean)] = 0
    return mean


def _measure(plane: NDArray[np.float32], *, is_part: bool) -> tuple[float, float] | None:
    """Return the diameter by area and by distance to the background; None if there are too few objects.

    Of a part of an image, objects at its edge are left out: what is seen of them is of no size.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu
    from skimage.segmentation import clear_border

    smooth = ndimage.gaussian_filter(plane, 1)
    if smooth.min() == smooth.max():
        return None
    mask = smooth > threshold_otsu(smooth)
    if mask.mean() > 0.5:
        mask = ~mask
    regions, _ = ndimage.label(ndimage.binary_opening(mask))
    if is_part:
        regions = clear_border(regions)
        mask &= regions > 0
    areas = object_sizes(regions)[1:]
    areas = areas[areas >= 25]
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask).astype(np.float32), 1)
    heights = distance[(distance == ndimage.maximum_filter(distance, 7)) & (distance > 2)]
    if min(len(areas), len(heights)) < MIN_OBJECTS_TO_ESTIMATE:
        return None
    return _median_diameter(areas), _RADIUS_TO_DIAMETER * float(np.median(heights))


def _areas(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the areas of the objects that are there."""
    areas = object_sizes(labels)[1:]
    return areas[areas > 0]


def _median_diameter(areas: NDArray[np.intp]) -> float:
    return float(np.median(_diameters(areas)))


def _diameters(areas: NDArray[np.intp] | float) -> NDArray[np.float64]:
    diameters: NDArray[np.float64] = np.sqrt(4 * areas / np.pi)
    return diameters
