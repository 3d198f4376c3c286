"""Counting and numbering objects, in place and strip by strip, so that no copy of a large image is made."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import CACHED_STRIP, strips


def object_sizes(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count the pixels of each label of an image (Y, X), the background among them: (N + 1,) for labels 0 to N."""
    sizes = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for rows in strips(labels.shape):
        sizes += np.bincount(labels[rows].ravel(), minlength=len(sizes))
    return sizes


def count_objects(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of each label and find its first pixel in raster order.

    Returns
    -------
    sizes, first
        (N + 1,) for labels 0 to N; of the background, and of labels that do not occur, both are 0.
    """
    count = int(labels.max(initial=0)) + 1
    sizes, first = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for rows in reversed(list(strips(labels.shape))):
        strip = labels[rows].ravel()
        sizes += np.bincount(strip, minlength=count)
        # The first pixel of a label differs from the one before it.
        pixels = np.append(0, np.flatnonzero(strip[1:] != strip[:-1]) + 1)[: len(strip)][::-1]
        first[strip[pixels]] = pixels + rows.start * labels.shape[1]  # the last assignment stays: the first pixel
    sizes[0] = first[0] = 0
    return sizes, first


def number_objects(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop small objects and count the others in the order in which their first pixels come."""
    return number_in_place(labels.copy(), min_size)


def number_in_place(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Do in place what `number_objects` does."""
    return renumber(labels, ranks(*count_objects(labels), min_size))


def ranks(sizes: NDArray[np.int64], first: NDArray[np.int64], min_size: int) -> NDArray[np.int32]:
    """Give numbers to what has enough pixels from 1, in the order of the first pixels; the rest gets 0."""
    kept = np.flatnonzero(sizes >= max(min_size, 1))
    numbers = np.zeros(len(sizes), np.int32)
    numbers[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1)
    return numbers


def renumber(labels: NDArray[np.int32], numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Replace each label by its new number, in place."""
    for rows in strips(labels.shape, CACHED_STRIP):
        np.take(numbers, labels[rows], out=labels[rows], mode="clip")  # twice as fast as numbers[labels[rows]]
    return labels


def compact_labels(labels: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count the labels that occur from 1, so that tables of them are short.

    Returns
    -------
    values
        int32 (N + 1,), the label of each count, rising; 0 for 0.
    compact
        int32, of the shape of `labels`: their counts.
    """
    occurs = np.zeros(int(labels.max(initial=0)) + 1, bool)
    occurs[labels.ravel()] = True
    occurs[0] = True
    values = np.flatnonzero(occurs).astype(np.int32)
    counts = np.cumsum(occurs, dtype=np.int32)
    counts -= 1
    return values, np.take(counts, labels)


def area_weighted_size(sizes: NDArray[np.integer]) -> float:
    """Give the size such that objects of this size or more cover half of all; specks, though many, cover little.

    Parameters
    ----------
    sizes
        Pixels of each object, (N,).

    Returns
    -------
    float
        0 if there are no objects.
    """
    rising = np.sort(sizes)
    covered = np.cumsum(rising)
    return float(rising[np.searchsorted(covered, covered[-1] / 2)]) if len(rising) else 0.0
