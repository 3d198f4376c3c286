"""How a training run stands: what it is at, how far, its curves and scores, and Stop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_unetseg.language import tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.training_curve import TrainingCurve
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_STEPS = 1000


class RunView(QWidget):
    """Shows one run, and keeps its last state until the next one begins.

    Attributes
    ----------
    stop_requested
        Stop was pressed.
    message
        What is to be said beside it.
    """

    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.stage = QElidingLabel(), QLabel()
        self.bar = QProgressBar()
        self.stop = QPushButton(tr("Stop"))
        self.curve = TrainingCurve()
        self.scores = QElidingLabel()
        self.message = MessageArea()
        self._metric = ""
        self._before: float | None = None
        self._best: float | None = None
        self._arrange()
        self.stop.clicked.connect(self._on_stop)
        self.message.show_message(tr(words.BEGINNING))
        self.end()

    def begin(self, title: str, minutes: float, earlier: Sequence[TrainingEvent] = ()) -> None:
        """Show a run that begins, or goes on after earlier events."""
        self.title.setText(title)
        self.title.setToolTip(title)
        self._metric, self._before, self._best = "", None, None
        self.curve.begin(60 * minutes)
        self.scores.setText("")
        self.bar.setRange(0, 0)
        self.stop.setEnabled(True)
        for event in earlier:
            self.show_event(event)
        self.say(tr(words.STARTING))
        self.bar.setRange(0, 0)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Keep room for two lines, so that nothing moves, in the font that comes with the first show."""
        self.stage.setFixedHeight(2 * (self.stage.fontMetrics().lineSpacing() + 1))
        super().showEvent(event)

    def say(self, text: str) -> None:
        """Tell what it is at."""
        self.stage.setText(text)
        self.stage.setToolTip(text)

    def show_event(self, event: TrainingEvent) -> None:
        """Show what the run tells."""
        if isinstance(event, Told):
            self.say(event.text)
        elif isinstance(event, Begun):
            self._metric, self._before = words.metric_title(event.metric), event.before
            self.curve.show_metric(self._metric, event.before)
            self.say(words.held_out_line(event.images, event.held_out))
            self._show_scores(None)
        elif isinstance(event, Stepped):
            self.curve.add_loss(event.seconds, event.loss)
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(_STEPS * event.progress))
            self.bar.setFormat(words.progress(event))
        elif isinstance(event, Validated):
            if event.score is not None:
                self.curve.add_score(event.seconds, event.score)
                self._best = event.score if self._best is None else max(self._best, event.score)
            self._show_scores(event.score)
        elif isinstance(event, Finished):
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(_STEPS)
            self.bar.setFormat("")

    def end(self) -> None:
        """Show that nothing runs."""
        self.stop.setEnabled(False)
        self.say("")
        if self.bar.maximum() == 0:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(0)
            self.bar.setFormat("")

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.curve.use_theme(theme)
        self.message.badge.use_theme(theme)

    def _show_scores(self, now: float | None) -> None:
        self.scores.setText(words.scores_line(self._metric, self._before, now, self._best))

    def _on_stop(self) -> None:
        self.stop.setEnabled(False)
        self.say(tr(words.STOPPING))
        self.stop_requested.emit()

    def _arrange(self) -> None:
        self.title.setStyleSheet("font-weight: bold; padding: 0;")
        for text in (self.stage, self.scores):
            text.setStyleSheet("padding: 0;")
        self.scores.setElideMode(Qt.TextElideMode.ElideRight)
        self.stage.setWordWrap(True)
        self.stage.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.title.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.stop.setToolTip(tr(words.STOP_TIP))
        self.curve.setToolTip(tr(words.CURVE_TIP))
        self.scores.setToolTip(tr(words.CURVE_TIP))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        line = QHBoxLayout()
        line.addWidget(self.bar, 1)
        line.addWidget(self.stop)
        last = QHBoxLayout()
        last.addStretch()
        last.addWidget(self.message.buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.title)
        column.addWidget(self.stage)
        column.addLayout(line)
        column.addWidget(self.curve)
        column.addWidget(self.scores)
        column.addWidget(self.message)
        column.addLayout(last)
