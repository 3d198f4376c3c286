"""The last error in the panel, with its details and a copy for a report."""

import platform

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_unetseg import __version__
from napari_unetseg.plugin.inputs import LABEL_WIDTH
from napari_unetseg.plugin.messages import copy_text, details_dialog
from napari_unetseg.plugin.panel.drawing import Lines
from napari_unetseg.plugin.panel.readings import Trouble, clock

_TIP = "What failed last: a run, a check, or a button of this panel. It stays here after things work again."


class TroubleRow(QWidget):
    """Two lines for the last error, and buttons that are there before one is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.trouble: Trouble | None = None
        self.about = ""
        self.text = Lines(3, _TIP)
        self.details, self.copy = QPushButton("Details"), QPushButton("Copy")
        self.details.setToolTip("The full text of the last error.")
        self.copy.setToolTip("Copy the last error with the model, the device and the versions, to paste into a report.")
        self.details.clicked.connect(self._open_details)
        self.copy.clicked.connect(lambda: copy_text(self.report()))
        self._arrange()
        self.show_trouble(None)

    def show_trouble(self, trouble: Trouble | None) -> None:
        """Show another error, or that there was none."""
        self.trouble = trouble
        self.text.say("none" if trouble is None else f"{clock(trouble.time)}  {trouble.sentence}")
        self.text.setEnabled(trouble is not None)
        for button in (self.details, self.copy):
            button.setEnabled(trouble is not None)

    def report(self) -> str:
        """Return the last error with what a helper asks for first."""
        if self.trouble is None:
            return ""
        system = f"napari-unetseg {__version__}, Python {platform.python_version()}, {platform.platform()}"
        time = f"{self.trouble.time.astimezone().isoformat(timespec='seconds')}"
        return "\n".join([self.trouble.sentence, "", time, self.about, system, "", self.trouble.details])

    def _open_details(self) -> None:
        details_dialog(self.report(), self).open()

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        grid.setColumnStretch(1, 1)
        label = QLabel("Last error")
        label.setToolTip(_TIP)
        grid.addWidget(label, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.text, 0, 1, 2, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.details, 0, 2)
        grid.addWidget(self.copy, 1, 2)
