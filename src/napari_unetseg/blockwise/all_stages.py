"""All stages of a job in their order; every process of a job has the same ones."""

from napari_unetseg.blockwise.network_stage import NetworkStage, PlanStage
from napari_unetseg.blockwise.object_stages import object_stages
from napari_unetseg.blockwise.range_stage import RangeStage
from napari_unetseg.blockwise.stages import MapReadingStage, Stage
from napari_unetseg.postprocessing.blocks import Block


def stages_in_order(focus: Block | None = None) -> list[Stage]:
    """Return the stages of a job; `focus` is what of a plane is best done first."""
    return [RangeStage(), PlanStage(), NetworkStage(focus), *object_stages()]


def stage_beside_the_network() -> MapReadingStage | None:
    """Return the stage whose blocks may be done as soon as the network has seen what they read."""
    return next((stage for stage in stages_in_order() if isinstance(stage, MapReadingStage)), None)
