"""Outlines of objects evened out, block by block."""

from collections.abc import Iterable

import numpy as np

from napari_unetseg.blockwise.basins_stage import BasinsStage, block_units, joined_regions
from napari_unetseg.blockwise.block_labels import BlockLabels
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays, save_arrays
from napari_unetseg.blockwise.joining import BlockEdges, edges_of, pixels_in_plane, starts_of
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.postprocessing.basins import merge_parts
from napari_unetseg.postprocessing.blocks import grow_block, relative_to
from napari_unetseg.postprocessing.numbering import compact_labels, count_objects, ranks
from napari_unetseg.postprocessing.smoothing import smoothed_pieces


class SmoothingStage:
    """Evens out outlines; an object that falls apart keeps its largest piece, whatever blocks that lies in."""

    name = "smoothing"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of all planes; none where outlines stay as they are."""
        return block_units(job) if job.parameters.smoothing else ()

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block's file is there."""
        return job.folder.unit_file(self.name, unit).exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Find the pieces of objects in a block."""
        block, radius = job.grid.block(unit.number), job.parameters.smoothing
        around = grow_block(block, radius, job.grid.shape)
        values, labels = compact_labels(BlockLabels(job, BasinsStage.name, unit.plane).read(around))
        numbers, owners = smoothed_pieces(labels, radius, relative_to(block, around))
        size, first = count_objects(numbers)
        BlockLabels(job, self.name, unit.plane).save_numbers(unit.number, numbers, len(owners))
        save_arrays(
            job.folder.unit_file(self.name, unit),
            label=values[owners],
            size=size[1:],
            first=pixels_in_plane(first[1:], block, job.grid.shape),
            edges=edges_of(numbers),
        )

    def conclude(self, job: BlockJob) -> None:
        """Keep the largest piece of each object, and give numbers to those of enough pixels."""
        if not job.parameters.smoothing:
            return
        for plane in range(len(job.planes)):
            labels = BlockLabels(job, self.name, plane)
            if labels.are_known:
                continue
            files = [job.folder.unit_file(self.name, Unit(plane, number)) for number in range(len(job.grid))]
            found = [load_arrays(file) for file in files]
            starts = starts_of([len(part["size"]) for part in found])
            size, first, label = (np.concatenate([part[name] for part in found]) for name in ("size", "first", "label"))
            owner = joined_regions(BlockEdges(job.grid), found, starts, label)
            count = int(owner.max(initial=-1)) + 1
            size, first = merge_parts(owner, count, size, first)
            object_of = np.zeros(count, np.int64)
            object_of[owner] = label
            # Of each object the largest piece comes first, and of equally large ones the one of the first pixel.
            order = np.lexsort((first, -size, object_of))
            _, largest = np.unique(object_of[order], return_index=True)
            kept = np.zeros(count, np.int64)
            kept[order[largest]] = size[order[largest]]
            numbers = ranks(kept, first, job.parameters.min_size)[owner]
            labels.save_labels(np.split(numbers, starts[1:-1]))
