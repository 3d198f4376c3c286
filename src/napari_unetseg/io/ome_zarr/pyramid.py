"""Arrays of an image at several resolutions, written block by block by many processes."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import Block

if TYPE_CHECKING:
    import zarr

LARGEST_CHUNK = 512
"""Side in pixels of what is read at once at most: a viewer that shows a screen reads little more than that."""

LOWEST_LEVEL = 1024
"""A plane is shown as a whole from a level whose longest side is at most this."""

SMALLEST_PART = 32
"""Side in pixels below which a block's part of a level would be a file of nearly nothing."""

Shrink = Callable[[NDArray[Any], int], NDArray[Any]]
"""Makes an array (..., Y, X) of one pixel from each square of so many."""


def every_nth(values: NDArray[Any], stride: int) -> NDArray[Any]:
    """Keep the first pixel of each square; so numbers of objects stay what they are."""
    return values[..., ::stride, ::stride]


def means(values: NDArray[Any], stride: int) -> NDArray[Any]:
    """Average each square; of one that reaches beyond the end, what there is of it."""
    if stride == 1:
        return values
    starts = [np.arange(0, length, stride) for length in values.shape[-2:]]
    counts = [np.diff([*at, length]) for at, length in zip(starts, values.shape[-2:], strict=True)]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=-2, dtype=np.float32), starts[1], axis=-1)
    averaged: NDArray[Any] = (sums / np.multiply.outer(*counts)).astype(values.dtype)
    return averaged


def usual_strides(shape: tuple[int, int], block_side: int, levels: int | None = None) -> tuple[int, ...]:
    """Return how many pixels of full resolution a pixel of each level spans: 1, 2, 4, ...

    Parameters
    ----------
    shape
        Height and width of full resolution.
    block_side
        Of the blocks that are written, in pixels; each level divides it.
    levels
        How many there shall be; None: until the lowest shows a plane as a whole. There are fewer where a block would
        have no pixel, or nearly none, of its own.
    """
    smallest = 1 if levels else SMALLEST_PART
    strides = [1]
    while block_side % (2 * strides[-1]) == 0 and block_side // (2 * strides[-1]) >= smallest:
        enough = len(strides) >= levels if levels else max(shape) <= LOWEST_LEVEL * strides[-1]
        if enough:
            break
        strides.append(2 * strides[-1])
    return tuple(strides)


def create_arrays(
    group: "zarr.Group",
    shape: tuple[int, ...],
    strides: Sequence[int],
    names: Sequence[str],
    dtype: Any,
    block_side: int,
) -> tuple["zarr.Array[Any]", ...]:
    """Make the arrays of a pyramid, without a pixel in them.

    A block is a whole number of files at every level, so that no two processes write into one.

    Parameters
    ----------
    group
        Gets the arrays, under the names ``"0"``, ``"1"``, ...
    shape
        Of full resolution, (..., Y, X).
    strides
        How many pixels of full resolution a pixel of each level spans, along Y and X.
    names
        Of the axes.
    dtype
        Of the pixels.
    block_side
        Of the blocks that are written, in pixels.
    """
    from zarr.codecs import ZstdCodec

    version = group.metadata.zarr_format
    made = []
    for level, stride in enumerate(strides):
        part = block_side // stride
        chunk = max(side for side in range(1, min(part, LARGEST_CHUNK) + 1) if part % side == 0)
        before = (1,) * (len(shape) - 2)
        # Bytes of numbers of objects are not shuffled: that costs files a quarter of their compression.
        how: dict[str, Any] = (
            {
                "chunk_key_encoding": {"name": "v2", "separator": "/"},
                "compressors": {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 0, "blocksize": 0},
            }
            if version == 2
            else {
                "shards": (*before, part, part),
                "dimension_names": tuple(names),
                "compressors": ZstdCodec(),
            }
        )
        made.append(
            group.create_array(
                str(level),
                shape=(*shape[:-2], *(math.ceil(length / stride) for length in shape[-2:])),
                chunks=(*before, chunk, chunk),
                dtype=dtype,
                fill_value=0,
                **how,
            )
        )
    return tuple(made)


def write_region(
    arrays: Sequence["zarr.Array[Any]"],
    strides: Sequence[int],
    index: tuple[int | slice, ...],
    region: Block,
    values: NDArray[Any],
    shrink: Shrink,
) -> None:
    """Write a part of a plane into all levels.

    Parameters
    ----------
    arrays
        Of the levels, (..., Y, X).
    strides
        How many pixels of full resolution a pixel of each spans.
    index
        Where the plane is along the axes before Y and X.
    region
        Rows and columns, which begin at a multiple of the largest stride.
    values
        (..., Y, X) of the region.
    shrink
        Makes the lower levels.

    Raises
    ------
    ValueError
        If the region begins elsewhere, since a lower level would have pixels of two blocks.
    """
    if any(side.start % max(strides) for side in region):
        raise ValueError(f"a block that begins at {region[0].start}, {region[1].start} is not whole at every level")
    for array, stride in zip(arrays, strides, strict=True):
        part = shrink(values, stride)
        rows, columns = (
            slice(side.start // stride, side.start // stride + length)
            for side, length in zip(region, part.shape[-2:], strict=True)
        )
        array[(*index, rows, columns)] = part
