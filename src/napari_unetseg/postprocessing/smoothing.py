"""Even out the outlines of objects."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import Block, grow_block


def smooth(labels: NDArray[np.int32], radius: int) -> NDArray[np.int32]:
    """Give each pixel to the object that covers more than half of the disc around it.

    That takes off spikes and fills notches narrower than the radius, rounds corners off and leaves straight
    outlines where they are. Since no two objects cover more than half of one disc, objects never join or overlap.
    An object that falls apart at a thin neck keeps its largest piece; one of less than about half a disc vanishes.
    Beyond the image's edge the disc goes on as the image ends, so that the edge pulls nothing in.

    Parameters
    ----------
    labels
        (Y, X), 0 is background. Labels may have gaps.
    radius
        Radius of the disc in pixels, at least 1: the pixels whose centres are no further away.

    Returns
    -------
    NDArray[np.int32]
        (Y, X); objects keep their labels and are 4-connected.
    """
    smoothed = np.zeros_like(labels)
    for value, near, mask in _majorities(labels, radius):
        smoothed[near][_largest_piece(mask)] = value
    return smoothed


def smoothed_pieces(
    labels: NDArray[np.int32], radius: int, inner: Block
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Do what `smooth` does but for its last step, for a part of an image.

    Parameters
    ----------
    labels
        (Y, X), of the part and `radius` pixels round it, as far as the image goes.
    radius
        See `smooth`.
    inner
        Rows and columns of the part.

    Returns
    -------
    int32 (height, width)
        Number of each 4-connected piece of an object in the part, from 1; 0 is background.
    int32 (N,)
        The object that each piece belongs to.
    """
    from scipy import ndimage

    smoothed = np.zeros_like(labels)
    for value, near, mask in _majorities(labels, radius):
        smoothed[near][mask] = value
    part = smoothed[inner]
    numbers, owners = np.zeros(part.shape, np.int32), [np.zeros(0, np.int32)]
    total = 0
    for value, box in enumerate(ndimage.find_objects(part), start=1):
        if box is not None:
            pieces, count = ndimage.label(part[box] == value)
            numbers[box][pieces > 0] = pieces[pieces > 0] + total
            owners.append(np.full(count, value, np.int32))
            total += count
    return numbers, np.concatenate(owners)


def _majorities(labels: NDArray[np.int32], radius: int) -> Iterator[tuple[int, Block, NDArray[np.bool_]]]:
    """Yield each object with a box round it and the pixels there of whose disc it covers more than half."""
    from scipy import ndimage

    widths = _half_widths(radius)
    majority = (2 * widths + 1).sum() / 2
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        # The object with a margin of the radius, and, for its discs, with one of twice the radius.
        near, seen = (grow_block(box, margin, labels.shape) for margin in (radius, 2 * radius))
        beyond = [
            (radius - (one.start - all_.start), radius - (all_.stop - one.stop))
            for one, all_ in zip(near, seen, strict=True)
        ]
        own = labels[seen] == value
        if any(map(any, beyond)):
            own = np.pad(own, beyond, mode="edge")
        yield value, near, _disc_sums(own, widths) > majority


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest 4-connected piece, of equally large ones the first in raster order."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    largest: NDArray[np.bool_] = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return largest


def _half_widths(radius: int) -> NDArray[np.intp]:
    """Return for each row of a disc how far it reaches to either side, (2 * radius + 1,)."""
    rows = np.arange(-radius, radius + 1)
    widths: NDArray[np.intp] = np.sqrt(radius**2 - rows**2 + 0.5).astype(np.intp)
    return widths


def _disc_sums(mask: NDArray[np.bool_], widths: NDArray[np.intp]) -> NDArray[np.int32]:
    """Count the pixels of a mask in the disc around each pixel that is a radius or more from its edges."""
    radius = len(widths) // 2
    height, width = (side - 2 * radius for side in mask.shape)
    sums = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=sums[:, 1:])
    total = np.zeros((height, width), dtype=np.int32)
    for row, reach in enumerate(widths):
        first, last = radius - reach, radius + reach + 1
        rows = sums[row : row + height]
        total += rows[:, last : last + width] - rows[:, first : first + width]
    return total


def largest_pieces(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep of each label its largest 4-connected piece, of equally large ones the first in raster order."""
    from scipy import ndimage

    kept = np.zeros_like(labels)
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            kept[box][_largest_piece(labels[box] == value)] = value
    return kept
