"""Watershed basins of a landscape, found block by block, and the saddle points between them.

The landscape is high inside objects, so its basins are those of the watershed of the negated landscape, and a basin's
minimum is a peak here. Basins are found by steepest ascent rather than by immersion (Vincent and Soille, IEEE Trans.
Pattern Anal. Mach. Intell. 13, 583 (1991)): every pixel of the foreground leads to its highest 4-neighbour if that is
higher, and so, step by step, to a peak; the pixels that lead to one peak are a basin.

Two peaks are connected above a level just where a path over saddle points above it joins them, and a flood from some
of the peaks enters each basin over its highest saddle point. So basins and saddle points, a few for each object, are
all it takes to divide objects (see `merging`). The pixels themselves are visited once, in blocks. Neither the size nor
the position of the blocks changes the result: no step depends on more than a pixel's neighbours and its index in the
image.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import CACHED_STRIP, Block

IntArray = NDArray[np.int64]
Heights = NDArray[np.float32]

ORDER_SIDE = 1024
"""Side of the squares that give basins their order. Where objects are equally large the order decides which of them is
joined to the other (see `merging`), so it must not follow from how an image is divided into blocks."""

_LAST = np.iinfo(np.int64).max
"""Comes after every pixel of an image."""


@dataclass(frozen=True)
class Saddles:
    """Saddle points: where two basins meet at the greatest height.

    Attributes
    ----------
    one, other
        (M,), the two basins.
    height
        float32 (M,), of the lower of the two neighbouring pixels at which the basins meet.
    edge
        (M,), which two pixels of the image these are: the flat index of the first one, plus the number of the image's
        pixels where the second one lies below it instead of to its right. Of equally high saddle points the one with
        the lowest edge comes first.
    """

    one: IntArray
    other: IntArray
    height: Heights
    edge: IntArray

    def highest(self) -> "Saddles":
        """Keep the first of the highest saddle points between each two basins, ordered from the highest one down."""
        falling = np.argsort(self.edge, kind="stable")
        falling = falling[_stable_order(_rising_integers(0 - self.height[falling]))]
        one, other = self.one[falling], self.other[falling]
        pairs = np.minimum(one, other)
        pairs *= int(max(one.max(initial=0), other.max(initial=0))) + 1
        pairs += np.maximum(one, other)
        is_between = one != other
        del one, other  # of a large image these are the most that is in memory
        order = _stable_order(pairs)
        pairs = pairs[order]
        is_first = np.ones(len(order), bool)
        np.not_equal(pairs[1:], pairs[:-1], out=is_first[1:])
        del pairs
        kept = np.sort(order[is_first])
        del order
        kept = falling[kept[is_between[kept]]]
        del falling
        one, other = self.one[kept], self.other[kept]
        return Saddles(np.minimum(one, other), np.maximum(one, other), self.height[kept], self.edge[kept])


def _stable_order(values: IntArray) -> IntArray:
    """Return what sorts integers, equal ones in the order in which they are.

    Their positions are sorted along with them, in the lowest bits: numpy is several times as fast with plain integers.
    """
    bits = len(values).bit_length()
    if not len(values) or max(abs(int(values.min())), abs(int(values.max()))) >= 2 ** (63 - bits):
        return np.argsort(values, kind="stable")
    keys = (values << bits) | np.arange(len(values))
    keys.sort()
    order: IntArray = keys & ((1 << bits) - 1)
    return order


def _rising_integers(heights: Heights) -> IntArray:
    """Return integers that are in the order of floats: the bits of these, turned round where they are negative."""
    bits = heights.view(np.int32)
    return (bits ^ ((bits >> 31) & np.int32(2**31 - 1))).astype(np.int64)


@dataclass(frozen=True)
class Basins:
    """The basins of an image or of one of its blocks, or groups of basins that belong together (see `reduction`).

    Attributes
    ----------
    peak
        (N,), flat index in the image of the pixel to which all others of the basin lead; of a group that of the
        highest one, and of equally high ones the first.
    height
        float32 (N,), of the peak.
    size
        (N,), number of pixels.
    first
        (N,), flat index in the image of the first pixel in raster order.
    order
        (N,), what basins are sorted by: the squares of `ORDER_SIDE` that their peaks lie in, and raster order there; of
        a group the least. No peak comes after the greatest number, which stands for basins without one.
    target
        (N,), flat index in the image of the pixel outside of the block to which the basin leads; -1 where its peak lies
        within. `peak` and `height` are then those of this pixel, or of what is higher in the group.
    saddles
        The saddle points between them.
    """

    peak: IntArray
    height: Heights
    size: IntArray
    first: IntArray
    order: IntArray
    target: IntArray
    saddles: Saddles


def find_basins(heights: Heights, block: Block, shape: tuple[int, int]) -> tuple[Basins, NDArray[np.int32]]:
    """Find the basins of one block, and the basin of each of its pixels.

    Pixels that lead out of the block form a basin whose peak is the first pixel outside, and each pixel below or to
    the right of the block is a basin of no pixels; `join_blocks` puts together what belongs together.

    Parameters
    ----------
    heights
        float32 (height + 2, width + 2), the block and the pixels round it; -inf for the background and beyond
        the image.
    block
        Rows and columns of the image.
    shape
        (Y, X) of the image.

    Returns
    -------
    Basins
        Of the block.
    int32 (height, width)
        Number i + 1 in the pixels of basin i, 0 in the background.
    """
    width = heights.shape[1]
    mask = heights > -np.inf
    frame = mask.copy()
    frame[1:-1, 1:-1] = False
    mask ^= frame
    own, beyond = np.flatnonzero(mask), np.flatnonzero(frame)
    pixels = np.concatenate([own, beyond]) if len(beyond) else own
    position = np.empty(heights.size, np.int32)
    position[pixels] = np.arange(len(pixels), dtype=np.int32)
    goal = np.arange(len(pixels))
    goal[: len(own)] = position[own + _ascents(heights, own)]
    goal = follow(goal)
    size = np.bincount(goal[: len(own)], minlength=len(pixels))
    is_listed = size > 0
    is_listed[len(own) :] |= (beyond >= heights.size - width) | (beyond % width == width - 1)
    listed = np.flatnonzero(is_listed)
    position = np.zeros(len(pixels), np.int32)
    position[listed] = np.arange(1, len(listed) + 1)
    number = position[goal]
    basin = np.zeros(heights.shape, np.int32)
    basin.ravel()[pixels] = number
    number = number[: len(own)]
    first = np.full(len(listed) + 1, -1)
    first[number[::-1]] = own[::-1]  # the last assignment stays: the first pixel

    def index(pixel: IntArray) -> IntArray:
        """Return where pixels of the block and its frame lie in the image."""
        row, column = np.divmod(pixel, width)
        places: IntArray = (row + (block[0].start - 1)) * shape[1] + (column + (block[1].start - 1))
        return places

    found = []
    for direction, step in enumerate((1, width)):
        there = basin.ravel()[own + step]
        meets = np.flatnonzero((there != number) & (there > 0))
        pixel = own[meets]
        lower = np.minimum(heights.ravel()[pixel], heights.ravel()[pixel + step])
        edge = index(pixel) + direction * shape[0] * shape[1]
        found.append((number[meets] - np.int64(1), there[meets] - np.int64(1), lower, edge))
    saddles = Saddles(*(np.concatenate(column) for column in zip(*found, strict=True))).highest()
    peak, is_beyond = index(pixels[listed]), listed >= len(own)
    basins = Basins(
        peak=peak,
        height=heights.ravel()[pixels[listed]],
        size=size[listed],
        first=np.where(first[1:] < 0, _LAST, index(first[1:])),
        order=np.where(is_beyond, _LAST, _order_of(peak, shape[1])),
        target=np.where(is_beyond, peak, -1),
        saddles=saddles,
    )
    return basins, basin[1:-1, 1:-1]


def _order_of(peak: IntArray, width: int) -> IntArray:
    """Return what basins are sorted by, from the flat indices of their peaks in an image of that width."""
    row, column = np.divmod(peak, width)
    (square_row, row), (square_column, column) = np.divmod(row, ORDER_SIDE), np.divmod(column, ORDER_SIDE)
    square = square_row * (width // ORDER_SIDE + 1) + square_column
    order: IntArray = (square * ORDER_SIDE + row) * ORDER_SIDE + column
    return order


def join_blocks(
    blocks: Sequence[Block],
    found: Iterable[Basins],
    width: int,
    numbers_at: Callable[[IntArray, IntArray], NDArray[np.integer]],
) -> tuple[Basins, list[IntArray]]:
    """Put the basins of all blocks together.

    Parameters
    ----------
    blocks
        The blocks of the image, or of a rectangle of it, in raster order.
    found
        Of each block, as `find_basins` returns them; of those that are made one by one no more is kept than is needed.
    width
        Of the image.
    numbers_at
        Gives the numbers of pixels that `find_basins` gave them in their blocks, from rows and columns of the image.
        Asked only for pixels at the edges of blocks.

    Returns
    -------
    Basins
        Basins of the image, by their `order`. Those that lead out of the rectangle keep their `target`.
    list of (N + 1,)
        For each block, which of them a number in its pixels means; -1 for 0.
    """
    parts, starts = _concatenated(list(found))
    goal = np.arange(len(parts.peak))
    leading = np.flatnonzero(parts.target >= 0)
    row, column = np.divmod(parts.target[leading], width)
    bottom, right = (max(block[axis].stop for block in blocks) for axis in (0, 1))
    tops, lefts = (np.array(sorted({block[axis].start for block in blocks})) for axis in (0, 1))
    is_within = (row >= tops[0]) & (row < bottom) & (column >= lefts[0]) & (column < right)
    leading, row, column = leading[is_within], row[is_within], column[is_within]
    block_row, block_column = (
        np.searchsorted(edges, at, side="right") - 1 for edges, at in ((tops, row), (lefts, column))
    )
    goal[leading] = starts[block_row * len(lefts) + block_column] + numbers_at(row, column) - 1
    goal = follow(goal)
    whole = np.flatnonzero(goal == np.arange(len(goal)))
    position = np.zeros(len(goal), np.int64)
    position[whole] = np.arange(len(whole))
    order = np.full(len(whole), _LAST)
    np.minimum.at(order, position[goal], parts.order)
    rising = np.argsort(order, kind="stable")
    position[whole[rising]] = np.arange(len(whole))
    owner = position[goal]
    joined = group_basins(owner, parts, parts.target[whole[rising]], parts.saddles)
    meaning = [np.append(-1, owner[start:stop]) for start, stop in pairwise(starts)]
    return joined, meaning


def _concatenated(found: list[Basins]) -> tuple[Basins, IntArray]:
    """Put the basins of blocks one after the other; return where those of each block begin, too."""
    starts = np.cumsum([0, *(len(part.peak) for part in found)])
    offsets = list(zip(found, starts.tolist(), strict=False))
    joined = Basins(
        peak=np.concatenate([part.peak for part in found]),
        height=np.concatenate([part.height for part in found]),
        size=np.concatenate([part.size for part in found]),
        first=np.concatenate([part.first for part in found]),
        order=np.concatenate([part.order for part in found]),
        target=np.concatenate([part.target for part in found]),
        saddles=Saddles(
            one=np.concatenate([part.saddles.one + start for part, start in offsets]),
            other=np.concatenate([part.saddles.other + start for part, start in offsets]),
            height=np.concatenate([part.saddles.height for part in found]),
            edge=np.concatenate([part.saddles.edge for part in found]),
        ),
    )
    return joined, starts


def group_basins(owner: IntArray, parts: Basins, target: IntArray, saddles: Saddles) -> Basins:
    """Make one basin, or group of them, of the parts of each owner.

    Parameters
    ----------
    owner
        (N,), of each part, from 0; each owner has a part.
    parts
        Basins, or parts of them.
    target
        (M,), of the owners; see `Basins.target`.
    saddles
        Saddle points between the parts.
    """
    count = len(target)
    size, first = merge_parts(owner, count, parts.size, parts.first)
    order, peak = (np.full(count, _LAST) for _ in range(2))
    np.minimum.at(order, owner, parts.order)
    height = np.full(count, -np.inf, np.float32)
    np.maximum.at(height, owner, parts.height)
    is_highest = parts.height == height[owner]
    np.minimum.at(peak, owner[is_highest], parts.peak[is_highest])
    between = Saddles(owner[saddles.one], owner[saddles.other], saddles.height, saddles.edge)
    return Basins(peak, height, size, first, order, target, between.highest())


def merge_parts(owner: IntArray, count: int, size: IntArray, first: IntArray) -> tuple[IntArray, IntArray]:
    """Return the summed size and the first pixel of the parts of each of `count` owners; each has a part."""
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, owner, size)
    firsts = np.full(count, _LAST)
    np.minimum.at(firsts, owner, first)
    return sizes, firsts


def _ascents(heights: Heights, pixels: IntArray) -> IntArray:
    """Return for each of the pixels the step to the flat index that it leads to, 0 for a peak.

    On a plateau a pixel leads up or left, so that a plateau has few peaks.
    """
    flat, width = heights.ravel(), heights.shape[1]
    ways = np.empty(heights.size, np.uint8)
    for start in range(width, heights.size - width, CACHED_STRIP):
        stop = min(start + CACHED_STRIP, heights.size - width)
        left, up, middle, right, down = (flat[start + step : stop + step] for step in (-1, -width, 0, 1, width))
        highest = np.maximum(left, up)
        for other in (middle, right, down):
            np.maximum(highest, other, out=highest)
        # One bit for each direction whose pixel is as high as the highest: the first of them is where a pixel leads.
        way = ways[start:stop]
        np.equal(left, highest, out=way.view(bool))
        for other in (up, middle, right):
            way += way
            way |= (other == highest).view(np.uint8)
    steps = np.array([width, 1, *[0] * 2, *[-width] * 4, *[-1] * 8])
    return steps[ways[pixels]]


def follow(goal: IntArray) -> IntArray:
    """Follow steps to their ends by pointer jumping: twice as far each time."""
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            return goal
        goal = further
