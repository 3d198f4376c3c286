"""The basins of a block in groups that belong to one object whatever lies around the block.

An object has some ten basins, most of them shallow dips of noise; what `merging` decides needs a few groups of them.
A peak never stands for an object if a path leads from it to a higher one over saddle points of more than
``sqrt(split)`` times its own height: wherever `merging` could choose it, the higher one lies in the same region. And of
what no peak stands for, the flood enters over the highest saddle point. So a group in which no peak stands for an
object joins the group beyond its highest saddle point, step by step, as Boruvka's minimum spanning forest grows. Paths
between what is left keep their lowest saddle points: whatever crosses a group that has joined another leaves it over a
saddle point no higher than the one over which it joined.
"""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.basins import Basins, IntArray, follow, group_basins
from napari_unetseg.postprocessing.blocks import Block

_CLEARLY = 1 + 1e-5
"""How much higher is higher whatever the rounding of relative heights."""

Floats = NDArray[np.float64]


def open_basins(numbers: NDArray[np.int32], block: Block, shape: tuple[int, int], count: int) -> NDArray[np.bool_]:
    """Mark the basins of a block that may have parts or neighbours in other blocks, bool (count,).

    Parameters
    ----------
    numbers
        int32 (height, width), as `find_basins` returns them.
    block
        Rows and columns of the image.
    shape
        (Y, X) of the image.
    count
        Of the basins.
    """
    is_open = np.zeros(count + 1, bool)
    for axis, (side, length) in enumerate(zip(block, shape, strict=True)):
        lines = np.moveaxis(numbers, axis, 0)
        if side.start > 0:
            is_open[lines[0]] = True
        if side.stop < length:
            is_open[lines[-1]] = True
    return is_open[1:]


def reduce_basins(basins: Basins, is_open: NDArray[np.bool_], split: float) -> tuple[Basins, IntArray]:
    """Put basins into groups, as few as can be without knowing what is around them.

    `napari_unetseg.postprocessing.merging` makes the same objects of the groups as of the basins.

    Parameters
    ----------
    basins
        Of a block.
    is_open
        bool (N,), as `open_basins` marks them.
    split
        See `napari_unetseg.postprocessing.decoding.decode`; above 0.

    Returns
    -------
    Basins
        The groups, at most one of whose basins may stand for an object.
    (N,)
        The group of each basin.
    """
    groups = _Groups(basins, is_open | (basins.target >= 0))
    while groups.join(split):
        pass
    target = np.full(len(groups.height), -1)
    leads = basins.target >= 0
    target[groups.owner[leads]] = basins.target[leads]
    return group_basins(groups.owner, basins, target, basins.saddles), groups.owner


class _Groups:
    """Groups of basins, and the saddle points between them from the highest down."""

    def __init__(self, basins: Basins, is_open: NDArray[np.bool_]) -> None:
        count = len(basins.peak)
        self.owner: IntArray = np.arange(count)
        self.height: Floats = basins.height.astype(np.float64)
        self.peak: IntArray = basins.peak
        self.is_open = is_open
        # Whether it is known that no peak of the group stands for an object.
        self.is_led = np.zeros(count, bool)
        # The lowest saddle point on the way from the group's highest peak to the basin that the others have joined.
        self.reach: Floats = np.full(count, np.inf)
        saddles = basins.saddles
        self.one, self.other = saddles.one, saddles.other
        self.saddle: Floats = saddles.height.astype(np.float64)

    def join(self, split: float) -> bool:
        """Let groups join those beyond their highest saddle points; return whether any did."""
        self._find_led(split)
        count = len(self.height)
        best = np.full(count, -1)
        # The last assignment stays: that of the highest saddle point.
        ends = np.stack([self.one, self.other], axis=1).ravel()[::-1]
        best[ends] = np.arange(len(ends))[::-1] // 2
        joining = np.flatnonzero(self.is_led & ~self.is_open & (best >= 0))
        if not len(joining):
            return False
        over = best[joining]
        there = self.one[over] + self.other[over] - joining
        into = np.arange(count)
        into[joining] = there
        # Of two that would join each other the higher one stays.
        stays = joining[(into[there] == joining) & self._is_higher(joining, there)]
        into[stays] = stays
        root = follow(into)
        reach = self.reach.copy()
        moved = into != np.arange(count)
        reach[moved] = np.minimum(reach[moved], self.saddle[best[moved]])
        self._replace(root, reach)
        return True

    def _find_led(self, split: float) -> None:
        """Mark the groups whose highest peak leads to a higher one over high saddle points."""
        is_higher = self._is_higher(self.one, self.other)
        low, high = np.where(is_higher, self.other, self.one), np.where(is_higher, self.one, self.other)
        way = np.minimum(self.saddle, np.minimum(self.reach[low], self.reach[high]))
        is_led = (self.height[high] >= self.height[low] * _CLEARLY) | (self.peak[high] < self.peak[low])
        is_led &= way >= np.sqrt(split) * _CLEARLY * self.height[low]
        self.is_led[low[is_led]] = True

    def _is_higher(self, one: IntArray, other: IntArray) -> NDArray[np.bool_]:
        a, b = self.height[one], self.height[other]
        higher: NDArray[np.bool_] = (a > b) | ((a == b) & (self.peak[one] < self.peak[other]))
        return higher

    def _replace(self, root: IntArray, reach: Floats) -> None:
        """Make of all groups with one root one group."""
        kept = np.flatnonzero(root == np.arange(len(root)))
        position = np.empty(len(root), np.int64)
        position[kept] = np.arange(len(kept))
        group = position[root]
        # From the lowest to the highest: the last assignment to a group stays.
        top = np.empty(len(kept), np.int64)
        rising = np.lexsort((-self.peak, self.height))
        top[group[rising]] = rising
        self.owner = group[self.owner]
        self.height, self.peak, self.reach, self.is_led = (
            self.height[top],
            self.peak[top],
            reach[top],
            self.is_led[top],
        )
        self.is_open = self.is_open[kept]
        one, other = group[self.one], group[self.other]
        between = np.flatnonzero(one != other)
        self.one, self.other = one[between], other[between]
        self.saddle = self.saddle[between]
