"""A comparison in a worker: the second model runs, and what it found is held against the first result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.segment_job import FINISHING, LOADING, RUNNING
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory
from napari_unetseg.postprocessing.label_differences import Difference, LabelDifferences, compare_labels
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation

_MOST_PLACES = 10_000  # of a kind, to go to

Place = tuple[int, ...]
"""Index of a pixel among the axes of a stack, and its row and column."""


@dataclass(frozen=True, eq=False)
class ComparisonJob:
    """What is compared.

    Attributes
    ----------
    plane
        What both models see.
    read_first
        Gives the labels of the first result as they are now, int32 (..., Y, X); called in the worker.
    package, device, options
        The second model, where it runs, and how.
    read_truth
        Gives the true labels, integers (..., Y, X); None where there are none. Called in the worker.
    """

    plane: Plane
    read_first: Callable[[], NDArray[np.integer]]
    package: ModelPackage
    device: str
    options: Mapping[str, Any]
    read_truth: Callable[[], NDArray[np.integer]] | None = None


@dataclass(frozen=True)
class TruthScore:
    """How well a result agrees with the true objects.

    Attributes
    ----------
    average_precision
        AP@0.5; None where the truth does not tell objects apart.
    dice
        Of the foreground.
    """

    average_precision: float | None
    dice: float


@dataclass(frozen=True, eq=False)
class Compared:
    """What came of it.

    Attributes
    ----------
    segmentation
        Of the second model.
    differences
        Of the first result to the second.
    places
        A pixel of each connected patch of each kind.
    scores
        Of the first and the second result; None where there is no truth.
    """

    job: ComparisonJob
    segmentation: "Segmentation"
    differences: LabelDifferences
    places: Mapping[Difference, list[Place]]
    scores: tuple[TruthScore, TruthScore] | None


def compare(job: ComparisonJob, services: ServiceFactory, task: "Task[Any]") -> Compared:
    """Run the second model and compare; called in a worker.

    Raises
    ------
    Cancelled
        If the task was cancelled.
    UnetsegError
        If image, model or device cannot be used.
    """
    task.reports.stage.emit(LOADING)
    with cancellable_questions(job.device, task.cancelled):
        service = services(str(job.package.source), job.device)
    image = job.plane.read()
    task.reports.stage.emit(RUNNING)
    segmentation = service.segment(
        image, progress=task.reports.progressed.emit, cancel=task.cancelled, **dict(job.options)
    )
    task.reports.stage.emit(FINISHING)
    first = np.array(job.read_first())  # which its user may be painting on
    differences = compare_labels(first, segmentation.labels)
    if task.cancelled():
        raise Cancelled("Cancelled before the results were compared.")
    scores = None
    if job.read_truth is not None:
        truth = np.asarray(job.read_truth())
        tells_apart = len(np.unique(truth[truth > 0])) != 1
        scores = _score(first, truth, tells_apart), _score(segmentation.labels, truth, tells_apart)
    return Compared(job, segmentation, differences, _places(differences), scores)


def _score(labels: NDArray[np.integer], truth: NDArray[np.integer], tells_apart: bool) -> TruthScore:
    found = compare_labels(labels, truth)
    return TruthScore(found.average_precision if tells_apart else None, found.dice)


def _places(differences: LabelDifferences) -> dict[Difference, list[Place]]:
    """Find a pixel of each connected patch of each kind, from the top down."""
    from scipy import ndimage

    places: dict[Difference, list[Place]] = {kind: [] for kind in Difference}
    for index in np.ndindex(differences.kinds.shape[:-2]):
        plane = differences.kinds[index]
        for kind in Difference:
            if kind is Difference.SAME or not differences.counts[kind]:
                continue
            patches, count = ndimage.label(plane == kind, np.ones((3, 3)))
            for number, box in enumerate(ndimage.find_objects(patches, min(count, _MOST_PLACES)), 1):
                rows, columns = np.nonzero(patches[box] == number)
                middle = len(rows) // 2
                place = (box[0].start + int(rows[middle]), box[1].start + int(columns[middle]))
                places[kind].append((*index, *place))
    return places
