"""A batch through the engine, off the GUI thread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_unetseg.batch.events import BatchCounts
from napari_unetseg.batch.output_files import FieldPlace, ResultKind
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari_unetseg.batch.events import Event


@dataclass(frozen=True)
class ModelChoice:
    """What segments: the panel's choices.

    Attributes
    ----------
    model, device
        For the `ServiceFactory`.
    segment_options
        Keyword arguments of `SegmentationService.segment`.
    title
        What people read.
    """

    model: str
    device: str
    segment_options: dict[str, Any]
    title: str


@dataclass(frozen=True)
class BatchRequest:
    """Which files to segment, and how: as the form stood when Run was pressed; see `BatchJob`."""

    model_choice: ModelChoice
    files: tuple[Path, ...]
    output: Path
    results: tuple[ResultKind, ...]
    redo: bool
    places: Mapping[Path, FieldPlace] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    beside: bool = False


class BatchController(QObject):
    """Starts and cancels batches; exactly one of `done` and `failed` ends each.

    `happened` gives each event with the counts so far, `done` the final counts and whether it was cancelled.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.
    """

    happened = Signal(object, object)
    done = Signal(object, bool)
    failed = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task[None] | None = None
        self._counts: BatchCounts | None = None
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether a batch has started and not ended."""
        return self._task is not None

    @property
    def cancelling(self) -> bool:
        """Whether a batch was asked to stop and has not ended yet."""
        return self._task is not None and self._task.cancelled()

    def start(self, job: BatchRequest) -> None:
        """Start a batch; nothing happens while another one runs."""
        if self.running:
            return
        services = self._services
        self._counts = self._error = None

        def work(task: Task[None]) -> None:
            # Not returned: what was done before a cancel was done all the same, and has to be shown.
            self._counts = run_batch(job, services, task.reports.happened.emit, task.cancelled)

        self._task = Task(work)
        self._task.reports.happened.connect(self.happened)
        start(self._task, returned=_ignore, errored=self._keep_error, finished=self._end)

    def cancel(self) -> None:
        """Ask the batch to stop; `done` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _end(self) -> None:
        counts, error, cancelled = self._counts, self._error, self.cancelling
        self._task = self._counts = self._error = None
        if counts is not None:
            self.done.emit(counts, cancelled)
        elif error is not None:
            self.failed.emit(error)


def run_batch(
    job: BatchRequest, services: ServiceFactory, report: "Callable[[Event, BatchCounts], None]", cancelled: CancelFlag
) -> BatchCounts:
    """Segment the files, in a worker thread.

    Raises
    ------
    UnetsegError
        If the model, the device, a parameter or the output folder cannot be used.
    """
    with cancellable_questions(job.model_choice.device, cancelled):
        service = services(job.model_choice.model, job.model_choice.device)
    # Imports the service, which takes a second.
    from napari_unetseg.batch.segment_files import BatchJob, segment_files

    batch = BatchJob(
        job.files,
        job.output,
        job.results,
        job.model_choice.segment_options,
        redo=job.redo,
        places=job.places,
        conditions=job.conditions,
        beside=job.beside,
    )
    return segment_files(service, batch, report=report, cancel=cancelled)


def _ignore(_: object) -> None: ...
