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
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import Block

IntArray = NDArray[np.int64]
Heights = NDArray[np.float32]


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
        order = np.lexsort((self.edge, -self.height))
        low, high = np.minimum(self.one, self.other)[order], np.maximum(self.one, self.other)[order]
        pairs = low * (int(high.max(initial=0)) + 1) + high
        kept = np.sort(np.unique(pairs, return_index=True)[1])
        kept = kept[low[kept] != high[kept]]
        return Saddles(low[kept], high[kept], self.height[order][kept], self.edge[order][kept])


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
    rows, columns = heights.shape[0] - 2, heights.shape[1] - 2
    pixels = np.flatnonzero(heights > -np.inf)
    row, column = np.divmod(pixels, columns + 2)
    own = (row > 0) & (row <= rows) & (column > 0) & (column <= columns)
    goal = _climb(heights, pixels, own)
    reached = goal[own]
    size = np.bincount(reached, minlength=len(pixels))
    listed = np.flatnonzero((size > 0) | (row > rows) | (column > columns))
    position = np.zeros(len(pixels), np.int32)
    position[listed] = np.arange(1, len(listed) + 1)
    index = (row + (block[0].start - 1)) * numbers.shape[1] + (column + (block[1].start - 1))
    first = np.full(len(listed), np.iinfo(np.int64).max)
    first[position[reached[::-1]] - 1] = index[own][::-1]  # the last assignment stays: the first pixel
    basin = np.zeros(heights.shape, np.int32)
    basin.ravel()[pixels] = position[goal]
    numbers[block] = basin[1:-1, 1:-1]
    saddles = _find_saddles(heights, basin, block, numbers.shape)
    saddles = Saddles(saddles.one - 1, saddles.other - 1, saddles.height, saddles.edge)
    return Basins(index[listed], heights.ravel()[pixels[listed]], size[listed], first, saddles)


def renumber_block(basins: Basins, block: Block, numbers: NDArray[np.int32], count: int) -> Basins:
    """Make the basin numbers of a block follow those of the `count` basins of the blocks before, in its pixels too."""
    part = numbers[block]
    np.add(part, count, out=part, where=part > 0)
    saddles = basins.saddles
    saddles = Saddles(saddles.one + count, saddles.other + count, saddles.height, saddles.edge)
    return replace(basins, saddles=saddles)


def join_blocks(blocks: Sequence[Basins], numbers: NDArray[np.int32]) -> tuple[Basins, IntArray]:
    """Put the basins of all blocks together, whose numbers follow each other (see `renumber_block`).

    Returns
    -------
    Basins
        Basins of the image.
    (N + 1,)
        Which of them a number in `numbers` means; -1 for 0.
    """
    peak = np.concatenate([block.peak for block in blocks])
    goal = numbers.ravel()[peak].astype(np.int64) - 1
    goal = _follow(goal)
    whole = np.flatnonzero(goal == np.arange(len(goal)))
    position = np.zeros(len(goal), np.int64)
    position[whole] = np.arange(len(whole))
    owner = position[goal]
    sizes, firsts = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("size", "first"))
    size, first = merge_parts(owner, len(whole), sizes, firsts)
    one, other, saddle_height, edge = (
        np.concatenate([getattr(block.saddles, name) for block in blocks])
        for name in ("one", "other", "height", "edge")
    )
    height = np.concatenate([block.height for block in blocks])[whole]
    saddles = Saddles(owner[one], owner[other], saddle_height, edge).highest()
    return Basins(peak[whole], height, size, first, saddles), np.append(-1, owner)


def merge_parts(owner: IntArray, count: int, size: IntArray, first: IntArray) -> tuple[IntArray, IntArray]:
    """Return the summed size and the first pixel of the parts of each of `count` owners; each has a part."""
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, owner, size)
    firsts = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(firsts, owner, first)
    return sizes, firsts


def _climb(heights: Heights, pixels: IntArray, own: NDArray[np.bool_]) -> IntArray:
    """Return for each of the pixels where it leads, as a position among them; those that are not own lead nowhere.

    On a plateau a pixel leads up or left, so that a plateau has few peaks.
    """
    middle = heights[1:-1, 1:-1]
    best, step = middle.copy(), np.zeros(middle.shape, np.int32)
    width = heights.shape[1]
    around = (
        (-width, heights[:-2, 1:-1], np.greater_equal),
        (-1, heights[1:-1, :-2], np.greater_equal),
        (1, heights[1:-1, 2:], np.greater),
        (width, heights[2:, 1:-1], np.greater),
    )
    for offset, neighbour, leads in around:
        better = leads(neighbour, best)
        np.copyto(best, neighbour, where=better)
        np.copyto(step, offset, where=better)
    position = np.zeros(heights.size, np.int32)
    position[pixels] = np.arange(len(pixels))
    goal = np.arange(len(pixels))
    goal[own] = position[pixels[own] + step[middle > -np.inf]]
    return _follow(goal)


def _follow(goal: IntArray) -> IntArray:
    """Follow steps to their ends by pointer jumping: twice as far each time."""
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            return goal
        goal = further


def _find_saddles(heights: Heights, basin: NDArray[np.int32], block: Block, shape: tuple[int, int]) -> Saddles:
    """Find the saddle points between each pixel of a block and its right and lower neighbours."""
    found = []
    here = basin[1:-1, 1:-1]
    for direction, (there, offset) in enumerate(((basin[1:-1, 2:], 1), (basin[2:, 1:-1], basin.shape[1]))):
        row, column = np.nonzero((here != there) & (here > 0) & (there > 0))
        pixel = (row + 1) * basin.shape[1] + column + 1
        index = (row + block[0].start) * shape[1] + column + block[1].start
        lower = np.minimum(heights.ravel()[pixel], heights.ravel()[pixel + offset])
        ends = (basin.ravel()[index].astype(np.int64) for index in (pixel, pixel + offset))
        found.append((*ends, lower, index + direction * shape[0] * shape[1]))
    return Saddles(*(np.concatenate(column) for column in zip(*found, strict=True))).highest()
