"""Labels, written block by block to where they were wanted."""

from collections.abc import Iterable

from napari_unetseg.blockwise.basins_stage import block_units
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import save_json
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
        """Whether a block has been written."""
        return job.folder.unit_file(self.name, unit, ".json").exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Write a block."""
        labels = in_stack(job, unit.plane, plane_labels(job, unit.plane, unit.number))
        if job.is_cancelled():
            raise Cancelled(Sentence("{image}: the segmentation was cancelled.", image=job.image.name))
        job.target.write_block(job.planes[unit.plane], job.grid.block(unit.number), labels)
        save_json(job.folder.unit_file(self.name, unit, ".json"), {})

    def conclude(self, job: BlockJob) -> None:
        """Nothing is left to do."""
