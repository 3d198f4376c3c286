"""The form of the window of plates: which plate, where its results go, and which fields. Qt keeps the last plate."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSettings, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QLabel, QLineEdit, QPushButton, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.plate import plate_words

ChooseFile = Callable[[QWidget, str], Path | None]
"""Asks for a folder or a file, from where it begins; None where nothing was chosen."""

_KEY = "plate/last"


class PlateForm(QWidget):
    """Which plate, and where to. `changed` comes when plate or output are others.

    Parameters
    ----------
    choose
        Asks for a folder.
    parent
        Owner.
    """

    changed = Signal()

    def __init__(self, choose: ChooseFile, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose = choose
        self.plate, self.output, self.fields = QLineEdit(), QLineEdit(), QLineEdit()
        self.plate_button, self.output_button = QPushButton(tr("Choose...")), QPushButton(tr("Choose..."))
        self.beside = QCheckBox(tr(plate_words.BESIDE))
        self._suggested = ""
        self._arrange()
        self._explain()
        self.plate.textChanged.connect(self._on_plate)
        self.output.textChanged.connect(self.changed)
        self.plate_button.clicked.connect(lambda: self._ask(self.plate))
        self.output_button.clicked.connect(lambda: self._ask(self.output))

    def plate_path(self) -> str:
        """Return the plate as it is typed; empty for none."""
        return self.plate.text().strip()

    def output_folder(self) -> Path | None:
        """Return where results go; None for beside the plate."""
        text = self.output.text().strip()
        return Path(text).expanduser() if text else None

    def chosen_fields(self) -> list[str] | None:
        """Return the names of the fields that are wanted of each well; None for all."""
        return [word for word in self.fields.text().replace(";", ",").replace(" ", ",").split(",") if word] or None

    def suggest_output(self, folder: Path) -> None:
        """Fill in where results go, where nobody typed another folder."""
        if self.output.text() == self._suggested:
            self._suggested = str(folder)
            self.output.blockSignals(True)  # it is where they were looked for already
            self.output.setText(self._suggested)
            self.output.blockSignals(False)

    def lock(self, locked: bool) -> None:
        """Keep the form as it is while a batch runs."""
        for widget in (self.plate, self.plate_button, self.output, self.output_button, self.fields, self.beside):
            widget.setEnabled(not locked)

    def _on_plate(self) -> None:
        if self.output.text() == self._suggested:
            self._suggested = ""
            self.output.blockSignals(True)
            self.output.clear()
            self.output.blockSignals(False)
        self.changed.emit()

    def _ask(self, line: QLineEdit) -> None:
        chosen = self._choose(self, line.text() or self.plate.text())
        if chosen is not None:
            line.setText(str(chosen))

    def _explain(self) -> None:
        for widget, tip in (
            (self.plate, plate_words.PLATE_TIP),
            (self.plate_button, plate_words.PLATE_TIP),
            (self.output, plate_words.OUTPUT_TIP),
            (self.output_button, plate_words.OUTPUT_TIP),
            (self.fields, plate_words.FIELDS_TIP),
            (self.beside, plate_words.BESIDE_TIP),
        ):
            widget.setToolTip(tr(tip))
        self.fields.setPlaceholderText(tr("all"))
        for button in (self.plate_button, self.output_button):
            button.setAutoDefault(False)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        lines = ((tr("Plate"), self.plate), (tr("Results in"), self.output))
        for row, (title, line) in enumerate(lines):
            label = QLabel(title)
            label.setBuddy(line)
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1)
        grid.addWidget(self.plate_button, 0, 2)
        grid.addWidget(self.output_button, 1, 2)
        label = QLabel(tr("Fields"))
        label.setBuddy(self.fields)
        grid.addWidget(label, 0, 3)
        grid.addWidget(self.fields, 0, 4)
        grid.addWidget(self.beside, 1, 3, 1, 2)
        self.fields.setMaximumWidth(120)


def choose_plate(parent: QWidget, start: str) -> Path | None:
    """Ask for a folder."""
    chosen = QFileDialog.getExistingDirectory(parent, tr("Choose a folder"), start)
    return Path(chosen) if chosen else None


def choose_table(parent: QWidget, start: str) -> Path | None:
    """Ask for a table."""
    chosen, _ = QFileDialog.getOpenFileName(
        parent, tr("Choose a table of conditions"), start, "CSV (*.csv *.txt *.tsv)"
    )
    return Path(chosen) if chosen else None


def last_plate() -> str:
    """Return the plate that was last segmented; empty before one."""
    return str(_qt_settings().value(_KEY, ""))


def remember_plate(path: str) -> None:
    """Keep the plate for the next window."""
    _qt_settings().setValue(_KEY, path)


def _qt_settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-unetseg", "napari-unetseg")
