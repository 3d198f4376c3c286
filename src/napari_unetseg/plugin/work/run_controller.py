"""One run at a time, off the GUI thread."""

from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.work import run_words
from napari_unetseg.plugin.work.background import Task, start
from napari_unetseg.plugin.work.segment_job import CurrentLayer, LayerReports, Outcome, SegmentJob, run_jobs
from napari_unetseg.plugin.work.services import ServiceFactory


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
        self._reports: LayerReports | None = None
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

    def start(self, *jobs: SegmentJob) -> None:
        """Start a run of one layer or several; nothing happens while another one runs."""
        if self.running:
            return
        services, reports = self._services, LayerReports()
        self._task = Task(lambda task: run_jobs(jobs, services, task, reports))
        self._reports, self._alone = reports, len(jobs) == 1
        self._outcome = self._error = self.current_layer = None
        self._faults, self.kept = (), 0
        reports.began.connect(self._note_current_layer)
        reports.made.connect(self._keep_outcome)
        self._task.reports.stage.connect(self.stage)
        self._task.reports.progressed.connect(self.progressed)
        start(self._task, returned=self._keep_faults, errored=self._keep_error, finished=self._end)

    def cancel(self) -> None:
        """Ask the run to stop; `cancelled` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _note_current_layer(self, current_layer: CurrentLayer) -> None:
        self.current_layer = None if self._alone else current_layer

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
