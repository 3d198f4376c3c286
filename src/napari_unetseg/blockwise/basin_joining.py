"""The basins of all blocks put together: first those of each row of blocks, then the rows.

What of a row is one object whatever the others hold is one group before the next row is read, so that no more is in
memory at once than a few numbers for each object of the plane, and the basins of one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.grid import BlockGrid
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays
from napari_unetseg.blockwise.joining import BlockEdges, Ints
from napari_unetseg.postprocessing.basins import Basins, Saddles, join_blocks, merge_parts
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.postprocessing.merging import join_fragments, merge_basins
from napari_unetseg.postprocessing.numbering import ranks
from napari_unetseg.postprocessing.reduction import reduce_basins


def arrays_of(basins: Basins) -> dict[str, NDArray[Any]]:
    """Return basins as arrays for a file."""
    saddles = basins.saddles
    return {
        "peak": basins.peak,
        "height": basins.height,
        "size": basins.size,
        "first": basins.first,
        "order": basins.order,
        "target": basins.target,
        "saddle_one": saddles.one.astype(np.int32),
        "saddle_other": saddles.other.astype(np.int32),
        "saddle_height": saddles.height,
        "saddle_edge": saddles.edge,
    }


def join_basins(job: BlockJob, files: Sequence[Path], least: int) -> list[NDArray[np.int32]]:
    """Find the objects of a plane.

    Parameters
    ----------
    files
        Of each block: `arrays_of` its basins, and the numbers at its edges.
    least
        Pixels below which objects are dropped.

    Returns
    -------
    list of int32 (N,)
        For each block the labels of its basins.
    """
    columns, split = job.grid.columns, job.parameters.split
    rows = [_read_row(job, row, files[row * columns : (row + 1) * columns]) for row in range(job.grid.rows)]

    spans, members = [row.span for row in rows], [row.members for row in rows]
    lines = np.stack([row.lines for row in rows])

    def numbers_at(pixel_rows: Ints, pixel_columns: Ints) -> NDArray[np.int32]:
        at, inside = np.divmod(pixel_rows, job.grid.side)
        numbers: NDArray[np.int32] = lines[at, np.minimum(inside, 1), pixel_columns]
        return numbers

    one_by_one = (rows.pop(0).basins for _ in spans)
    basins, meanings = join_blocks(spans, one_by_one, job.grid.shape[1], numbers_at)
    owner = join_fragments(basins, merge_basins(basins, split), split)
    sizes, first = merge_parts(owner, int(owner.max(initial=-1)) + 1, basins.size, basins.first)
    label = ranks(sizes, first, least)[owner]
    return [label[means[1:]][own] for means, blocks in zip(meanings, members, strict=True) for own in blocks]


@dataclass(frozen=True)
class _Row:
    """The basins of a row of blocks, in groups.

    Attributes
    ----------
    span
        Rows and columns of the plane.
    basins
        The groups.
    members
        For each block, int32 (N,), the group of each of its basins.
    lines
        int32 (2, X): number + 1 of the group of each pixel at its top and at its bottom; 0 is background.
    """

    span: Block
    basins: Basins
    members: list[NDArray[np.int32]]
    lines: NDArray[np.int32]


def _read_row(job: BlockJob, row: int, files: Sequence[Path]) -> _Row:
    grid = job.grid
    blocks = [grid.block(row * grid.columns + column) for column in range(grid.columns)]
    span = (blocks[0][0], slice(0, grid.shape[1]))
    top, height = span[0].start, span[0].stop - span[0].start
    edges = BlockEdges(BlockGrid((height, grid.shape[1]), grid.side))
    found = [load_arrays(file) for file in files]
    numbers = np.concatenate([part.pop("edges") for part in found])
    basins, meanings = join_blocks(
        blocks,
        [_basins_of(part) for part in found],
        grid.shape[1],
        lambda row, column: numbers[edges.places(row - top, column)],
    )
    every_column = np.arange(grid.shape[1])
    places = [edges.places(np.full_like(every_column, line), every_column) for line in (0, height - 1)]
    starts = np.cumsum([0, *(len(means) for means in meanings)])
    lines = np.concatenate(meanings)[[starts[edges.blocks[place]] + numbers[place] for place in places]]
    is_open = np.zeros(len(basins.peak) + 1, bool)
    is_open[lines[0 if top > 0 else 1]] = is_open[lines[1 if span[0].stop < grid.shape[0] else 0]] = True
    if grid.rows == 1:
        is_open[:] = False
    reduced, group = reduce_basins(basins, is_open[:-1], job.parameters.split)
    number = np.append(group, -1).astype(np.int32) + np.int32(1)
    return _Row(
        span=span,
        basins=reduced,
        members=[number[means[1:]] - np.int32(1) for means in meanings],
        lines=number[lines],
    )


def _basins_of(found: dict[str, NDArray[Any]]) -> Basins:
    """Take what `arrays_of` made out of the arrays of a file."""
    return Basins(
        peak=found.pop("peak"),
        height=found.pop("height"),
        size=found.pop("size"),
        first=found.pop("first"),
        order=found.pop("order"),
        target=found.pop("target"),
        saddles=Saddles(
            one=found.pop("saddle_one").astype(np.int64),
            other=found.pop("saddle_other").astype(np.int64),
            height=found.pop("saddle_height"),
            edge=found.pop("saddle_edge"),
        ),
    )
