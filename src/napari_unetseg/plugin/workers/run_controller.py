"""One run at a time, off the GUI thread."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import Cancelled
from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.segment_job import CurrentLayer, Outcome, SegmentJob, run_jobs
from napari_unetseg.plugin.workers.services import ServiceFactory


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
    current_layer
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
        self.current_layer: CurrentLayer | None = None
        self.kept = 0
        self._services = services
        self._task: Task[list[str]] | None = None
        self._held: Task[Any] | None = None
        self._several = False
        self._outcome: Outcome | None = None
        self._faults: Sequence[str] = ()
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return self._task is not None or self._held is not None

    @property
    def cancelling(self) -> bool:
        """Whether a run was asked to stop and has not ended yet."""
        return any(task is not None and task.cancelled() for task in (self._task, self._held))

    def hold(self, task: Task[Any] | None) -> None:
        """Count the task of somebody else as a run, which `cancel` stops; None once it has ended."""
        self._held = task

    def start(self, jobs: Sequence[SegmentJob]) -> None:
        """Start a run of one layer or several; nothing happens while another one runs."""
        if self.running:
            return
        self._several = len(jobs) > 1
        self._outcome = self._error = self.current_layer = None
        self._faults, self.kept = (), 0
        task = self._task = Task(partial(run_jobs, jobs, self._services))
        # These pass on, for whichever task runs: a task's own signals end with it, and outlive a window that is closed.
        task.reports.stage.connect(self.stage)
        task.reports.progressed.connect(self.progressed)
        task.reports.began.connect(self._on_began)
        task.reports.made.connect(self._on_made)
        start(task, returned=self._on_returned, errored=self._on_errored, finished=self._on_finished)

    def cancel(self) -> None:
        """Ask the run to stop; `cancelled` follows when it did."""
        for task in (self._task, self._held):
            if task is not None:
                task.quit()

    def _on_began(self, current_layer: CurrentLayer) -> None:
        self.current_layer = current_layer if self._several else None

    def _on_made(self, outcome: Outcome) -> None:
        # The last one waits for the end of the run; one that comes after Cancel was pressed is dropped.
        if not self.cancelling:
            if self._outcome is not None:
                self._emit_made(self._outcome)
            self._outcome = outcome

    def _emit_made(self, outcome: Outcome) -> None:
        self.kept += 1
        self.made.emit(outcome)

    def _on_returned(self, faults: list[str]) -> None:
        self._faults = faults

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        if self._task is None:
            return
        # Cancel may have been pressed while the result was on its way here; then it is dropped.
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        outcome, error = self._outcome, self._error
        self._task = self._outcome = self._error = None
        if cancelled:
            if outcome is not None and self._several:
                self._emit_made(outcome)
            self.cancelled.emit()
        elif error is not None or outcome is None:
            self.failed.emit(error)
        else:
            self.kept += 1
            remarks = _remarks(self.kept) if self._several else ()
            self.done.emit(replace(outcome, remarks=remarks, faults=tuple(self._faults)))


def _remarks(layers: int) -> tuple[str, ...]:
    """Say how many layers were segmented, and what the sliders are for."""
    count = tr_count("{n} layer was segmented.", "{n} layers were segmented.", layers).format(n=layers)
    return (count, tr("The sliders act on the last of them."))
