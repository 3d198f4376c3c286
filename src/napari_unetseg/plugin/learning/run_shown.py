"""What the dock shows of a run: its progress, previews, end, and what was interrupted earlier."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication

from napari_unetseg.language import tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.interrupted_row import UnfinishedJob, find_unfinished
from napari_unetseg.plugin.learning.learning_panel import LearningPanel
from napari_unetseg.plugin.learning.preview_layer import PreviewLayer
from napari_unetseg.plugin.learning.training_request import TrainingRequest, make_job, preview_place
from napari_unetseg.plugin.learning.training_run import Shown, StartProcess, TrainingRun
from napari_unetseg.plugin.parts.badge import BadgeKind
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.training.job_folder import JobFolder, command_line, shell_line
from napari_unetseg.training.progress_events import Finished, TrainingEvent
from napari_unetseg.zoo.registry import Listed

if TYPE_CHECKING:
    from napari.components import ViewerModel


class RunShown(QObject):
    """Starts runs and shows them.

    Parameters
    ----------
    viewer
        Gets previews.
    panel
        Shows the rest.
    models
        Lists the models there are; called in workers.
    process
        Starts the process of a run.
    parent
        Owner.

    Attributes
    ----------
    changed
        A run began or ended.
    model_made
        A new model package was written: its name, and all models that there are now.
    run_requested
        The user wants to segment the chosen image with it.
    """

    changed = Signal()
    model_made = Signal(str, object)
    run_requested = Signal()

    def __init__(
        self,
        viewer: "ViewerModel",
        panel: LearningPanel,
        models: Callable[[], Sequence[Listed]],
        process: StartProcess,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.run = TrainingRun(models, process, self)
        self._panel, self._view, self._interrupted = panel, panel.run, panel.interrupted
        self.preview = PreviewLayer(viewer)
        self._title, self._minutes = "", 1.0
        self._copying: Task[str] | None = None
        self._view.stop_requested.connect(self.run.stop)
        self._interrupted.go_on_requested.connect(self._go_on)
        self._interrupted.delete_requested.connect(self._delete)
        self.run.began.connect(self._on_began)
        self.run.told.connect(self._on_told)
        self.run.finished.connect(self._on_finished)
        self.run.failed.connect(self._on_failed)
        self.run.left.connect(self._on_left)
        self.run.broken.connect(self._on_broken)

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or a command line is being made."""
        return self.run.running or self._copying is not None

    def start(self, request: TrainingRequest) -> None:
        """Run what is asked; nothing happens while another run is under way."""
        if self.busy:
            return
        self.preview.begin(None if request.preview is None else request.preview.plane)
        self._begin(request.title, request.minutes)
        self._view.say(tr(words.PREPARING))
        self.run.start(request)
        self.changed.emit()

    def copy_line(self, request: TrainingRequest) -> None:
        """Write down what is asked, and put the command line that does it on the clipboard."""
        if self.busy:
            return

        def work(task: Task[str]) -> str:
            made = make_job(request, task.cancelled)
            if made is None:
                return ""
            folder, job = made
            return shell_line(command_line(job, folder.checkpoints))

        self._copying = Task(work)
        self._view.message.show_message(tr(words.PREPARING))
        start(self._copying, returned=self._on_line, errored=self._on_broken, finished=self._on_copied)
        self.changed.emit()

    def look_for_interrupted(self) -> None:
        """Offer what can be taken up again."""
        task: Task[list[UnfinishedJob]] = Task(find_unfinished)
        start(task, returned=self._interrupted.show_jobs, errored=self._show_error, finished=lambda: None)

    def say(self, error: Exception) -> None:
        """Show an error."""
        self._show_error(error)

    def _begin(self, title: str, minutes: float, earlier: Sequence[TrainingEvent] = ()) -> None:
        self._title, self._minutes = title, minutes
        self._view.begin(title, minutes, earlier)
        self._view.message.show_message("")
        self._interrupted.lock(True)
        self._panel.look_at_run()

    def _go_on(self, unfinished: UnfinishedJob) -> None:
        if self.busy or unfinished.job is None:
            return
        place = preview_place(unfinished.folder)
        if place is None:
            self.preview.begin(None)
        else:
            self.preview.begin_again(*place)
        self._begin(unfinished.job.title, unfinished.job.minutes)
        self.run.go_on(unfinished.folder)
        self.changed.emit()

    def _delete(self, unfinished: UnfinishedJob) -> None:
        task: Task[None] = Task(lambda _: unfinished.folder.delete())
        start(task, returned=lambda _: None, errored=self._show_error, finished=self.look_for_interrupted)

    def _on_began(self, folder: JobFolder, earlier: Sequence[TrainingEvent]) -> None:
        self._view.begin(self._title, self._minutes, earlier)

    def _on_told(self, shown: Shown) -> None:
        if not (self.run.stopping and shown.event.kind in ("told", "begun")):
            self._view.show_event(shown.event)
        if shown.outlines is not None:
            self.preview.show(shown.outlines)

    def _on_finished(self, event: Finished, listed: Sequence[Listed]) -> None:
        self._end()
        action = (tr(words.RUN_IT), tr(words.RUN_IT_TIP), self._run_it)
        kind: BadgeKind = "warning" if words.is_worse(event.before, event.after) else "good"
        self._view.message.show_message(words.finished(event), kind, action=action)
        self.model_made.emit(event.name, listed)

    def _run_it(self) -> None:
        self.preview.remove()
        self.run_requested.emit()

    def _on_failed(self, text: str) -> None:
        self._end()
        self._view.message.show_message(text, "error")

    def _on_left(self) -> None:
        self._end()
        self._view.message.show_message(tr(words.LEFT), "warning")

    def _on_broken(self, error: Exception) -> None:
        self._end()
        self._show_error(error)

    def _end(self) -> None:
        self._view.end()
        self._interrupted.lock(False)
        self.look_for_interrupted()
        self.changed.emit()

    def _show_error(self, error: Exception) -> None:
        self._view.message.show_failure(describe_error(error))

    def _on_line(self, line: str) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None and line:
            clipboard.setText(line)
            self._view.message.show_message(tr(words.COPIED), "good")

    def _on_copied(self) -> None:
        self._copying = None
        self.changed.emit()
