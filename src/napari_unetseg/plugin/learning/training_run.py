"""Follows a training run from a worker: starts its process, relays what it tells, and stops or leaves it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.plugin.learning.training_request import TrainingRequest, make_job
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.postprocessing.layer_data import outline_labels
from napari_unetseg.training.job_folder import JobFolder
from napari_unetseg.training.progress_events import Failed, Finished, TrainingEvent, Validated
from napari_unetseg.training.training_process import TrainingProcess
from napari_unetseg.zoo.registry import Listed


class RunningProcess(Protocol):
    """As much of a `TrainingProcess` as a run needs."""

    def events(self) -> Any:
        """Yield what the run tells; blocks."""

    def stop(self) -> None:
        """Ask it to end and keep the best so far."""

    def abandon(self) -> None:
        """Let it write a checkpoint and go."""


StartProcess = Callable[[Sequence[str], Path], RunningProcess]
"""Starts a command line, and keeps its events in a file."""


@dataclass(frozen=True, eq=False)
class Shown:
    """An event, and the outlines, int32 (Y, X), of the labels that it brought, if any."""

    event: TrainingEvent
    outlines: NDArray[np.int32] | None = None


class _Sitting(Task[None]):
    """Work on a process that is left with it: napari asks workers to quit when it is closed, and waits for them."""

    def __init__(self, work: Callable[[Task[None]], None], leave: Callable[[], None]) -> None:
        super().__init__(work)
        self._leave = leave

    def quit(self) -> None:
        """Ask for an end of both."""
        super().quit()
        self._leave()


class TrainingRun(QObject):
    """One run at a time. Each is ended by exactly one of `finished`, `failed`, `left` and `broken`.

    Parameters
    ----------
    models
        Lists the models there are, in the worker.
    process
        Starts a process.
    parent
        Owner.

    Attributes
    ----------
    began
        The `JobFolder` of what runs now, and the events of earlier sittings.
    told
        A `Shown`.
    finished
        The `Finished` event, and all models that there are now.
    failed
        Why there is no model, in words of the run.
    left
        It was left, to be taken up again, or before it began.
    broken
        An exception of this side.
    """

    began = Signal(object, object)
    told = Signal(object)
    finished = Signal(object, object)
    failed = Signal(str)
    left = Signal()
    broken = Signal(object)

    def __init__(
        self,
        models: Callable[[], Sequence[Listed]],
        process: StartProcess = TrainingProcess,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._models, self._start_process = models, process
        self._task: Task[None] | None = None
        self._process: RunningProcess | None = None
        self._stopping = False
        self._error: Exception | None = None
        self._end: tuple[Finished, Sequence[Listed]] | Failed | None = None

    @property
    def running(self) -> bool:
        """Whether a run has begun and not ended."""
        return self._task is not None

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to end and keep its best."""
        return self.running and self._stopping

    def start(self, request: TrainingRequest) -> None:
        """Write down a request and run it; nothing happens while another one runs."""

        def make(cancelled: Callable[[], bool]) -> JobFolder | None:
            made = make_job(request, cancelled)
            if made is None:
                return None
            folder, job = made
            folder.write_job(job)
            return folder

        self._begin(make)

    def go_on(self, folder: JobFolder) -> None:
        """Take up a job again; nothing happens while another one runs."""
        self._begin(lambda cancelled: folder)

    def stop(self) -> None:
        """Ask the run to end now and write the best model so far."""
        self._stopping = True
        if self._process is not None:
            self._process.stop()

    def leave(self) -> None:
        """Leave the run, which writes a checkpoint and can be taken up again; `left` follows."""
        if self._task is not None:
            self._task.quit()

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.abandon()

    def _begin(self, make: Callable[[Callable[[], bool]], JobFolder | None]) -> None:
        if self.running:
            return
        self._stopping, self._error, self._end, self._process = False, None, None, None
        task = _Sitting(lambda task: self._work(make, task), self._abandon)
        task.reports.began.connect(lambda pair: self.began.emit(*pair))
        task.reports.made.connect(self._relay)
        self._task = task
        start(task, returned=lambda _: None, errored=self._keep_error, finished=self._on_end)

    def _work(self, make: Callable[[Callable[[], bool]], JobFolder | None], task: Task[None]) -> None:
        """Run in the worker."""
        folder = make(task.cancelled)
        if folder is None or task.cancelled():
            return
        arguments = folder.arguments()
        task.reports.began.emit((folder, folder.events()))
        process = self._start_process(arguments, folder.events_file)
        self._process = process
        # What was asked for before there was a process to ask.
        if self._stopping:
            process.stop()
        if task.cancelled():
            process.abandon()
        for event in process.events():
            if isinstance(event, Finished):
                self._end = event, self._models()
                folder.delete_checkpoints()
            elif isinstance(event, Failed):
                self._end = event
            task.reports.made.emit(Shown(event, _preview(event)))

    def _relay(self, shown: Shown) -> None:
        if self._task is not None and not self._task.cancelled():
            self.told.emit(shown)

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _on_end(self) -> None:
        end, error = self._end, self._error
        self._task = self._process = self._end = self._error = None
        if isinstance(end, Failed):
            self.failed.emit(end.text)
        elif end is not None:
            self.finished.emit(*end)
        elif error is not None:
            self.broken.emit(error)
        else:
            self.left.emit()


def _preview(event: TrainingEvent) -> NDArray[np.int32] | None:
    """Outline the labels that an event names, if it does and they are still there: a newer event may have others."""
    if not isinstance(event, Validated) or event.preview is None:
        return None
    try:
        labels: NDArray[np.int32] = np.load(event.preview, allow_pickle=False).astype(np.int32, copy=False)
    except (OSError, ValueError):
        return None
    return outline_labels(labels)
