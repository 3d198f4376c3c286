"""What follows the network: from its maps to labels and their table."""

from napari_unetseg.blockwise.basins_stage import BasinsStage
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.label_stage import LabelStage
from napari_unetseg.blockwise.linking_stage import LinkingStage
from napari_unetseg.blockwise.objects_stage import ObjectsStage, read_summary
from napari_unetseg.blockwise.smoothing_stage import SmoothingStage
from napari_unetseg.blockwise.stages import Stage
from napari_unetseg.blockwise.table_stage import TableStage
from napari_unetseg.postprocessing.exact_sums import ExactSums


def object_stages() -> tuple[Stage, ...]:
    """Return the stages after the network, in their order; those that a job does not need have no units."""
    return (BasinsStage(), SmoothingStage(), ObjectsStage(), LinkingStage(), LabelStage(), TableStage())


def mean_confidence(job: BlockJob) -> tuple[float | None, float | None]:
    """Return the mean foreground probability of all pixels, and of those of objects; None where there are none.

    They are those of `napari_unetseg.postprocessing.confidence.measure_confidence`, once objects are known.
    """
    planes = [read_summary(job, plane) for plane in range(len(job.planes))]
    everywhere, objects = ExactSums.none(1), ExactSums.none(1)
    for plane in planes:
        everywhere, objects = everywhere.plus(plane.everywhere), objects.plus(plane.objects)
    return everywhere.mean, objects.mean
