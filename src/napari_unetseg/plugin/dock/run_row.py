"""Run, progress and Cancel: the middle rows of the widget."""

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock.shortcuts import CANCEL, RUN, with_key
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.badge import Badge

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_RUN_TIP = mark("Find the objects of the plane on display. Results are new layers; nothing is overwritten.")
_TRY_ALL = mark("Try all...")
_TRY_TIP = mark("Shows what every model finds in the middle of the view, on every channel, to choose from.")
_CANCEL_TIP = mark("Stop the run. Nothing is added to the viewer.")
_PROGRESS_TIP = mark(
    "Tiles of the image that the network has finished, and the time the others will take at that pace."
)


class RunRow(QWidget):
    """Buttons and bar that always keep their place.

    Before a run a forecast stands where the bar is during one.

    Parameters
    ----------
    message_buttons
        Stand at the end of the line of the result.
    parent
        Owner.

    Attributes
    ----------
    percent
        How far the run is; None before its first tile.
    """

    def __init__(self, message_buttons: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton(tr("Run"))
        self.run.setMinimumHeight(30)
        self.try_all = QPushButton(tr(_TRY_ALL))
        self.try_all.setMinimumHeight(30)
        self.try_all.setToolTip(tr(_TRY_TIP))
        self.forecast = QElidingLabel()
        self.forecast.setElideMode(Qt.TextElideMode.ElideRight)
        self.badge = Badge()
        self.bar = QProgressBar()
        self.bar.setToolTip(tr(_PROGRESS_TIP))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.ahead = QStackedWidget()
        self.cancel = QPushButton(tr("Cancel"))
        self.result = QElidingLabel()
        self.result.setElideMode(Qt.TextElideMode.ElideRight)
        self.result.setObjectName("UnetsegResult")
        self.result.setStyleSheet("font-weight: bold;")
        # The width that it asks for would widen the column where a button stands beside it.
        self.result.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.percent: int | None = None
        self._first: tuple[int, float] | None = None
        self._arrange(message_buttons)
        self.idle()

    def press_run(self) -> None:
        """Click Run, if it can be clicked."""
        self.run.click()

    def press_cancel(self) -> None:
        """Click Cancel, if it can be clicked."""
        self.cancel.click()

    def idle(self) -> None:
        """Show that nothing runs, and what a run would take."""
        self.ahead.setCurrentWidget(self.forecast)
        self.bar.setRange(0, 100)
        self.bar.setValue(0)
        self.bar.setFormat("")
        self.cancel.setEnabled(False)
        self.explain_cancel(tr(_CANCEL_TIP))

    def busy(self) -> None:
        """Show that something runs whose end is not known; a bar in this state has no text."""
        self.bar.setRange(0, 0)

    def explain_cancel(self, tip: str) -> None:
        """Say what Cancel does of the run that begins, where that is not what it mostly does."""
        self.cancel.setToolTip(with_key(tip, CANCEL))

    def begin(self) -> None:
        """Show the bar at its start and offer Cancel."""
        self.ahead.setCurrentWidget(self.bar)
        self.percent, self._first = None, None
        self.cancel.setEnabled(True)

    def progress(self, done: int, total: int) -> None:
        """Show how many tiles are done, and the time left at the pace since the first batch."""
        now = time.monotonic()
        self.percent = 100 * done // max(total, 1)
        if self._first is None:
            self._first = (done, now)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        started, then = self._first
        if done > started:
            self.bar.setFormat(words.tile_progress(done, total, (now - then) * done / (done - started)))
        else:
            self.bar.setFormat(f"{self.percent} %")

    def show_forecast(self, text: str, explanation: str, warn: bool) -> None:
        """Say under Run what it will take, why on this device, and whether to think twice."""
        self.forecast.setText(text)
        self.badge.show_kind("warning" if warn else "plain")
        for part in (self.forecast, self.badge):
            part.setToolTip(explanation)

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.badge.use_theme(theme)

    def allow(self, reason: str | None) -> None:
        """Enable Run, or say in its tooltip why it cannot be pressed."""
        self.run.setEnabled(reason is None)
        self.try_all.setEnabled(reason is None)
        self.run.setToolTip(reason or with_key(tr(_RUN_TIP), RUN))

    def _arrange(self, message_buttons: QWidget) -> None:
        policy = self.badge.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.badge.setSizePolicy(policy)
        self.ahead.addWidget(self.forecast)
        self.ahead.addWidget(self.bar)
        middle = QHBoxLayout()
        middle.setSpacing(4)
        middle.addWidget(self.badge)
        middle.addWidget(self.ahead, 1)
        middle.addWidget(self.cancel)
        last = QHBoxLayout()
        last.addWidget(self.result, 1)
        last.addWidget(message_buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        first = QHBoxLayout()
        first.setSpacing(4)
        first.addWidget(self.run, 1)
        first.addWidget(self.try_all)
        column.addLayout(first)
        column.addLayout(middle)
        column.addLayout(last)
