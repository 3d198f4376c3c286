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

from collections.abc import Sequence
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
        by_edge = np.argsort(self.edge, kind="stable")
        falling = by_edge[_stable_order(_rising_integers(0 - self.height[by_edge]))]
        low, high = np.minimum(self.one, self.other)[falling], np.maximum(self.one, self.other)[falling]
        pairs = low * (int(high.max(initial=0)) + 1) + high
        order = _stable_order(pairs)
        is_first = np.ones(len(order), bool)
        np.not_equal(pairs[order[1:]], pairs[order[:-1]], out=is_first[1:])
        kept = np.sort(order[is_first])
        kept = kept[low[kept] != high[kept]]
        return Saddles(low[kept], high[kept], self.height[falling[kept]], self.edge[falling[kept]])


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
    """The basins of an image or of one of its blocks.

    Attributes
    ----------
    peak
        (N,), flat index in the image of the pixel to which all others of the basin lead.
    height
        float32 (N,), of the peak.
    size
        (N,), number of pixels.
    first
        (N,), flat index in the image of the first pixel in raster order.
    saddles
        The saddle points between them.
    """

    peak: IntArray
    height: Heights
    size: IntArray
    first: IntArray
    saddles: Saddles


def find_basins(heights: Heights, block: Block, numbers: NDArray[np.int32]) -> Basins:
    """Find the basins of one block, and write their numbers into its pixels.

    Pixels that lead out of the block form a basin whose peak is the first pixel outside, and each pixel below or to
    the right of the block is a basin of no pixels; `join_blocks` puts together what belongs together.

    Parameters
    ----------
    heights
        float32 (height + 2, width + 2), the block and the pixels round it; -inf for the background and beyond
        the image.
    block
        Rows and columns of the image.
    numbers
        int32 (Y, X) of the image. Basin number i of this block becomes i + 1, the background 0.
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
    goal = _follow(goal)
    size = np.bincount(goal[: len(own)], minlength=len(pixels))
    is_listed = size > 0
    is_listed[len(own) :] |= (beyond >= heights.size - width) | (beyond % width == width - 1)
    listed = np.flatnonzero(is_listed)
    position = np.zeros(len(pixels), np.int32)
    position[listed] = np.arange(1, len(listed) + 1)
    number = position[goal]
    basin = np.zeros(heights.shape, np.int32)
    basin.ravel()[pixels] = number
    numbers[block] = basin[1:-1, 1:-1]
    number = number[: len(own)]
    first = np.full(len(listed) + 1, -1)
    first[number[::-1]] = own[::-1]  # the last assignment stays: the first pixel

    def index(pixel: IntArray) -> IntArray:
        """Return where pixels of the block and its frame lie in the image."""
        row, column = np.divmod(pixel, width)
        places: IntArray = (row + (block[0].start - 1)) * numbers.shape[1] + (column + (block[1].start - 1))
        return places

    found = []
    for direction, step in enumerate((1, width)):
        there = basin.ravel()[own + step]
        meets = np.flatnonzero((there != number) & (there > 0))
        pixel = own[meets]
        lower = np.minimum(heights.ravel()[pixel], heights.ravel()[pixel + step])
        edge = index(pixel) + direction * numbers.size
        found.append((number[meets] - np.int64(1), there[meets] - np.int64(1), lower, edge))
    saddles = Saddles(*(np.concatenate(column) for column in zip(*found, strict=True))).highest()
    return Basins(
        index(pixels[listed]),
        heights.ravel()[pixels[listed]],
        size[listed],
        np.where(first[1:] < 0, np.iinfo(np.int64).max, index(first[1:])),
        saddles,
    )


def join_blocks(
    blocks: Sequence[Block], found: Sequence[Basins], numbers: NDArray[np.int32]
) -> tuple[Basins, list[IntArray]]:
    """Put the basins of all blocks together.

    Parameters
    ----------
    blocks
        The blocks of the image, in raster order.
    found
        Of each block, as `find_basins` returns them.
    numbers
        int32 (Y, X), as `find_basins` has filled it.

    Returns
    -------
    Basins
        Basins of the image, in the order of the squares of `ORDER_SIDE` that their peaks lie in, and in raster order
        there.
    list of (N + 1,)
        For each block, which of them a number in its pixels means; -1 for 0.
    """
    starts = np.cumsum([0, *(len(part.peak) for part in found)])
    peak = np.concatenate([part.peak for part in found])
    row, column = np.divmod(peak, numbers.shape[1])
    tops, lefts = (np.array(sorted({block[axis].start for block in blocks})) for axis in (0, 1))
    block_row, block_column = (
        np.searchsorted(edges, at, side="right") - 1 for edges, at in ((tops, row), (lefts, column))
    )
    goal = _follow(starts[block_row * len(lefts) + block_column] + numbers.ravel()[peak] - 1)
    whole = np.flatnonzero(goal == np.arange(len(goal)))
    whole = whole[np.lexsort((peak[whole], column[whole] // ORDER_SIDE, row[whole] // ORDER_SIDE))]
    position = np.zeros(len(goal), np.int64)
    position[whole] = np.arange(len(whole))
    owner = position[goal]
    sizes, firsts = (np.concatenate([getattr(part, name) for part in found]) for name in ("size", "first"))
    size, first = merge_parts(owner, len(whole), sizes, firsts)
    one, other = (
        np.concatenate([getattr(part.saddles, end) + start for part, start in zip(found, starts[:-1], strict=True)])
        for end in ("one", "other")
    )
    saddle_height, edge = (
        np.concatenate([getattr(part.saddles, name) for part in found]) for name in ("height", "edge")
    )
    height = np.concatenate([part.height for part in found])[whole]
    saddles = Saddles(owner[one], owner[other], saddle_height, edge).highest()
    meaning = [np.append(-1, owner[start:stop]) for start, stop in pairwise(starts)]
    return Basins(peak[whole], height, size, first, saddles), meaning


def merge_parts(owner: IntArray, count: int, size: IntArray, first: IntArray) -> tuple[IntArray, IntArray]:
    """Return the summed size and the first pixel of the parts of each of `count` owners; each has a part."""
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, owner, size)
    firsts = np.full(count, np.iinfo(np.int64).max)
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


def _follow(goal: IntArray) -> IntArray:
    """Follow steps to their ends by pointer jumping: twice as far each time."""
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            return goal
        goal = further
