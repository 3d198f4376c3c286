"""One run into labels on disk at a time, off the GUI thread."""

from functools import partial

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.blocks.stored_job import StoredJob, StoredOutcome, run_stored
from napari_unetseg.plugin.blocks.stored_layer import Redrawing
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.services import ServiceFactory


class StoredRun(QObject):
    """Starts runs; exactly one of `done`, `cancelled` and `failed` ends each.

    While one is under way the controller of the other runs counts it as one of its own, and stops it.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    controller
        Of the other runs.
    parent
        Owner.

    Attributes
    ----------
    job
        The run under way, or the last one.
    """

    began = Signal(object)
    """The layer that shows the labels; as soon as there is a label image."""
    done = Signal(object)
    cancelled = Signal()
    failed = Signal(object)

    def __init__(
        self,
        services: ServiceFactory,
        controller: RunController,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.job: StoredJob | None = None
        self._services, self._controller = services, controller
        self._task: Task[None] | None = None
        self._drawing: Redrawing | None = None
        self._outcome: StoredOutcome | None = None
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return self._task is not None

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or the layer of the last one is still to be drawn."""
        return self.running or (self._drawing is not None and self._drawing.busy)

    def start(self, job: StoredJob) -> None:
        """Start a run; nothing happens while another one runs, of whichever kind."""
        if self._controller.running:
            return
        self.job, self._outcome, self._error = job, None, None
        task = self._task = Task(partial(run_stored, job, self._services))
        self._controller.hold(task)
        # These pass on, as those of the other runs do, to whoever says how far a run is.
        task.reports.stage.connect(self._controller.stage)
        task.reports.progressed.connect(self._controller.progressed)
        task.reports.began.connect(self._on_began)
        task.reports.happened.connect(self._on_block)
        task.reports.made.connect(self._on_made)
        start(task, returned=_ignore, errored=self._on_errored, finished=self._on_finished)

    def _on_began(self, layer: Labels) -> None:
        self._drawing = Redrawing(layer, self)
        self.began.emit(layer)

    def _on_block(self, plane: object, block: object) -> None:
        if self._drawing is not None:
            self._drawing.request()

    def _on_made(self, outcome: StoredOutcome) -> None:
        self._outcome = outcome

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        if self._task is None:
            return
        # A run that was done when Cancel was pressed is done: its labels are on the disk.
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        self._task = None
        self._controller.hold(None)
        if self._outcome is not None:
            self.done.emit(self._outcome)
        elif cancelled:
            self.cancelled.emit()
        else:
            self.failed.emit(self._error)


def _ignore(nothing: None) -> None:
    """Take what a run returns: its outcome came before."""
