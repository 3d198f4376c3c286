"""The hills of a landscape, found block by block: what leads up to the same peak, and the passes between them.

Every pixel of the foreground leads to its highest 4-neighbour if that is higher, and so, step by step, to a
peak; what leads to one peak is a hill. Two peaks are connected above a level just where there is a way
over passes above it, and a flood from some of the peaks takes each hill over its highest pass. So hills and
passes, a few for each object, are all it takes to divide objects. The pixels themselves are looked at once, in
blocks, and neither size nor place of the blocks changes anything: no step depends on more than a pixel's neighbours
and its place in the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.windows import Window

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Saddles:
    """Where hills meet.

    Attributes
    ----------
    one, other
        (M,), the two hills.
    height
        float32 (M,), of the lower of the two pixels between which the pass lies.
    place
        (M,), which two pixels of the image these are: of equally high passes the one with the lowest comes first.
    """

    one: Ints
    other: Ints
    height: Floats
    place: Ints

    def highest(self) -> "Saddles":
        """Keep the first of the highest passes between each two hills, ordered from the highest one down."""
        order = np.lexsort((self.place, -self.height))
        low, high = np.minimum(self.one, self.other)[order], np.maximum(self.one, self.other)[order]
        pairs = low * (int(high.max(initial=0)) + 1) + high
        kept = np.sort(np.unique(pairs, return_index=True)[1])
        kept = kept[low[kept] != high[kept]]
        return Saddles(low[kept], high[kept], self.height[order][kept], self.place[order][kept])


@dataclass(frozen=True)
class Basins:
    """What is known of the hills of an image or of one of its blocks.

    Attributes
    ----------
    peak
        (N,), flat index in the image of the pixel to which all others of the hill lead.
    height
        float32 (N,), of the peak.
    size
        (N,), number of pixels.
    first
        (N,), flat index in the image of the first pixel in raster order.
    saddles
        Between them.
    """

    peak: Ints
    height: Floats
    size: Ints
    first: Ints
    saddles: Saddles


def find_basins(heights: Floats, block: Window, numbers: NDArray[np.int32]) -> Basins:
    """Find the hills of one block, and write their numbers into its pixels.

    What leads out of the block is a hill whose peak is the first pixel outside, and each pixel below or to the
    right of the block is a hill too, of no pixels; `join` puts them together.

    Parameters
    ----------
    heights
        float32 (height + 2, width + 2), the block and the pixels round it; -inf for the background and beyond
        the image.
    block
        Rows and columns of the image.
    numbers
        int32 (Y, X) of the image. Hill number i of this block becomes i + 1, the background 0.
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
    place = (row + (block[0].start - 1)) * numbers.shape[1] + (column + (block[1].start - 1))
    first = np.full(len(listed), np.iinfo(np.int64).max)
    first[position[reached[::-1]] - 1] = place[own][::-1]  # the last assignment stays: the first pixel
    basin = np.zeros(heights.shape, np.int32)
    basin.ravel()[pixels] = position[goal]
    numbers[block] = basin[1:-1, 1:-1]
    saddles = _passes(heights, basin, block, numbers.shape)
    saddles = Saddles(saddles.one - 1, saddles.other - 1, saddles.height, saddles.place)
    return Basins(place[listed], heights.ravel()[pixels[listed]], size[listed], first, saddles)


def count_on(basins: Basins, block: Window, numbers: NDArray[np.int32], count: int) -> Basins:
    """Let the numbers of a block, in its pixels too, go on from those of the `count` hills of the blocks before."""
    part = numbers[block]
    np.add(part, count, out=part, where=part > 0)
    saddles = basins.saddles
    saddles = Saddles(saddles.one + count, saddles.other + count, saddles.height, saddles.place)
    return replace(basins, saddles=saddles)


def join(blocks: Sequence[Basins], numbers: NDArray[np.int32]) -> tuple[Basins, Ints]:
    """Put the hills of all blocks together, each of which has been counted on from those before.

    Returns
    -------
    Basins
        Those of the image.
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
    size, first = gather(owner, len(whole), sizes, firsts)
    one, other, pass_height, place = (
        np.concatenate([getattr(block.saddles, name) for block in blocks])
        for name in ("one", "other", "height", "place")
    )
    height = np.concatenate([block.height for block in blocks])[whole]
    saddles = Saddles(owner[one], owner[other], pass_height, place).highest()
    return Basins(peak[whole], height, size, first, saddles), np.append(-1, owner)


def gather(owner: Ints, count: int, size: Ints, first: Ints) -> tuple[Ints, Ints]:
    """Add up the sizes of what belongs together, and find its first pixels; each of `count` owners has something."""
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, owner, size)
    firsts = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(firsts, owner, first)
    return sizes, firsts


def _climb(heights: Floats, pixels: Ints, own: NDArray[np.bool_]) -> Ints:
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


def _follow(goal: Ints) -> Ints:
    """Follow steps to their ends, looking twice as far each time."""
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            return goal
        goal = further


def _passes(heights: Floats, basin: NDArray[np.int32], block: Window, shape: tuple[int, int]) -> Saddles:
    """Find the passes of a block from each of its pixels to the next one on the right and below."""
    found = []
    here = basin[1:-1, 1:-1]
    for direction, (there, offset) in enumerate(((basin[1:-1, 2:], 1), (basin[2:, 1:-1], basin.shape[1]))):
        row, column = np.nonzero((here != there) & (here > 0) & (there > 0))
        pixel = (row + 1) * basin.shape[1] + column + 1
        place = (row + block[0].start) * shape[1] + column + block[1].start
        lower = np.minimum(heights.ravel()[pixel], heights.ravel()[pixel + offset])
        ends = (basin.ravel()[index].astype(np.int64) for index in (pixel, pixel + offset))
        found.append((*ends, lower, place + direction * shape[0] * shape[1]))
    return Saddles(*(np.concatenate(column) for column in zip(*found, strict=True))).highest()
