"""Where two label images of one picture differ, object by object."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

SAME_IOU = 0.75
"""Two objects with at least this intersection over union have the same outline."""

MATCH_IOU = 0.5
"""Two objects with more than this intersection over union are one object, as AP@0.5 counts them."""


class Difference(IntEnum):
    """How objects of a first and a second label image stand to one another.

    Objects belong together where more than half of the smaller one lies in the other.
    """

    SAME = 0
    """One and one, with nearly the same outline."""
    ONLY_FIRST = 1
    """An object of the first image that none of the second belongs to."""
    ONLY_SECOND = 2
    """An object of the second image that none of the first belongs to."""
    SPLIT = 3
    """One object of the first image is several in the second."""
    MERGED = 4
    """Several objects of the first image are one in the second."""
    DIVIDED = 5
    """Several objects of both, divided along other lines."""
    OUTLINE = 6
    """One and one, with different outlines."""


@dataclass(frozen=True, eq=False)
class LabelDifferences:
    """What there is to say of two label images.

    Attributes
    ----------
    first, second
        Numbers of objects. In a stack those of each plane are counted by themselves.
    matches
        Pairs of objects with an intersection over union above `MATCH_IOU`.
    counts
        How many groups of objects there are of each kind.
    kinds
        uint8 (..., Y, X): the `Difference` of every pixel of a group; of `OUTLINE` only of pixels that are in one of
        the two objects, and 0 of all others.
    overlap, areas
        Pixels that are object in both images, and the sum of those of either.
    """

    first: int
    second: int
    matches: int
    counts: Mapping[Difference, int]
    kinds: NDArray[np.uint8]
    overlap: int
    areas: int

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN) of one image against the other, the same both ways; 1 where neither has an object."""
        every = self.first + self.second - self.matches
        return self.matches / every if every else 1.0

    @property
    def dice(self) -> float:
        """Twice the overlap of the foregrounds over the sum of their areas; 1 where both are empty."""
        return 2 * self.overlap / self.areas if self.areas else 1.0


def compare_labels(first: NDArray[np.integer], second: NDArray[np.integer]) -> LabelDifferences:
    """Compare two label images of one shape, (..., Y, X), a plane at a time; numbers of objects may have gaps.

    Parameters
    ----------
    first, second
        0 (and below) is background.
    """
    kinds = np.zeros(first.shape, np.uint8)
    planes = [_compare_planes(first[index], second[index], kinds[index]) for index in np.ndindex(first.shape[:-2])]
    counts = {kind: sum(plane.counts[kind] for plane in planes) for kind in Difference}
    sums = [
        sum(getattr(plane, name) for plane in planes) for name in ("first", "second", "matches", "overlap", "areas")
    ]
    return LabelDifferences(sums[0], sums[1], sums[2], counts, kinds, sums[3], sums[4])


def _compare_planes(
    first: NDArray[np.integer], second: NDArray[np.integer], kinds: NDArray[np.uint8]
) -> LabelDifferences:
    """Compare two planes, and write their kinds into `kinds`, which has 0 everywhere."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_of, heights = _number(first)
    column_of, widths = _number(second)
    rows, columns = row_of[np.maximum(first, 0)], column_of[np.maximum(second, 0)]  # 0 is background, both ways
    count_first, count_second = len(heights) - 1, len(widths) - 1
    both = (rows > 0) & (columns > 0)
    codes, shared = np.unique(rows[both].astype(np.int64) * len(widths) + columns[both], return_counts=True)
    at, to = np.divmod(codes, len(widths))
    iou = shared / (heights[at] + widths[to] - shared)
    linked = 2 * shared > np.minimum(heights[at], widths[to])
    # Nodes are the objects of the first image, then those of the second; 0, the background, is linked to nothing.
    nodes = len(heights) + len(widths)
    links = coo_array((np.ones(int(linked.sum())), (at[linked], len(heights) + to[linked])), shape=(nodes, nodes))
    groups, group_of = connected_components(links, directed=False)
    of_first, of_second = group_of[: len(heights)], group_of[len(heights) :]
    many_first = np.bincount(of_first[1:], minlength=groups)
    many_second = np.bincount(of_second[1:], minlength=groups)
    same = np.zeros(groups, bool)
    same[of_first[at[linked & (iou >= SAME_IOU)]]] = True
    group_kinds = np.select(
        [
            many_second == 0,
            many_first == 0,
            (many_first == 1) & (many_second == 1) & same,
            (many_first == 1) & (many_second == 1),
            many_first == 1,
            many_second == 1,
        ],
        [
            Difference.ONLY_FIRST,
            Difference.ONLY_SECOND,
            Difference.SAME,
            Difference.OUTLINE,
            Difference.SPLIT,
            Difference.MERGED,
        ],
        Difference.DIVIDED,
    ).astype(np.uint8)
    is_group = (many_first + many_second) > 0
    counts = np.bincount(group_kinds[is_group], minlength=len(Difference))
    _draw(kinds, group_kinds, (rows, columns), (of_first, of_second))
    return LabelDifferences(
        first=count_first,
        second=count_second,
        matches=int((iou > MATCH_IOU).sum()),
        counts={kind: int(counts[kind]) for kind in Difference},
        kinds=kinds,
        overlap=int(shared.sum()),
        areas=int(heights[1:].sum() + widths[1:].sum()),
    )


def _draw(
    kinds: NDArray[np.uint8],
    group_kinds: NDArray[np.uint8],
    numbers: tuple[NDArray[np.int32], NDArray[np.int32]],
    groups: tuple[NDArray[np.integer], NDArray[np.integer]],
) -> None:
    """Write the kind of every pixel; where groups of both images overlap, that of the first counts."""
    shown = []
    for number, group in zip(numbers, groups, strict=True):
        of_object = group_kinds[group]
        of_object[0] = 0  # the background
        shown.append(of_object[number])
    kinds[...] = np.where(shown[0] > 0, shown[0], shown[1])
    # Of outlines that differ only the pixels that one of the two has.
    shared = (groups[0][numbers[0]] == groups[1][numbers[1]]) & (numbers[0] > 0) & (numbers[1] > 0)
    kinds[shared & (kinds == Difference.OUTLINE)] = 0


def _number(labels: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Give objects numbers from 1 without gaps: that of each label, and the pixels of each number, 0 for 0."""
    areas = np.bincount(np.maximum(labels, 0).ravel())
    areas[0] = 0
    numbers = np.where(areas > 0, np.cumsum(areas > 0), 0).astype(np.int32)
    return numbers, np.concatenate([[0], areas[areas > 0]])
