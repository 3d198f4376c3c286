"""How an image is divided so that its tiles give what the whole image would give.

Three things make a tile exact for a network without image-wide statistics: every pixel that is kept
lies at least the receptive radius inside the window that was read, or the window ends where the image
ends; windows begin on multiples of 2^depth, so that poolings fall as they do in the whole image; and
the image is padded only once, before it is divided, to the multiple of 2^depth that poolings need.

The padding repeats the image mirrored about its bottom and right edge, edge pixels included. That is
defined for a single pixel too, continues texture and brightness (zeros would draw an edge along the
border of a bright image), and keeps the statistics that InstanceNorm takes nearly as they are.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

TileSlices = tuple[slice, slice]
"""Rows and columns of a tile."""

Weights = NDArray[np.float32]
"""Share of a window in each row, or each column, that it writes."""


@dataclass(frozen=True)
class Tile:
    """One window that the network sees, and the part of its output that is kept.

    Attributes
    ----------
    read
        Rows and columns of the padded image that the network sees.
    crop
        The part of the network's output that is kept.
    write
        Where in the image that part belongs; never beyond its true border.
    row_weights, column_weights
        Where windows overlap: what the rows and the columns of the kept part are multiplied with before
        they are added to the image; None where windows do not overlap.
    """

    read: TileSlices
    crop: TileSlices
    write: TileSlices
    row_weights: Weights | None = None
    column_weights: Weights | None = None

    @property
    def read_shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        rows, columns = self.read
        return rows.stop - rows.start, columns.stop - columns.start


def round_up(length: int, grid: int) -> int:
    """Return the next multiple of `grid` that is not below `length`."""
    return -(-length // grid) * grid


def mirrored(length: int, padded: int) -> NDArray[np.intp]:
    """Return which pixel of an axis of `length` stands at each of `padded` places."""
    return np.pad(np.arange(length), (0, padded - length), mode="symmetric")


def smallest_window(halo: int, grid: int) -> int:
    """Return the least side of a window that leaves something between its halos."""
    return 2 * halo + grid


def plan_tiles(shape: tuple[int, int], window: int, halo: int, grid: int) -> list[Tile]:
    """Divide an image into tiles, row by row.

    All windows have the same shape. It is made smaller than `window` where the same number of
    tiles then still covers the image.

    Parameters
    ----------
    shape
        Height and width of the image.
    window
        Largest side of what the network sees at once, halo included.
    halo
        Pixels around the kept part that the network must see, except beyond the border; rounded up
        to a multiple of `grid`.
    grid
        2^depth of the network.

    Returns
    -------
    list of Tile
        Their `write` parts cover each pixel exactly once. Where the image fits into one window,
        one tile.

    Raises
    ------
    ValueError
        If the window leaves nothing between its halos.
    """
    halo = round_up(halo, grid)
    window = window // grid * grid
    if window < smallest_window(halo, grid):
        raise ValueError(f"a window of {window} leaves nothing between halos of {halo} on a grid of {grid}")
    rows, columns = (_plan_axis(length, window, halo, grid) for length in shape)
    return [
        Tile((row.read, column.read), (row.crop, column.crop), (row.write, column.write))
        for row, column in product(rows, columns)
    ]


def whole_image(shape: tuple[int, int], padded: tuple[int, int]) -> Tile:
    """Return the one tile of an image that is not divided, padded to the given shape."""
    height, width = shape
    image = slice(0, height), slice(0, width)
    return Tile(read=(slice(0, padded[0]), slice(0, padded[1])), crop=image, write=image)


@dataclass(frozen=True)
class _Span:
    read: slice
    crop: slice
    write: slice


def _plan_axis(length: int, window: int, halo: int, grid: int) -> list[_Span]:
    """Place windows along one axis so that neighbours overlap by two halos or more."""
    padded = round_up(length, grid)
    if padded <= window:
        return [_Span(slice(0, padded), slice(0, length), slice(0, length))]
    # A window at the border needs no halo there, so one halo at either end is kept as well.
    count = -(-(padded - 2 * halo) // (window - 2 * halo))
    step = round_up(-(-(padded - 2 * halo) // count), grid)
    window = step + 2 * halo
    starts = [min(index * step, padded - window) for index in range(count)]
    edges = [0, *(start + halo for start in starts[1:]), length]
    return [
        _Span(slice(start, start + window), slice(first - start, last - start), slice(first, last))
        for start, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
    ]
