"""Run, progress and Cancel: the middle rows of the widget."""

import time

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.plugin import words

_RUN_TIP = "Find the objects of the plane on display. Results are new layers; nothing is overwritten."
_CANCEL_TIP = "Stop the run. Nothing is added to the viewer."
_PROGRESS_TIP = "Tiles of the image that the network has finished, and the time the others will take at that pace."


class RunRow(QWidget):
    """Buttons and bar that always keep their place.

    Attributes
    ----------
    percent
        How far the run is; None before its first tile.
    """

    run_pressed = Signal()
    cancel_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("Run")
        self.run.setMinimumHeight(30)
        self.bar = QProgressBar()
        self.bar.setToolTip(_PROGRESS_TIP)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip(_CANCEL_TIP)
        self.result = QLabel()
        self.result.setObjectName("UnetsegResult")
        self.result.setStyleSheet("font-weight: bold;")
        self.result.setFixedHeight(self.result.fontMetrics().height() + 4)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.percent: int | None = None
        self._first: tuple[int, float] | None = None
        self.run.clicked.connect(self.run_pressed)
        self.cancel.clicked.connect(self.cancel_pressed)
        self._arrange()
        self.idle()

    def idle(self) -> None:
        """Show that nothing runs."""
        self.bar.setRange(0, 100)
        self.bar.setValue(0)
        self.bar.setFormat("")
        self.cancel.setEnabled(False)

    def busy(self) -> None:
        """Show that something runs whose end is not known; a bar in this state has no text."""
        self.bar.setRange(0, 0)

    def begin(self) -> None:
        """Forget the pace of the last run and offer Cancel."""
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
            self.bar.setFormat(words.progress(done, total, (now - then) * done / (done - started)))
        else:
            self.bar.setFormat(f"{self.percent} %")

    def allow(self, reason: str | None) -> None:
        """Enable Run, or say in its tooltip why it cannot be pressed."""
        self.run.setEnabled(reason is None)
        self.run.setToolTip(reason or _RUN_TIP)

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.bar, 1)
        line.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.run)
        column.addLayout(line)
        column.addWidget(self.result)
