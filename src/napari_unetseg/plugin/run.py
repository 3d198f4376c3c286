"""One run at a time: from the user's choices to finished layers, off the GUI thread."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import Cancelled
from napari_unetseg.inference.size_estimate import typical_diameter
from napari_unetseg.plugin.background import Task, start
from napari_unetseg.plugin.layers import Plane
from napari_unetseg.plugin.outputs import Output, build_layers, layer_data
from napari_unetseg.plugin.services import ServiceFactory
from napari_unetseg.plugin.summary import Summary, summarise

if TYPE_CHECKING:
    from napari_unetseg.service import Health, ModelInfo, Segmentation

LOADING, RUNNING, FINISHING = "loading", "running", "finishing"


@dataclass(frozen=True)
class Job:
    """What the user asked for when Run was pressed.

    Attributes
    ----------
    parameters
        Keyword arguments of `SegmentationService.segment`: threshold, min_size, split, diameter, augment.
    """

    plane: Plane
    model: str
    device: str
    parameters: Mapping[str, Any]
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Outcome:
    """A finished run; `layers` are ready to be added to a viewer.

    Attributes
    ----------
    diameter
        Typical diameter of the objects found, in pixels; None if they are too few to tell.
    """

    job: Job
    segmentation: "Segmentation"
    summary: Summary
    layers: Mapping[Output, Layer]
    seconds: float
    info: "ModelInfo"
    health: "Health"
    diameter: float | None = None


def run_job(job: Job, services: ServiceFactory, task: Task[Outcome]) -> Outcome:
    """Do a run, in a worker thread.

    Raises
    ------
    Cancelled
        If the task was cancelled.
    UnetsegError
        If image, model or device cannot be used.
    """
    clock = time.perf_counter()
    task.reports.stage.emit(LOADING)
    service = services(job.model, job.device)
    image = job.plane.read()
    if task.cancelled():
        raise Cancelled("Cancelled before the network ran.")
    if service.model_info().loaded:
        task.reports.stage.emit(RUNNING)
    segmentation = service.segment(
        image, progress=task.reports.progressed.emit, cancel=task.cancelled, **job.parameters
    )
    task.reports.stage.emit(FINISHING)
    layers = build_layers(layer_data(segmentation, job.plane, job.outputs))
    return Outcome(
        job=job,
        segmentation=segmentation,
        summary=summarise(segmentation),
        layers=layers,
        seconds=time.perf_counter() - clock,
        info=service.model_info(),
        health=service.health(dummy_inference=False),
        diameter=typical_diameter(segmentation.labels),
    )


class RunController(QObject):
    """Start and cancel runs; exactly one of `done`, `cancelled` and `failed` ends each.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.
    """

    stage = Signal(str)
    progressed = Signal(int, int)
    done = Signal(object)
    cancelled = Signal()
    failed = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task[Outcome] | None = None
        self._outcome: Outcome | None = None
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return self._task is not None

    @property
    def cancelling(self) -> bool:
        """Whether a run was asked to stop and has not ended yet."""
        return self._task is not None and self._task.cancelled()

    def start(self, job: Job) -> None:
        """Start a run; nothing happens while another one runs."""
        if self.running:
            return
        services = self._services
        self._task = Task(lambda task: run_job(job, services, task))
        self._outcome = self._error = None
        self._task.reports.stage.connect(self.stage)
        self._task.reports.progressed.connect(self.progressed)
        start(self._task, returned=self._keep_outcome, errored=self._keep_error, finished=self._end)

    def cancel(self) -> None:
        """Ask the run to stop; `cancelled` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _keep_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _end(self) -> None:
        if self._task is None:
            return
        # Cancel may have been pressed while the result was on its way here; then it is dropped.
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        outcome, error = self._outcome, self._error
        self._task = self._outcome = self._error = None
        if cancelled:
            self.cancelled.emit()
        elif error is not None:
            self.failed.emit(error)
        else:
            self.done.emit(outcome)
