"""What meets at the edges of a plane's blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.grid import BlockGrid
from napari_unetseg.postprocessing.blocks import Block

Ints = NDArray[np.int64]


def edges_of(block: NDArray[Any]) -> NDArray[Any]:
    """Return the edge pixels of a block (Y, X): its top and bottom rows, then its left and right columns."""
    return np.concatenate([block[0], block[-1], block[:, 0], block[:, -1]])


@dataclass(frozen=True)
class BlockEdges:
    """The edge pixels of all blocks of a plane, one block after the other, as `edges_of` returns them.

    Attributes
    ----------
    grid
        How the plane is divided.
    """

    grid: BlockGrid

    @cached_property
    def _sizes(self) -> Ints:
        """Height and width of each block, (N, 2)."""
        blocks = (self.grid.block(number) for number in range(len(self.grid)))
        return np.array([[side.stop - side.start for side in block] for block in blocks], np.int64)

    @cached_property
    def starts(self) -> Ints:
        """Where the pixels of each block begin, and at last where all end, (N + 1,)."""
        starts: Ints = np.cumsum(np.append(0, 2 * self._sizes.sum(axis=1)))
        return starts

    @cached_property
    def blocks(self) -> Ints:
        """The block of each edge pixel."""
        return np.repeat(np.arange(len(self.grid)), np.diff(self.starts))

    def places(self, rows: Ints, columns: Ints) -> Ints:
        """Return where pixels of the plane are among these; each is at an edge of its block."""
        side = self.grid.side
        (block_row, row), (block_column, column) = np.divmod(rows, side), np.divmod(columns, side)
        block = block_row * self.grid.columns + block_column
        height, width = self._sizes[block].T
        place = np.select(
            [row == 0, row == height - 1, column == 0],
            [column, width + column, 2 * width + row],
            2 * width + height + row,
        )
        places: Ints = self.starts[block] + place
        return places

    def meetings(self, *, corners: bool) -> tuple[Ints, Ints]:
        """Return the pairs of edge pixels of different blocks that are neighbours, each pair once.

        Parameters
        ----------
        corners
            Whether pixels that meet at a corner are neighbours, too.
        """
        pairs = list(self._meetings(corners))
        nothing = np.zeros(0, np.int64)
        one, other = (np.concatenate([nothing, *(pair[end] for pair in pairs)]) for end in (0, 1))
        return one, other

    def _meetings(self, corners: bool) -> Iterator[tuple[Ints, Ints]]:
        grid = self.grid
        for number in range(len(grid)):
            height, width = self._sizes[number]
            at = self.starts[number]
            bottom, right = at + width + np.arange(width), at + 2 * width + height + np.arange(height)
            row, column = divmod(number, grid.columns)
            if column + 1 < grid.columns:
                yield from _along(right, self.starts[number + 1] + 2 * self._sizes[number + 1][1], corners)
            if row + 1 < grid.rows:
                below = number + grid.columns
                yield from _along(bottom, self.starts[below], corners)
                if corners and column + 1 < grid.columns:
                    yield bottom[-1:], self.starts[below + 1 : below + 2]
                if corners and column > 0:
                    yield bottom[:1], self.starts[below - 1 : below] + self._sizes[below - 1][1] - 1


def _along(line: Ints, other_start: int, corners: bool) -> Iterator[tuple[Ints, Ints]]:
    """Yield the pixels of a line that meet those of the line beside it."""
    other = other_start + np.arange(len(line))
    yield line, other
    if corners:
        yield line[1:], other[:-1]
        yield line[:-1], other[1:]


def starts_of(lengths: Sequence[int]) -> Ints:
    """Return where each of several parts begins in what follows one another, and at last where all end."""
    starts: Ints = np.cumsum([0, *lengths])
    return starts


def pixels_in_plane(pixels: Ints, block: Block, shape: tuple[int, int]) -> Ints:
    """Return the flat indices in a plane (Y, X) of pixels of a block, from those in the block."""
    row, column = np.divmod(pixels, block[1].stop - block[1].start)
    places: Ints = (row + block[0].start) * shape[1] + column + block[1].start
    return places
