"""From the user's choices to finished layers: what a run does in its worker thread."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, ComputerGone, UnetsegError
from napari_unetseg.inference.size_estimate import area_weighted_diameter, typical_diameter
from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.parts.result_summary import Summary, summarise
from napari_unetseg.plugin.parts.server_names import is_server
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory, recipe_service
from napari_unetseg.postprocessing.layer_data import Output
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import middle_plane

if TYPE_CHECKING:
    from napari_unetseg.service import Health, ModelInfo, RunRecipe, Segmentation, Segmenter

_FEW = 2  # objects of a size are no chance; one alone may be anything

LOADING, CONVERTING, CALIBRATING, RUNNING, FINISHING = "loading", "converting", "calibrating", "running", "finishing"
WAITING = "waiting"  # for a server
_REPORTS_S = 5.0  # for which a finished result waits for what its server says of itself


@dataclass(frozen=True)
class SegmentJob:
    """One layer to segment, and how: as the rows stood when Run was pressed.

    Attributes
    ----------
    device
        One of this machine, or the address of a server.
    parameters
        Keyword arguments of `SegmentationService.segment`: threshold, min_size, split, diameter, augment, link.
    recipe
        How the network must run, whatever is set; None: as the service does.
    """

    plane: Plane
    model: str
    device: str
    parameters: Mapping[str, Any]
    outputs: tuple[Output, ...]
    recipe: "RunRecipe | None" = None


@dataclass(frozen=True)
class Outcome:
    """A finished run; `layers` are ready to be added to a viewer.

    Attributes
    ----------
    suggested
        Parameters that the model suggests.
    info, health
        What the service says of itself after the run; None where its server could not be asked any more.
    diameter
        Typical diameter of the objects found, in pixels, of a stack in its middle plane; None if they are too few
        to tell.
    remarks
        Sentences on the other layers of the run, where all is well.
    faults
        Sentences on layers of the run that could not be segmented, or that changed meanwhile.
    """

    job: SegmentJob
    segmentation: "Segmentation"
    summary: Summary
    layers: Mapping[Output, Layer]
    seconds: float
    suggested: DecodeParameters
    info: "ModelInfo | None"
    health: "Health | None"
    diameter: float | None = None
    remarks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def unsure(self) -> bool:
        """Whether the model was unsure of what it saw, and saw the image as it is."""
        fit = self.segmentation.fit
        return fit is not None and fit.is_unlike and self.segmentation.provenance.resized_to is None


def run_job(job: SegmentJob, services: ServiceFactory, task: Task[list[str]], progress: Progress) -> Outcome:
    """Segment one layer, in a worker thread.

    Parameters
    ----------
    job, services
        What to do, and with what.
    task
        Is reported to and asked whether to stop.
    progress
        Called with counts of tiles.

    Raises
    ------
    Cancelled
        If the task was cancelled.
    UnetsegError
        If image, model or device cannot be used.
    """
    clock = time.perf_counter()
    on_server = is_server(job.device)
    task.reports.stage.emit(WAITING if on_server else LOADING)
    with cancellable_questions(job.device, task.cancelled):
        service = services(job.model, job.device) if job.recipe is None else recipe_service(job.recipe)
    image = job.plane.read()
    if task.cancelled():
        raise Cancelled("Cancelled before the network ran.")
    if on_server:
        pass  # which says itself when it begins
    elif service.model_info().loaded:
        task.reports.stage.emit(RUNNING)
    elif service.needs_conversion():
        task.reports.stage.emit(CONVERTING)
    segmentation = service.segment(
        image,
        progress=progress,
        cancel=task.cancelled,
        on_stage=task.reports.stage.emit,
        **job.parameters,
    )
    task.reports.stage.emit(FINISHING)
    if job.recipe is not None:
        segmentation = job.recipe.fixed(segmentation, cancel=task.cancelled)
    labels = segmentation.labels
    info, health = _reports(service, job.device, task.cancelled)
    if job.recipe is not None:
        differences = () if info is None else job.recipe.differences(info)
        warnings = (*job.recipe.remarks, *differences, *segmentation.warnings)
        segmentation = replace(segmentation, warnings=warnings)
    layers = build_layers(layer_data(segmentation, job.plane, job.outputs))
    return Outcome(
        job=job,
        segmentation=segmentation,
        summary=summarise(segmentation, task.cancelled),
        layers=layers,
        seconds=time.perf_counter() - clock,
        suggested=service.package.card.parameters,
        info=info,
        health=health,
        diameter=_diameter(labels[middle_plane(labels.shape[:-2])]),
    )


def _reports(service: "Segmenter", device: str, cancel: CancelFlag) -> "tuple[ModelInfo | None, Health | None]":
    """Ask a service how it is; a server that cannot be asked any more takes no result back, nor holds it up."""
    latest = time.perf_counter() + _REPORTS_S
    try:
        with cancellable_questions(device, lambda: cancel() or time.perf_counter() > latest):
            return service.model_info(), service.health(dummy_inference=False)
    except UnetsegError:
        if is_server(device):
            return None, None
        raise


def _diameter(labels: NDArray[np.int32]) -> float | None:
    """Return the typical diameter of objects; of a few ones that of most of their pixels, None of one alone."""
    return typical_diameter(labels) or area_weighted_diameter(labels, _FEW)


@dataclass(frozen=True)
class CurrentLayer:
    """Which of several layers is being segmented.

    Attributes
    ----------
    number, count
        Counted from 1, and how many there are.
    name
        Of the layer.
    """

    number: int
    count: int
    name: str


def run_jobs(jobs: Sequence[SegmentJob], services: ServiceFactory, task: Task[list[str]]) -> list[str]:
    """Segment layers one after the other, in a worker thread; a bad one does not stop the others.

    `task.reports` says which layer `began`, with a `CurrentLayer`, and gives the `Outcome` of each that was `made`.

    Returns
    -------
    list of str
        A sentence for each layer that could not be segmented.

    Raises
    ------
    Cancelled
        If the task was cancelled; layers reported as made by then are finished.
    UnetsegError
        If none could be segmented.
    """
    faults: list[str] = []
    for index, job in enumerate(jobs):
        task.reports.began.emit(CurrentLayer(index + 1, len(jobs), job.plane.name))

        def report(done: int, total: int, index: int = index) -> None:
            task.reports.progressed.emit(index * total + done, len(jobs) * total)

        try:
            task.reports.made.emit(run_job(job, services, task, report))
        except Cancelled:
            raise
        except Exception as error:
            if len(jobs) == 1:
                raise
            if isinstance(error, ComputerGone):
                if len(faults) == index:
                    raise
                return [*faults, *(_not_segmented(left.plane.name, error) for left in jobs[index:])]
            faults.append(_not_segmented(job.plane.name, error))
    if len(faults) == len(jobs):
        raise UnetsegError(" ".join([tr("No layer was segmented."), *faults]))
    return faults


def _not_segmented(name: str, error: Exception) -> str:
    """Say which layer could not be segmented and why."""
    return tr("'{name}' was not segmented: {reason}").format(name=name, reason=describe_error(error).sentence)
