"""A folder's images through the engine, off the GUI thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.batch.events import Tally
from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.output_files import Result
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.plugin.work.background import Task, start
from napari_unetseg.plugin.work.services import ServiceFactory

if TYPE_CHECKING:
    from napari_unetseg.batch.events import Event

_TYPING_MS = 250


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
    """What was asked for when Run was pressed."""

    model_choice: ModelChoice
    files: tuple[Path, ...]
    output: Path
    results: tuple[Result, ...]
    again: bool


class Finder(QObject):
    """Looks for the images of a folder while its user types; only the answer to the last question is given."""

    found = Signal(object, object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._search: Search | None = None
        self._task: Task[None] | None = None
        self._asked: Search | None = None
        self._answer: list[Path] | Exception = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TYPING_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._task is not None or self._timer.isActive()

    def look(self, search: Search | None) -> None:
        """Look for these images, once there was no other wish for a moment; None for nothing."""
        self._search = search
        if search is None:
            self._timer.stop()
        else:
            self._timer.start()

    def _look(self) -> None:
        if self._task is not None or (search := self._search) is None:
            return
        self._asked = search

        def find(_: Task[None]) -> None:
            try:
                self._answer = find_images(search.folder, search.pattern, recursive=search.recursive)
            except Exception as error:
                self._answer = error

        self._task = Task(find)
        start(self._task, returned=_ignore, errored=_ignore, finished=self._end)

    def _end(self) -> None:
        self._task = None
        if self._search != self._asked:
            self._look()
        elif isinstance(self._answer, Exception):
            self.failed.emit(self._answer)
        else:
            self.found.emit(self._asked, self._answer)


class _Events(QObject):
    """Carries events from the worker to the GUI thread."""

    happened = Signal(object)


class FolderController(QObject):
    """Starts and cancels batches; exactly one of `done` and `failed` ends each.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.
    """

    happened = Signal(object)
    done = Signal(object, bool)
    failed = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task[None] | None = None
        self._tally: Tally | None = None
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
        services, events = self._services, _Events()
        events.happened.connect(self.happened)
        self._tally = self._error = None

        def work(task: Task[None]) -> None:
            # Not returned: what was done before a cancel was done all the same, and has to be told.
            self._tally = run_folder(job, services, events.happened.emit, task.cancelled)

        self._task = Task(work)
        start(self._task, returned=_ignore, errored=self._keep_error, finished=self._end)

    def cancel(self) -> None:
        """Ask the batch to stop; `done` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _end(self) -> None:
        tally, error, cancelled = self._tally, self._error, self.cancelling
        self._task = self._tally = self._error = None
        if tally is not None:
            self.done.emit(tally, cancelled)
        elif error is not None:
            self.failed.emit(error)


def run_folder(
    job: FolderJob, services: ServiceFactory, tell: "Callable[[Event], None]", cancelled: CancelFlag
) -> Tally:
    """Segment a folder, in a worker thread.

    Raises
    ------
    UnetsegError
        If the model, the device, a parameter or the output folder cannot be used.
    """
    service = services(job.model_choice.model, job.model_choice.device)
    # Imports the service, which takes a second.
    from napari_unetseg.batch.segment_files import BatchJob, segment_files

    batch = BatchJob(job.files, job.output, job.results, job.model_choice.segment_options, redo=job.again)
    return segment_files(service, batch, report=tell, cancel=cancelled)


def _ignore(_: object) -> None: ...
