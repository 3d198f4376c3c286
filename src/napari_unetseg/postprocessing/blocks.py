"""Parts of an image that are processed on their own, so that a large one needs little memory."""

from collections.abc import Iterator
from itertools import product
from math import ceil

Block = tuple[slice, ...]
"""Rows and columns of an image, as slices with a start and a stop."""

STRIP = 2**22
"""Pixels of a strip."""

CACHED_STRIP = 2**16
"""Pixels of a strip of which a core keeps several copies in its cache: to work on one after the other takes half of the
time, since no memory has to be got for the copies."""

MIDDLE_SIDE = 1024
"""Pixels along each axis of the middle of an image, where the middle says enough of all of it."""


def strips(shape: tuple[int, ...], pixels: int | None = None) -> Iterator[slice]:
    """Yield the rows of an image (Y, X) in strips of about so many pixels, or `STRIP`, from top to bottom."""
    step = max((STRIP if pixels is None else pixels) // max(shape[1], 1), 1)
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def blocks(shape: tuple[int, ...], side: int) -> Iterator[Block]:
    """Yield the blocks of an image (Y, X) in raster order: the fewest of at most that side, of about one size."""
    rows, columns = (
        [slice(at, min(at + step, length)) for at in range(0, length, step)]
        for length in shape
        for step in [ceil(length / max(ceil(length / side), 1))]
    )
    yield from product(rows, columns)


def grow_block(block: Block, by: int, shape: tuple[int, ...]) -> Block:
    """Return a block with `by` pixels more on each side, as far as an image (Y, X) of that shape goes."""
    return tuple(
        slice(max(side.start - by, 0), min(side.stop + by, length)) for side, length in zip(block, shape, strict=True)
    )


def relative_to(block: Block, outer: Block) -> Block:
    """Return the same pixels, counted from the first row and column of a block around it."""
    return tuple(
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(block, outer, strict=True)
    )


def middle_span(length: int, side: int) -> slice:
    """Return the middle `side` of `length` pixels, or all of fewer."""
    start = max(length - side, 0) // 2
    return slice(start, start + min(side, length))
