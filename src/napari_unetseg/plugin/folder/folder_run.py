"""A folder's images through the engine, off the GUI thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_unetseg.batch.events import BatchCounts
from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.output_files import ResultKind
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari_unetseg.batch.events import Event


@dataclass(frozen=True)
class Search:
    """Which images are meant."""

    folder: Path
    pattern: str
    recursive: bool


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
class FolderJob:
    """Which files to segment, and how: as the form stood when Run was pressed."""

    model_choice: ModelChoice
    files: tuple[Path, ...]
    output: Path
    results: tuple[ResultKind, ...]
    redo: bool


def prepare_search(search: Search) -> Callable[[Task[list[Path]]], list[Path]]:
    """Return what finds the images that are meant, in a worker."""
    return lambda task: find_images(search.folder, search.pattern, recursive=search.recursive)


def prepare_look(output: Path) -> Callable[[Task[bool]], bool]:
    """Return what tells whether a folder holds results, in a worker."""
    return lambda task: (output / JOURNAL_FILE).is_file()


class FolderController(QObject):
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

    def start(self, job: FolderJob) -> None:
        """Start a batch; nothing happens while another one runs."""
        if self.running:
            return
        services = self._services
        self._counts = self._error = None

        def work(task: Task[None]) -> None:
            # Not returned: what was done before a cancel was done all the same, and has to be shown.
            self._counts = run_folder(job, services, task.reports.happened.emit, task.cancelled)

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


def run_folder(
    job: FolderJob, services: ServiceFactory, report: "Callable[[Event, BatchCounts], None]", cancelled: CancelFlag
) -> BatchCounts:
    """Segment a folder, in a worker thread.

    Raises
    ------
    UnetsegError
        If the model, the device, a parameter or the output folder cannot be used.
    """
    with cancellable_questions(job.model_choice.device, cancelled):
        service = services(job.model_choice.model, job.model_choice.device)
    # Imports the service, which takes a second.
    from napari_unetseg.batch.segment_files import BatchJob, segment_files

    batch = BatchJob(job.files, job.output, job.results, job.model_choice.segment_options, redo=job.redo)
    return segment_files(service, batch, report=report, cancel=cancelled)


def _ignore(_: object) -> None: ...
