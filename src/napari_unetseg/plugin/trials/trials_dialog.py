"""The window of Try all: tiles that fill up while models are tried, and a way to stop."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.trials.tile_view import TileView
from napari_unetseg.plugin.trials.trial_run import TrialController, TrialJob, TrialTile
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_SIZE = (724, 740)
_EXPLANATION = mark(
    "What each model finds in the middle of the view, best fit first. A click chooses model and channel."
)
_BEGINNING = mark("Preparing the first model...")
_DONE = mark("Choose a tile, then press Run. Nothing was added to the viewer.")
_NONE_FOUND = mark(
    "No model found anything here. Show another part of the image, or see whether its objects are far larger or "
    "smaller than the models expect."
)
_CANCELLED = mark("Cancelled. You may choose among what was tried.")
_CANCEL_TIP = mark("Stop trying. What was tried stays.")
_RUN_TIP = mark("Run the chosen model on what is chosen under 'Run on'.")


class TrialsDialog(QDialog):
    """Shows trials as they come. Closing the window cancels them.

    Parameters
    ----------
    services
        Gives the service of a model and device, in workers.
    parent
        Owner.

    Attributes
    ----------
    taken
        A tile was chosen.
    run_requested
        A run with the tile that is chosen is wanted.
    """

    taken = Signal(object)
    run_requested = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Try all models"))
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        self.controller = TrialController(services, self)
        self.view = TileView()
        self.bar = QProgressBar()
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message = MessageArea()
        self.run, self.cancel = QPushButton(tr("Run")), QPushButton(tr("Cancel"))
        self.run.setToolTip(tr(_RUN_TIP))
        self.cancel.setToolTip(tr(_CANCEL_TIP))
        self._arrange()
        self._connect()

    def start(self, job: TrialJob) -> None:
        """Try all, in place of what was tried before; nothing happens while trials run."""
        if self.controller.running:
            return
        self.view.clear()
        self.run.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.message.show_message(tr(_BEGINNING))
        self.controller.start(job)

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.view.use_theme(theme)
        self.message.badge.use_theme(theme)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Cancel what runs."""
        self.controller.cancel()
        super().closeEvent(event)

    def reject(self) -> None:
        """Close, as the Escape key asks."""
        self.controller.cancel()
        super().reject()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.bar.setFormat(f"{done} / {total}")
        self.message.show_message("")

    def _on_chosen(self, tile: TrialTile) -> None:
        self.run.setEnabled(True)
        self.taken.emit(tile)

    def _run_chosen(self) -> None:
        if (tile := self.view.chosen()) is not None:
            self.run_requested.emit(tile)
            self.close()

    def _end(self) -> None:
        self.cancel.setEnabled(False)
        self.bar.setRange(0, max(self.bar.maximum(), 1))

    def _on_done(self) -> None:
        self._end()
        found = any(tile.trial.count for tile in self.view.tiles())
        self.message.show_message(tr(_DONE if found else _NONE_FOUND), "plain" if found else "warning")

    def _on_cancelled(self) -> None:
        self._end()
        self.message.show_message(tr(_CANCELLED), "warning")

    def _on_failed(self, error: Exception) -> None:
        self._end()
        self.message.show_failure(describe_error(error))

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.controller.cancel()

    def _connect(self) -> None:
        self.controller.made.connect(self.view.add)
        self.controller.progressed.connect(self._on_progress)
        self.controller.done.connect(self._on_done)
        self.controller.cancelled.connect(self._on_cancelled)
        self.controller.failed.connect(self._on_failed)
        self.view.taken.connect(self._on_chosen)
        self.view.run_requested.connect(self._run_chosen)
        self.run.clicked.connect(self._run_chosen)
        self.cancel.clicked.connect(self._on_cancel)
        self.destroyed.connect(self.controller.cancel)

    def _arrange(self) -> None:
        explanation = QLabel(tr(_EXPLANATION))
        explanation.setWordWrap(True)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        last = QHBoxLayout()
        last.addWidget(self.message, 1)
        last.addWidget(self.message.buttons)
        last.addWidget(self.run)
        for button in (self.run, self.cancel):
            button.setAutoDefault(False)
        self.run.setMinimumSize(120, 30)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addWidget(explanation)
        column.addWidget(self.view, 1)
        column.addLayout(progress)
        column.addLayout(last)
        self.resize(*_SIZE)
