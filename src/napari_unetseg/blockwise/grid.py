"""How a plane is divided into blocks, each of which is written by one process alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from napari_unetseg.postprocessing.blocks import Block

BLOCK_SIDE = 2048
"""Side of a block in pixels: a whole shard of the label image, so that no two processes write into one file."""


@dataclass(frozen=True)
class BlockGrid:
    """Squares that cover a plane, in raster order; those at its bottom and right end where it ends.

    Attributes
    ----------
    shape
        Height and width of the plane in pixels.
    side
        Of a square.
    """

    shape: tuple[int, int]
    side: int = BLOCK_SIDE

    @property
    def rows(self) -> int:
        """Blocks from top to bottom."""
        return -(-self.shape[0] // self.side)

    @property
    def columns(self) -> int:
        """Blocks from left to right."""
        return -(-self.shape[1] // self.side)

    def __len__(self) -> int:
        return self.rows * self.columns

    def block(self, number: int) -> Block:
        """Return rows and columns of a block, counted from 0 in raster order."""
        starts = (at * self.side for at in divmod(number, self.columns))
        return tuple(
            slice(start, min(start + self.side, length)) for start, length in zip(starts, self.shape, strict=True)
        )

    def touching(self, region: Block) -> Iterator[int]:
        """Yield the numbers of the blocks that have a pixel in a region of the plane, in raster order."""
        rows, columns = (range(side.start // self.side, -(-side.stop // self.side)) for side in region)
        return (row * self.columns + column for row in rows for column in columns)
