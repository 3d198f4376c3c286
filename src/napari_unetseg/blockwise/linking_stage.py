"""Numbers that are unique in a stack, and objects that keep theirs along Z and T, from overlaps counted by block."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.basins_stage import block_units
from napari_unetseg.blockwise.block_labels import open_array, save_array
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays, load_json, save_arrays, save_json
from napari_unetseg.blockwise.objects_stage import plane_labels, plane_sizes, read_summary
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.postprocessing.linking import Overlaps, number_planes


class LinkingStage:
    """Numbers the objects of all planes of a stack."""

    name = "linking"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of the planes that another one follows; none where planes are not linked."""
        return (unit for unit in block_units(job) if any(_next_planes(job, unit.plane))) if job.options.link else ()

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block's file is there."""
        return job.folder.unit_file(self.name, unit).exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Count what the objects of a block share with those of the planes that follow."""
        own = plane_labels(job, unit.plane, unit.number)
        found: dict[str, NDArray[np.int64]] = {}
        for plane in _next_planes(job, unit.plane):
            shared = Overlaps.between(own, plane_labels(job, plane, unit.number))
            found[str(plane)] = np.stack([shared.one, shared.other, shared.pixels])
        save_arrays(job.folder.unit_file(self.name, unit), **found)

    def conclude(self, job: BlockJob) -> None:
        """Give all objects of the stack their numbers."""
        summary = job.folder.stage_file(self.name, ".json")
        if not job.image.stack_axes or summary.exists():
            return

        def overlaps(one: int, other: int) -> Overlaps:
            files = (job.folder.unit_file(self.name, Unit(one, number)) for number in range(len(job.grid)))
            return Overlaps.of(*np.concatenate([load_arrays(file)[str(other)] for file in files], axis=1))

        numbers, count = number_planes(
            [plane_sizes(job, plane) for plane in range(len(job.planes))],
            job.image.stack_shape,
            job.image.stack_axes,
            overlaps,
            link=job.options.link,
        )
        for plane, own in enumerate(numbers):
            save_array(job.folder.plane_file(self.name, plane, ".npy"), own)
        save_json(summary, {"count": count})


def object_count(job: BlockJob) -> int:
    """Return how many objects there are, once the stages before labels are concluded."""
    if not job.image.stack_axes:
        return read_summary(job, 0).count
    return int(load_json(job.folder.stage_file(LinkingStage.name, ".json"))["count"])


def in_stack(job: BlockJob, plane: int, labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give objects of a plane, int32 of any shape, the numbers that they have in the stack."""
    if not job.image.stack_axes:
        return labels
    return np.take(open_array(job.folder.plane_file(LinkingStage.name, plane, ".npy")), labels)


def _next_planes(job: BlockJob, plane: int) -> Iterator[int]:
    """Yield the planes that follow one along Z or T."""
    shape, place = job.image.stack_shape, job.planes[plane]
    for axis, letter in enumerate(job.image.stack_axes):
        if letter in "ZT" and place[axis] + 1 < shape[axis]:
            following = (*place[:axis], place[axis] + 1, *place[axis + 1 :])
            yield int(np.ravel_multi_index(following, shape))
