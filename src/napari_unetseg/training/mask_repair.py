"""Mends masks, and says what was changed.

Nothing here imports torch.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.training.mask_faults import (
    apart,
    background_number,
    far_smaller,
    find_pieces,
    holes_in,
    is_blended,
    object_areas,
)

Repair = Literal["edges", "background", "unnumbered", "specks", "pieces", "tiny", "holes", "numbers"]
"""What can be mended; each is the `FaultKind` of that name:

* ``edges``: what is at least half of the largest value is an object, and each piece of it gets a number.
* ``background``: the background gets 0; what was 0 beside one number alone becomes objects.
* ``unnumbered``: each piece gets a number.
* ``specks``: go to the object that has most of their outline, else to the background.
* ``pieces``: each further piece becomes an object with a new number. What hangs together by a corner stays one.
* ``tiny``: go to the background. ``holes``: are filled. ``numbers``: are counted anew from 1, in their order.
"""
REPAIRS: tuple[Repair, ...] = ("edges", "background", "unnumbered", "specks", "pieces", "tiny", "holes", "numbers")
"""In the order in which they are done."""

_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Mended:
    """A mended mask.

    Attributes
    ----------
    mask
        int64 (Y, X).
    pixels
        How many pixels each repair changed; those that changed none are left out.
    """

    mask: NDArray[np.int64]
    pixels: Mapping[str, int]


def mend(mask: NDArray[np.int64], repairs: Collection[Repair]) -> Mended:
    """Mend a mask, until nothing is left to mend: one repair can make work for another.

    Parameters
    ----------
    mask
        int64 (Y, X), as `find_faults` takes it; it stays as it is.
    repairs
        Which; see `Repair`. What is below 0 stays as it is.
    """
    changed: dict[str, int] = {}
    for _ in range(_MOST_ROUNDS):
        before = mask
        for repair in REPAIRS:
            if repair in repairs:
                mended = _MEND[repair](mask)
                if pixels := int(np.count_nonzero(mended != mask)):
                    changed[repair] = changed.get(repair, 0) + pixels
                mask = mended
        if np.array_equal(mask, before):
            break
    return Mended(mask, changed)


def _mend_edges(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    return _numbered(2 * mask >= mask.max()) if is_blended(mask) else mask


def _mend_background(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    number = background_number(mask)
    if number is None:
        return mask
    others = (mask > 0) & (mask != number)
    if not others.any():
        return np.where(mask < 0, mask, _numbered(mask == 0))
    # Zeros beside several numbers are lines between objects.
    return np.where(mask == number, 0, mask)


def _mend_unnumbered(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers, _ = object_areas(mask)
    if len(numbers) != 1:
        return mask
    numbered = _numbered(mask > 0)
    return mask if numbered.max() == 1 else np.where(mask > 0, numbered, mask)


def _mend_specks(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each speck away by whose pixels lie along its sides."""
    pieces = find_pieces(mask)
    if not pieces.is_speck.any():
        return mask
    is_speck = np.concatenate([[False], pieces.is_speck])
    specks = np.flatnonzero(is_speck)
    padded, around = np.pad(pieces.labels, 1), np.pad(mask, 1)
    inside = (slice(1, -1), slice(1, -1))
    pairs = []
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = np.roll(padded, step, (0, 1))[inside]
        numbers = np.roll(around, step, (0, 1))[inside]
        meets = is_speck[pieces.labels] & (beside != pieces.labels)
        # Beside another speck nobody's pixels lie.
        numbers = np.where(is_speck[beside], 0, np.maximum(numbers, 0))
        pairs.append(np.stack([pieces.labels[meets], numbers[meets]]))
    found, counts = np.unique(np.concatenate(pairs, axis=1), axis=1, return_counts=True)
    outlines = np.bincount(found[0], counts, minlength=len(is_speck))
    new = np.zeros(len(is_speck), np.int64)
    most = (2 * counts > outlines[found[0]]) & (found[1] > 0)
    new[found[0][most]] = found[1][most]
    chosen = np.isin(pieces.labels, specks)
    return np.where(chosen, new[pieces.labels], mask)


def _mend_pieces(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    pieces = find_pieces(mask)
    # The other pieces of a cluster go with its largest one.
    clusters = np.unique(pieces.clusters[apart(pieces)])
    place = np.searchsorted(clusters, pieces.clusters)
    new = np.where(np.isin(pieces.clusters, clusters), pieces.owners.max(initial=0) + 1 + place, pieces.owners)
    return np.where(mask > 0, np.concatenate([[0], new])[pieces.labels], mask)


def _mend_tiny(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers, areas = object_areas(mask)
    return np.where(np.isin(mask, numbers[far_smaller(areas)]), 0, mask)


def _mend_holes(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    return mask + holes_in(mask)


def _mend_numbers(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers, _ = object_areas(mask)
    return np.where(mask > 0, np.searchsorted(numbers, mask) + 1, mask)


def _numbered(objects: NDArray[np.bool_]) -> NDArray[np.int64]:
    from skimage.measure import label

    return np.asarray(label(objects, connectivity=2), np.int64)


_MEND: Mapping[Repair, Callable[[NDArray[np.int64]], NDArray[np.int64]]] = {
    "edges": _mend_edges,
    "background": _mend_background,
    "unnumbered": _mend_unnumbered,
    "specks": _mend_specks,
    "pieces": _mend_pieces,
    "tiny": _mend_tiny,
    "holes": _mend_holes,
    "numbers": _mend_numbers,
}
