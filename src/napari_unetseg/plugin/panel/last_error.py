"""The last error in the panel, with its details and a copy for a report."""

import platform

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unetseg import __version__
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.panel.drawing import Lines
from napari_unetseg.plugin.panel.health_texts import ErrorDetails, clock
from napari_unetseg.plugin.parts.form import LABEL_WIDTH
from napari_unetseg.plugin.parts.messages import copy_text, details_dialog

_TIP = mark("What failed last: a run, a check, or a button of this panel. It stays here after things work again.")


class LastErrorRow(QWidget):
    """The last error, and room and buttons for it before there is one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error: ErrorDetails | None = None
        self.about = ""
        self.when, self.text = Lines(1, tr(_TIP)), Lines(3)
        self.details, self.copy = QPushButton(tr("Details")), QPushButton(tr("Copy"))
        self.details.setToolTip(tr("The full text of the last error."))
        self.copy.setToolTip(
            tr("Copy the last error with the model, the device and the versions, to paste into a report.")
        )
        self.details.clicked.connect(self._open_details)
        self.copy.clicked.connect(lambda: copy_text(self.report()))
        self._arrange()
        self.show_error(None)

    def show_error(self, error: ErrorDetails | None) -> None:
        """Show another error, or that there was none."""
        self.error = error
        self.when.say(tr("none") if error is None else clock(error.time))
        self.text.say("" if error is None else error.sentence)
        for button in (self.details, self.copy):
            button.setEnabled(error is not None)

    def report(self) -> str:
        """Return the last error with what a helper asks for first."""
        if self.error is None:
            return ""
        system = f"napari-unetseg {__version__}, Python {platform.python_version()}, {platform.platform()}"
        time = f"{self.error.time.astimezone().isoformat(timespec='seconds')}"
        return "\n".join([self.error.sentence, "", time, self.about, system, "", self.error.details])

    def _open_details(self) -> None:
        details_dialog(self.report(), self).open()

    def _arrange(self) -> None:
        label = QLabel(tr("Last error"))
        label.setToolTip(tr(_TIP))
        line = QHBoxLayout()
        line.setSpacing(3)
        line.addWidget(label)
        line.addWidget(self.when, 1)
        line.addWidget(self.details)
        line.addWidget(self.copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.text)
        label.setMinimumWidth(LABEL_WIDTH + 4)
