"""From objects of single planes to objects of a stack: planes into volumes, time points into tracks, by overlap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MIN_IOU = 0.1
"""Overlap below which two objects are not the same: those that merely touch from plane to plane have less."""


def number_stack(labels: NDArray[np.integer], axes: str, *, link: bool) -> NDArray[np.int32]:
    """Give the objects of independently labelled planes numbers that are unique in the stack.

    Linked, planes along Z become objects in space first, and these along T become tracks; along other axes
    nothing is linked. Every object keeps its pixels, only its number changes.

    Parameters
    ----------
    labels
        (..., Y, X), 0 is background; equal numbers in different planes mean nothing.
    axes
        One letter for each axis before Y and X.
    link
        Whether objects keep their number along Z and T; see `link_frames`.

    Returns
    -------
    int32, of the same shape
        Objects count from 1 without gaps.
    """
    numbered = labels.astype(np.int32)
    done = ""
    for axis in sorted(axes, key=lambda letter: "ZT".index(letter) if letter in "ZT" else 2):
        # Views with this axis first, those that are joined already after it, and Y and X.
        inner = [axes.index(letter) for letter in axis + done]
        outer = [place for place in range(len(axes)) if place not in inner]
        view = numbered.transpose(*outer, *inner, len(axes), len(axes) + 1)
        join = link_frames if link and axis in "ZT" else number_frames
        for index in np.ndindex(view.shape[: len(outer)]):
            view[index] = join(view[index])
        done += axis
    return numbered


@dataclass(frozen=True)
class Overlaps:
    """Which objects of two planes have pixels at the same place.

    Attributes
    ----------
    one, other
        int64 (N,), an object of each plane; no pair twice.
    pixels
        int64 (N,), how many they share.
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, one: NDArray[np.int64], other: NDArray[np.int64], pixels: NDArray[np.int64]) -> Self:
        """Add up what parts of the planes have, in which pairs may be listed again and again."""
        width = int(other.max(initial=0)) + 1
        pairs, place = np.unique(one * width + other, return_inverse=True)
        total = np.zeros(len(pairs), np.int64)
        np.add.at(total, place, pixels)
        return cls(*np.divmod(pairs, width), total)

    @classmethod
    def between(cls, one: NDArray[np.integer], other: NDArray[np.integer]) -> Self:
        """Compare the labels of two planes, or of the same part of both; 0 is background."""
        both = (one > 0) & (other > 0)
        width = int(other.max(initial=0)) + 1
        pairs, pixels = np.unique(one[both].astype(np.int64) * width + other[both], return_counts=True)
        return cls(*np.divmod(pairs, width), pixels)


def number_planes(
    sizes: Sequence[NDArray[np.int64]],
    shape: tuple[int, ...],
    axes: str,
    overlaps: Callable[[int, int], Overlaps],
    *,
    link: bool,
) -> tuple[list[NDArray[np.int32]], int]:
    """Do what `number_stack` does by tables of the objects, without their pixels.

    Parameters
    ----------
    sizes
        For each plane, in the order of `numpy.ndindex`, int64 (N + 1,): pixels of its objects 1 to N, which are
        numbered by their first pixels; 0 for the background.
    shape
        Planes along each of the axes.
    axes
        One letter for each of them.
    overlaps
        Compares two planes that follow one another along Z or T. Asked only if `link`.
    link
        Whether objects keep their number along Z and T.

    Returns
    -------
    list of int32 (N + 1,)
        For each plane the number in the stack that each of its objects gets; 0 for 0.
    int
        How many objects there are.
    """
    names = [np.arange(len(own), dtype=np.int64) for own in sizes]
    count = len(names[0]) - 1 if len(names) == 1 else 0
    done = ""
    for axis in sorted(axes, key=lambda letter: "ZT".index(letter) if letter in "ZT" else 2):
        inner = [axes.index(letter) for letter in axis + done]
        outer = [place for place in range(len(axes)) if place not in inner]
        planes = np.arange(len(sizes)).reshape(shape).transpose(*outer, *inner)
        for index in np.ndindex(planes.shape[: len(outer)]):
            frames = [frame.ravel().tolist() for frame in planes[index]]
            count = _name_frames(frames, names, sizes, overlaps if link and axis in "ZT" else None)
        done += axis
    return [name.astype(np.int32) for name in names], count


def _name_frames(
    frames: Sequence[Sequence[int]],
    names: list[NDArray[np.int64]],
    sizes: Sequence[NDArray[np.int64]],
    overlaps: Callable[[int, int], Overlaps] | None,
) -> int:
    """Give the objects of frames, each of which is of several planes, their numbers; return how many there are."""
    total = 0
    before: Sequence[int] = ()
    ordered_before: list[NDArray[np.int64]] = []
    sizes_before, names_before = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for frame in frames:
        ordered, count = _ordered([names[plane] for plane in frame])
        sizes_here = np.zeros(count + 1, np.int64)
        for plane, own in zip(frame, ordered, strict=True):
            np.add.at(sizes_here, own, sizes[plane])
        numbers = np.zeros(count + 1, np.int64)
        if overlaps is not None and before:
            pairs = [
                (one[found.one], other[found.other], found.pixels)
                for plane, next_plane, one, other in zip(before, frame, ordered_before, ordered, strict=True)
                for found in [overlaps(plane, next_plane)]
            ]
            shared = Overlaps.of(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
            sources, targets = _mutual(shared, sizes_before, sizes_here, MIN_IOU)
            numbers[targets] = names_before[sources]
        new = np.flatnonzero(numbers[1:] == 0) + 1
        numbers[new] = total + 1 + np.arange(len(new))
        total += len(new)
        for plane, own in zip(frame, ordered, strict=True):
            names[plane] = numbers[own]
        before, ordered_before, sizes_before, names_before = frame, ordered, sizes_here, numbers
    return total


def _ordered(names: Sequence[NDArray[np.int64]]) -> tuple[list[NDArray[np.int64]], int]:
    """Give the objects of a frame numbers in the order in which they come; return their count, too."""
    found, first = np.unique(np.concatenate([own[1:] for own in names]), return_index=True)
    numbers = np.zeros(int(found.max(initial=0)) + 1, np.int64)
    numbers[found[np.argsort(first)]] = np.arange(1, len(found) + 1)
    return [np.append(0, numbers[own[1:]]) for own in names], len(found)


def number_frames(frames: NDArray[np.integer]) -> NDArray[np.int32]:
    """Give every object of every frame a number of its own, int32 from 1 without gaps.

    Parameters
    ----------
    frames
        (N, ...), 0 is background.
    """
    numbered = np.empty(frames.shape, np.int32)
    total = 0
    for frame, out in zip(frames, numbered, strict=True):
        ordered, count = _in_raster_order(frame)
        out[...] = np.where(ordered, ordered + total, 0)
        total += count
    return numbered


def link_frames(frames: NDArray[np.integer], min_iou: float = MIN_IOU) -> NDArray[np.int32]:
    """Give an object the number of the one in the frame before that it overlaps most.

    Two objects of neighbouring frames are the same where each has no larger overlap (intersection over union)
    with another of that frame, and it is at least `min_iou`. So an object that divides goes on as its largest
    part and the others are new, and of objects that merge the largest goes on. There are no links across
    a frame in which an object is missing. Among equal overlaps the object whose first pixel comes first wins,
    whatever its number is.

    Parameters
    ----------
    frames
        (N, ...), areas or volumes, 0 is background.
    min_iou
        Above 0, up to 1.

    Returns
    -------
    int32, of the same shape
        Objects count from 1 without gaps, in the order of their first frame and first pixel.
    """
    linked = np.zeros(frames.shape, np.int32)
    total = 0
    before, names = np.zeros(frames.shape[1:], np.int32), np.zeros(1, np.int32)
    for frame, out in zip(frames, linked, strict=True):
        ordered, count = _in_raster_order(frame)
        sources, targets = _same(before, ordered, min_iou)
        next_names = np.zeros(count + 1, np.int32)
        next_names[targets] = names[sources]
        new = np.flatnonzero(next_names[1:] == 0) + 1
        next_names[new] = total + 1 + np.arange(len(new))
        total += len(new)
        out[...] = next_names[ordered]
        before, names = ordered, next_names
    return linked


def _in_raster_order(frame: NDArray[np.integer]) -> tuple[NDArray[np.int32], int]:
    """Give the objects of a frame the numbers from 1 in the order of their first pixels; return their count, too."""
    flat = frame.ravel()
    places = np.flatnonzero(flat)
    first = np.full(int(flat.max(initial=0)) + 1, -1)
    # Of several assignments to one element the last one stays: that of the first pixel.
    first[flat[places[::-1]]] = places[::-1]
    present = np.flatnonzero(first >= 0)
    numbers = np.zeros(len(first), np.int32)
    numbers[present[np.argsort(first[present])]] = np.arange(1, len(present) + 1)
    return numbers[frame], len(present)


def _same(
    before: NDArray[np.int32], after: NDArray[np.int32], min_iou: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of objects that are each other's largest overlap."""
    sizes_before, sizes_after = np.bincount(before.ravel()), np.bincount(after.ravel())
    both = (before > 0) & (after > 0)
    pairs, shared = np.unique(before[both].astype(np.int64) * len(sizes_after) + after[both], return_counts=True)
    first, second = np.divmod(pairs, len(sizes_after))
    return _mutual(Overlaps(first, second, shared), sizes_before, sizes_after, min_iou)


def _mutual(
    overlaps: "Overlaps", sizes_before: NDArray[np.intp], sizes_after: NDArray[np.intp], min_iou: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second, shared = overlaps.one, overlaps.other, overlaps.pixels
    iou = shared / (sizes_before[first] + sizes_after[second] - shared)
    kept = iou >= min_iou
    first, second, iou = first[kept], second[kept], iou[kept]
    mutual = _best_of(first, second, iou) & _best_of(second, first, iou)
    return first[mutual], second[mutual]


def _best_of(owner: NDArray[np.intp], other: NDArray[np.intp], iou: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark for each owner its pair of largest overlap; of equal ones the lowest `other`."""
    order = np.lexsort((other, -iou, owner))
    best = np.zeros(len(owner), dtype=bool)
    _, starts = np.unique(owner[order], return_index=True)
    best[order[starts]] = True
    return best
