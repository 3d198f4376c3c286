"""Where objects may be missing: spots of some confidence that became no object."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.batch.doubt import DoubtfulObject, missed_object

_FAINT = 0.6  # of the threshold: a spot whose pixels have at least that may be an object
_SMALLEST = 0.2  # of the typical area
_MOST = 200  # spots that are told of an image; a background full of them is no list of places
_ACROSS = 8  # pixels of a typical object along each axis that are looked at
_APART = 2  # pixels from the next object, whose rim is faint, too


def find_missed(
    labels: NDArray[np.integer], confidence: NDArray[np.floating], *, threshold: float, area: float
) -> list[DoubtfulObject]:
    """Find spots without an object that are as confident as a faint one, apart from all objects.

    Parameters
    ----------
    labels
        (Y, X), 0 is background.
    confidence
        (Y, X), 0 to 1.
    threshold
        From which a pixel belongs to an object.
    area
        Typical area of an object, in pixels.

    Returns
    -------
    list[DoubtfulObject]
        The largest ones first, 200 at most.
    """
    from scipy import ndimage

    # Objects of that size are found on fewer pixels, too.
    step = max(1, int(np.sqrt(area) / _ACROSS))
    height, width = labels.shape
    labels, confidence = labels[::step, ::step], confidence[::step, ::step]
    faint = (confidence >= _FAINT * threshold) & (labels == 0)
    if not faint.any():
        return []
    spots, count = ndimage.label(faint)
    sizes = np.bincount(spots.ravel(), minlength=count + 1)
    sizes[0] = 0
    near = ndimage.binary_dilation(labels > 0, iterations=max(1, round(_APART / step)))
    sizes[np.unique(spots[near])] = 0
    found = np.flatnonzero(sizes >= max(_SMALLEST * area / step**2, 1))
    found = found[np.argsort(-sizes[found], kind="stable")][:_MOST]
    boxes = ndimage.find_objects(spots)
    places = []
    for spot in found.tolist():
        rows, columns = box = boxes[spot - 1]
        mean = float(confidence[box][spots[box] == spot].mean())
        top, left, bottom, right = (step * edge for edge in (rows.start, columns.start, rows.stop, columns.stop))
        places.append(missed_object((), (top, left, min(bottom, height), min(right, width)), mean))
    return places


def read_missed(labels: Path, confidence: Path, *, threshold: float, area: float) -> list[DoubtfulObject]:
    """Find spots as `find_missed` does, of two files.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    from napari_unetseg.io import read_image, read_label_image

    numbers, map_of_confidence = read_label_image(labels).array, read_image(confidence).array
    if numbers.shape != map_of_confidence.shape or numbers.ndim != 2:
        return []
    return find_missed(np.asarray(numbers), np.asarray(map_of_confidence), threshold=threshold, area=area)
