"""Objects of each block as far as it knows them, and what they are together: watershed basins, or connected regions."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.basin_joining import arrays_of, join_basins
from napari_unetseg.blockwise.block_labels import BlockLabels
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays, save_arrays
from napari_unetseg.blockwise.joining import BlockEdges, Ints, edges_of, pixels_in_plane, starts_of
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.postprocessing.basins import Basins, find_basins, join_blocks, merge_parts
from napari_unetseg.postprocessing.blocks import Block, blocks, grow_block, relative_to
from napari_unetseg.postprocessing.decoding import BLOCK_SIDE
from napari_unetseg.postprocessing.landscape import DEPTH_MARGIN, MARGIN, elevation
from napari_unetseg.postprocessing.merging import connected_nodes
from napari_unetseg.postprocessing.numbering import count_objects, ranks
from napari_unetseg.postprocessing.reduction import open_basins, reduce_basins
from napari_unetseg.postprocessing.side_by_side import side_by_side


def block_units(job: BlockJob) -> Iterable[Unit]:
    """Return the blocks of all planes."""
    return (Unit(plane, number) for plane in range(len(job.planes)) for number in range(len(job.grid)))


class BasinsStage:
    """Finds the objects of planes before outlines, holes and confidence are looked at."""

    name = "basins"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of all planes."""
        return block_units(job)

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block's file is there."""
        return job.folder.unit_file(self.name, unit).exists()

    def reads(self, job: BlockJob, unit: Unit) -> Block | None:
        """Return which part of the maps a block depends on; None where that is not known before they are read."""
        parameters = job.parameters
        if parameters.split > 0 and not {"distance", "boundary"} & set(job.card.heads):
            return None
        return grow_block(job.grid.block(unit.number), MARGIN if parameters.split > 0 else 0, job.grid.shape)

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Find the basins or the connected regions of a block."""
        find = _find_basins if job.parameters.split > 0 else _find_regions
        numbers, found = find(job, unit)
        BlockLabels(job, self.name, unit.plane).save_numbers(unit.number, numbers, len(found["size"]))
        save_arrays(job.folder.unit_file(self.name, unit), edges=edges_of(numbers), **found)

    def conclude(self, job: BlockJob) -> None:
        """Put together what belongs together, and give numbers to the objects of enough pixels."""
        least = 0 if job.parameters.smoothing else job.parameters.min_size
        join = join_basins if job.parameters.split > 0 else _join_regions
        for plane in range(len(job.planes)):
            labels = BlockLabels(job, self.name, plane)
            if not labels.are_known:
                files = [job.folder.unit_file(self.name, Unit(plane, number)) for number in range(len(job.grid))]
                labels.save_labels(join(job, files, least))


def _find_regions(job: BlockJob, unit: Unit) -> tuple[NDArray[np.int32], dict[str, NDArray[Any]]]:
    """Find the 4-connected regions of a block, and count their pixels."""
    from scipy import ndimage

    block = job.grid.block(unit.number)
    mask = job.maps(unit.plane)["foreground"][block] >= job.parameters.threshold
    numbers = ndimage.label(mask)[0].astype(np.int32, copy=False)
    size, first = count_objects(numbers)
    return numbers, {"size": size[1:], "first": pixels_in_plane(first[1:], block, job.grid.shape)}


def _join_regions(job: BlockJob, files: Sequence[Path], least: int) -> list[NDArray[np.int32]]:
    found = [load_arrays(file) for file in files]
    starts = starts_of([len(part["size"]) for part in found])
    size, first = (np.concatenate([part[name] for part in found]) for name in ("size", "first"))
    owner = joined_regions(BlockEdges(job.grid), found, starts)
    count = int(owner.max(initial=-1)) + 1
    numbers = ranks(*merge_parts(owner, count, size, first), least)[owner]
    return np.split(numbers, starts[1:-1])


def joined_regions(
    edges: BlockEdges, found: list[dict[str, NDArray[Any]]], starts: Ints, label: NDArray[np.int32] | None = None
) -> Ints:
    """Return the connected region that each region of a block belongs to; of `label`, if given, each has one."""
    number = np.concatenate([part["edges"] for part in found]).astype(np.int64)
    node = np.where(number > 0, starts[edges.blocks] + number - 1, -1)
    one, other = (node[ends] for ends in edges.meetings(corners=False))
    both = (one >= 0) & (other >= 0)
    one, other = one[both], other[both]
    if label is not None:
        same = label[one] == label[other]
        one, other = one[same], other[same]
    return connected_nodes(int(starts[-1]), one, other)


def _find_basins(job: BlockJob, unit: Unit) -> tuple[NDArray[np.int32], dict[str, NDArray[Any]]]:
    """Find the basins of a block, in groups that are one object whatever lies around it."""
    shape, block = job.grid.shape, job.grid.block(unit.number)
    planes = _near(job.maps(unit.plane), block, job.card.heads)
    parts = [
        tuple(slice(side.start + whole.start, side.stop + whole.start) for side, whole in zip(part, block, strict=True))
        for part in blocks(tuple(side.stop - side.start for side in block), BLOCK_SIDE)
    ]
    numbers = np.empty([side.stop - side.start for side in block], np.int32)

    def find(part: Block) -> Basins:
        basins, numbers[relative_to(part, block)] = find_basins(
            elevation(planes, job.parameters.threshold, part), part, shape
        )
        return basins

    found = list(side_by_side(find, parts))
    top, left = (side.start for side in block)
    basins, meanings = join_blocks(parts, found, shape[1], lambda row, column: numbers[row - top, column - left])
    for part, means in zip(parts, meanings, strict=True):
        own = numbers[relative_to(part, block)]
        own[...] = (means + 1)[own]
    reduced, group = reduce_basins(basins, open_basins(numbers, block, shape, len(basins.peak)), job.parameters.split)
    numbers = np.append(0, group + 1).astype(np.int32)[numbers]
    return numbers, arrays_of(reduced)


class _NearMap:
    """A map of a plane of which a part is in memory."""

    def __init__(self, whole: Any, near: Block) -> None:
        self.shape: tuple[int, int] = whole.shape
        self._whole, self._near = whole, near
        self._pixels = np.asarray(whole[near])

    def __getitem__(self, region: Block) -> NDArray[np.float32]:
        inside = all(
            around.start <= side.start and side.stop <= around.stop
            for side, around in zip(region, self._near, strict=True)
        )
        pixels: NDArray[np.float32] = (
            self._pixels[relative_to(region, self._near)] if inside else np.asarray(self._whole[region])
        )
        return pixels


def _near(maps: Mapping[str, Any], block: Block, heads: tuple[str, ...]) -> Any:
    """Read of the maps what the heights of a block depend on, or most of it."""
    second = [name for name in ("distance", "boundary") if name in heads][:1]
    wanted = ["foreground", *second]
    margin = MARGIN if second else MARGIN + DEPTH_MARGIN
    return {name: _NearMap(maps[name], grow_block(block, margin, maps[name].shape)) for name in wanted}
