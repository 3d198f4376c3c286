"""Labels, written block by block to where they were wanted."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_unetseg.blockwise.basins_stage import block_units
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_json, save_json
from napari_unetseg.blockwise.linking_stage import in_stack
from napari_unetseg.blockwise.objects_stage import plane_labels
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.errors import Cancelled
from napari_unetseg.language import Sentence


class LabelStage:
    """Writes what is final."""

    name = "labels"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of all planes."""
        return block_units(job)

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block has been written, and into these labels: they may have been made anew since."""
        file = job.folder.unit_file(self.name, unit, ".json")
        if not file.exists():
            return False
        written = load_json(file)
        if not written:
            return True
        row, column = written["pixel"]
        seen = job.target.read(job.planes[unit.plane], (slice(row, row + 1), slice(column, column + 1)))
        return bool(int(seen[0, 0]) == written["label"])

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Write a block."""
        labels = in_stack(job, unit.plane, plane_labels(job, unit.plane, unit.number))
        if job.is_cancelled():
            raise Cancelled(Sentence("{image}: the segmentation was cancelled.", image=job.image.name))
        block = job.grid.block(unit.number)
        job.target.write_block(job.planes[unit.plane], block, labels)
        written: dict[str, Any] = {}
        if labels.any():
            row, column = np.unravel_index(int(np.argmax(labels > 0)), labels.shape)
            pixel = [block[0].start + int(row), block[1].start + int(column)]
            written = {"pixel": pixel, "label": int(labels[row, column])}
        save_json(job.folder.unit_file(self.name, unit, ".json"), written)

    def conclude(self, job: BlockJob) -> None:
        """Nothing is left to do."""
