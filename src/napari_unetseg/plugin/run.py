"""One run at a time: from the user's choices to finished layers, off the GUI thread."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import Cancelled, NotCalibrated, UnetsegError
from napari_unetseg.inference.size_estimate import typical_diameter
from napari_unetseg.plugin import run_words
from napari_unetseg.plugin.background import Task, start
from napari_unetseg.plugin.layers import Plane
from napari_unetseg.plugin.outputs import Output, build_layers, layer_data
from napari_unetseg.plugin.services import ServiceFactory, recipe_service
from napari_unetseg.plugin.summary import Summary, summarise

if TYPE_CHECKING:
    from napari_unetseg.service import Health, ModelInfo, RunRecipe, Segmentation

LOADING, CONVERTING, CALIBRATING, RUNNING, FINISHING = "loading", "converting", "calibrating", "running", "finishing"


@dataclass(frozen=True)
class Job:
    """What the user asked of one layer when Run was pressed.

    Attributes
    ----------
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
    diameter
        Typical diameter of the objects found, in pixels, of a stack in its middle plane; None if they are too few
        to tell.
    remarks
        Sentences on the other layers of the run, where all is well.
    faults
        Sentences on those of them that could not be segmented.
    """

    job: Job
    segmentation: "Segmentation"
    summary: Summary
    layers: Mapping[Output, Layer]
    seconds: float
    info: "ModelInfo"
    health: "Health"
    diameter: float | None = None
    remarks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def run_job(
    job: Job, services: ServiceFactory, task: "Task[Any]", progress: Callable[[int, int], None] | None = None
) -> Outcome:
    """Segment one layer, in a worker thread.

    Parameters
    ----------
    job, services
        What to do, and with what.
    task
        Is reported to and asked whether to stop.
    progress
        Called with counts of tiles; None for the task's own signal.

    Raises
    ------
    Cancelled
        If the task was cancelled.
    UnetsegError
        If image, model or device cannot be used.
    """
    clock = time.perf_counter()
    task.reports.stage.emit(LOADING)
    service = services(job.model, job.device) if job.recipe is None else recipe_service(job.recipe)
    image = job.plane.read()
    if task.cancelled():
        raise Cancelled("Cancelled before the network ran.")
    if service.model_info().loaded:
        task.reports.stage.emit(RUNNING)
    elif service.needs_conversion():
        task.reports.stage.emit(CONVERTING)
    tell = progress or task.reports.progressed.emit
    try:
        segmentation = service.segment(image, progress=tell, cancel=task.cancelled, **job.parameters)
    except NotCalibrated:
        # int8 was chosen in the settings: the image at hand is one that the model is meant for.
        task.reports.stage.emit(CALIBRATING)
        calibration = service.calibrate([image], cancel=task.cancelled)
        task.reports.stage.emit(RUNNING)
        segmentation = service.segment(image, progress=tell, cancel=task.cancelled, **job.parameters)
        if calibration.accepted:  # else the result says so already
            segmentation = replace(segmentation, warnings=(calibration.outcome, *segmentation.warnings))
    if job.recipe is not None:
        told = (*job.recipe.remarks, *job.recipe.differences(service.model_info()))
        segmentation = replace(segmentation, warnings=(*told, *segmentation.warnings))
    task.reports.stage.emit(FINISHING)
    layers = build_layers(layer_data(segmentation, job.plane, job.outputs))
    return Outcome(
        job=job,
        segmentation=segmentation,
        summary=summarise(segmentation, task.cancelled),
        layers=layers,
        seconds=time.perf_counter() - clock,
        info=service.model_info(),
        health=service.health(dummy_inference=False),
        diameter=typical_diameter(_middle_plane(segmentation.labels)),
    )


def _middle_plane(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    middle: NDArray[np.int32] = labels[tuple(length // 2 for length in labels.shape[:-2])]
    return middle


@dataclass(frozen=True)
class Place:
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


class _LayerReports(QObject):
    """What a run of several layers says on its way, from its thread."""

    began = Signal(object)
    made = Signal(object)


def run_jobs(jobs: Sequence[Job], services: ServiceFactory, task: "Task[Any]", reports: _LayerReports) -> list[str]:
    """Segment layers one after the other, in a worker thread; a bad one does not stop the others.

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
    for at, job in enumerate(jobs):
        reports.began.emit(Place(at + 1, len(jobs), job.plane.name))

        def tell(done: int, total: int, at: int = at) -> None:
            task.reports.progressed.emit(at * total + done, len(jobs) * total)

        try:
            reports.made.emit(run_job(job, services, task, tell))
        except Cancelled:
            raise
        except Exception as error:
            if len(jobs) == 1:
                raise
            faults.append(run_words.not_segmented(job.plane.name, error))
    if len(faults) == len(jobs):
        raise UnetsegError(run_words.all_failed(faults))
    return faults


class RunController(QObject):
    """Start and cancel runs; exactly one of `done`, `cancelled` and `failed` ends each.

    Of several layers the last one comes with `done`, and each before it with `made`. A cancelled run of one layer
    gives nothing; of one of several layers, those that were finished by then are kept.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.

    Attributes
    ----------
    place
        Which of several layers is being segmented; None for one alone.
    kept
        How many layers of this run or the last one were given out.
    """

    stage = Signal(str)
    progressed = Signal(int, int)
    made = Signal(object)
    done = Signal(object)
    cancelled = Signal()
    failed = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.place: Place | None = None
        self.kept = 0
        self._services = services
        self._task: Task[list[str]] | None = None
        self._reports: _LayerReports | None = None
        self._alone = True
        self._outcome: Outcome | None = None
        self._faults: Sequence[str] = ()
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return self._task is not None

    @property
    def cancelling(self) -> bool:
        """Whether a run was asked to stop and has not ended yet."""
        return self._task is not None and self._task.cancelled()

    def start(self, *jobs: Job) -> None:
        """Start a run of one layer or several; nothing happens while another one runs."""
        if self.running:
            return
        services, reports = self._services, _LayerReports()
        self._task = Task(lambda task: run_jobs(jobs, services, task, reports))
        self._reports, self._alone = reports, len(jobs) == 1
        self._outcome = self._error = self.place = None
        self._faults, self.kept = (), 0
        reports.began.connect(self._note_place)
        reports.made.connect(self._keep_outcome)
        self._task.reports.stage.connect(self.stage)
        self._task.reports.progressed.connect(self.progressed)
        start(self._task, returned=self._keep_faults, errored=self._keep_error, finished=self._end)

    def cancel(self) -> None:
        """Ask the run to stop; `cancelled` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _note_place(self, place: Place) -> None:
        self.place = None if self._alone else place

    def _keep_outcome(self, outcome: Outcome) -> None:
        # One that comes after Cancel was pressed is dropped.
        if not self.cancelling:
            self._give_out(self._outcome)
            self._outcome = outcome

    def _give_out(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.kept += 1
            self.made.emit(outcome)

    def _keep_faults(self, faults: list[str]) -> None:
        self._faults = faults

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _end(self) -> None:
        if self._task is None:
            return
        # Cancel may have been pressed while the result was on its way here; then it is dropped.
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        outcome, error = self._outcome, self._error
        self._task = self._reports = self._outcome = self._error = None
        if cancelled:
            self._give_out(None if self._alone else outcome)
            self.cancelled.emit()
        elif error is not None or outcome is None:
            self.failed.emit(error)
        else:
            self.kept += 1
            remarks = () if self._alone else run_words.summary(self.kept)
            self.done.emit(replace(outcome, remarks=remarks, faults=tuple(self._faults)))
