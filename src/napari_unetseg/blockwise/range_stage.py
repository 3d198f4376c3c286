"""The first stage: which intensities of each plane become 0 and 1."""

from collections.abc import Iterable

from napari_unetseg.blockwise.job import RANGES, BlockJob
from napari_unetseg.blockwise.job_folder import save_json
from napari_unetseg.blockwise.stages import Unit


class RangeStage:
    """Finds the percentiles, or the extremes, of each plane; a unit is a plane."""

    name = RANGES

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the planes."""
        return (Unit(plane, 0) for plane in range(len(job.planes)))

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether they are known."""
        return job.folder.unit_file(self.name, unit, ".json").exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Find them, by the whole plane."""
        from napari_unetseg.inference.normalisation import find_ranges

        found = find_ranges(job.plane_image(unit.plane), job.card.normalisation, job.card.input_channels)
        save_json(job.folder.unit_file(self.name, unit, ".json"), found.model_dump(mode="json"))

    def conclude(self, job: BlockJob) -> None:
        """Do nothing: each plane stands for itself."""
