"""Holes of objects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.postprocessing.blocks import Block, strips
from napari_unetseg.postprocessing.side_by_side import side_by_side

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)

EULER_STRIP = 2**18
"""Pixels of a strip in which holes are counted."""

PIXELS_OF_A_HOLE = 10_000
"""Pixels of an image that are looked through in the time in which an object is cut out and looked at."""

FEW_OBJECTS = 8
"""So many objects are looked for one by one in the time in which the boxes of all are found."""


@dataclass(frozen=True)
class Gaps:
    """The 8-connected pieces of the background of a block, and what they touch.

    Attributes
    ----------
    numbers
        int32 (Y, X): the gap of each pixel, from 1; 0 in objects.
    least, greatest
        int32 (N + 1,), the least and the greatest label that a gap touches within the block; 0 as the greatest: none.
    open
        Which gaps reach an edge of the block, rising.
    """

    numbers: NDArray[np.int32]
    least: NDArray[np.int32]
    greatest: NDArray[np.int32]
    open: NDArray[np.intp]

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Gaps":
        """Return what there is in a block whose gaps do not matter."""
        nothing = np.zeros(1, np.int32)
        return cls(np.zeros(shape, np.int32), nothing, nothing, np.zeros(0, np.intp))

    @property
    def enclosed_by(self) -> NDArray[np.int32]:
        """int32 (N + 1,), the object that alone encloses a gap within the block; 0: there is none."""
        enclosed = np.where(self.least == self.greatest, self.greatest, 0)
        enclosed[self.open] = 0
        return enclosed

    def filled_into(self, labels: NDArray[np.int32], label: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give each gap the label of (N + 1,) that stands for it, and leave those of 0."""
        return labels + np.take(label, self.numbers) if label.any() else labels


def find_gaps(labels: NDArray[np.int32]) -> Gaps:
    """Find the gaps between and within the objects of a block (Y, X), in which 0 is background."""
    is_gap = labels == 0
    numbers, count = ndimage.label(is_gap, structure=EIGHT_NEIGHBOURS)
    least, greatest = np.full(count + 1, np.iinfo(np.int32).max, np.int32), np.zeros(count + 1, np.int32)
    width = labels.shape[1]
    for one, other, step in ((np.s_[:, :-1], np.s_[:, 1:], 1), (np.s_[:-1], np.s_[1:], width)):
        meets = np.zeros(labels.shape, bool)
        np.not_equal(is_gap[one], is_gap[other], out=meets[one])
        pixels = np.flatnonzero(meets)
        gap, label = (np.maximum(values[pixels], values[pixels + step]) for values in (numbers.ravel(), labels.ravel()))
        np.minimum.at(least, gap, label)
        np.maximum.at(greatest, gap, label)
    reach_an_edge = np.zeros(count + 1, bool)
    for edge in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
        reach_an_edge[edge] = True
    reach_an_edge[0] = False
    return Gaps(numbers.astype(np.int32, copy=False), least, greatest, np.flatnonzero(reach_an_edge))


def fill_holes(labels: NDArray[np.int32], at_once: int | None = None) -> NDArray[np.int32]:
    """Give background that one object alone encloses to that object, in place.

    Holes are 8-connected, and do not touch the border of the image. The numbering stays in raster order.

    Parameters
    ----------
    labels
        (Y, X), 0 is background. Every object is in one piece, 4-connected.
    at_once
        Most threads; None: as many as there are cores.
    """
    pierced = np.flatnonzero(euler_numbers(labels, at_once)[1:] < 1) + 1
    if not len(pierced):
        return labels
    if len(pierced) * PIXELS_OF_A_HOLE > labels.size:
        return _fill(labels)
    for box in _boxes(labels, pierced):
        labels[box] = _fill(labels[box].copy())
    return labels


def _boxes(labels: NDArray[np.int32], wanted: NDArray[np.intp]) -> list[Block]:
    """Return the bounding boxes of some objects."""
    if len(wanted) > FEW_OBJECTS:
        boxes = ndimage.find_objects(labels)
        return [boxes[label - 1] for label in wanted]
    masks = (labels == label for label in wanted)
    rows_and_columns = ([np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)] for mask in masks)
    return [tuple(slice(at[0], at[-1] + 1) for at in places) for places in rows_and_columns]


def euler_numbers(labels: NDArray[np.int32], at_once: int | None = None) -> NDArray[np.int64]:
    """Return for each label the number of its 8-connected pieces less that of their holes, (N + 1,) for 0 to N.

    Holes are 4-connected and may hold other labels, so an object of one piece without any has no hole that could be
    filled, either. Pixels are added one by one in raster order: one without a neighbour of its label that came before
    begins a piece, and one whose neighbours that came before do not touch each other joins two pieces or closes a hole.
    """

    def changes(rows: slice) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the labels of the pixels of a strip that add 1, and of those that take 1 away."""
        own = labels[rows]
        left, above_left, above, above_right = (np.zeros(own.shape, bool) for _ in range(4))
        np.equal(own[:, 1:], own[:, :-1], out=left[:, 1:])
        first = 1 if rows.start == 0 else 0
        here, before = own[first:], labels[rows.start + first - 1 : rows.stop - 1]
        np.equal(here[:, 1:], before[:, :-1], out=above_left[first:, 1:])
        np.equal(here, before, out=above[first:])
        np.equal(here[:, :-1], before[:, 1:], out=above_right[first:, :-1])
        left |= above_left
        added = ~(left | above | above_right)
        taken = left & above_right & ~above
        return own.ravel()[np.flatnonzero(added)], own.ravel()[np.flatnonzero(taken)]

    found = list(side_by_side(changes, strips(labels.shape, EULER_STRIP), at_once))
    length = int(labels.max(initial=0)) + 1
    added, taken = (np.bincount(np.concatenate(parts), minlength=length) for parts in zip(*found, strict=True))
    return added - taken


def _fill(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Do what `fill_holes` does to objects in any number of pieces."""
    gaps, count = ndimage.label(labels == 0, structure=EIGHT_NEIGHBOURS)
    enclosed = np.ones(count + 1, bool)
    for border in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        enclosed[border] = False
    enclosed[0] = False
    if not enclosed.any():
        return labels
    pixels = np.concatenate(
        [np.flatnonzero(enclosed[gaps[rows]]) + rows.start * labels.shape[1] for rows in strips(labels.shape)]
    )
    gap = gaps.ravel()[pixels]
    smallest = np.full(count + 1, np.iinfo(np.int32).max, dtype=np.int32)
    largest = np.zeros(count + 1, dtype=np.int32)
    # No pixel of a hole is at the border, so its neighbours are the ones next to it in memory.
    for step in (1, -1, labels.shape[1], -labels.shape[1]):
        neighbour = labels.ravel()[pixels + step]
        touching = neighbour > 0
        np.minimum.at(smallest, gap[touching], neighbour[touching])
        np.maximum.at(largest, gap[touching], neighbour[touching])
    labels.ravel()[pixels] = np.where(smallest == largest, largest, 0)[gap]
    return labels
