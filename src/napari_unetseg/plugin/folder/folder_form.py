"""The form of the window of folders: which images, and what to keep of them. Qt keeps the last folder."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSettings, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QLabel, QLineEdit, QPushButton, QWidget

from napari_unetseg.batch.find_images import ALL
from napari_unetseg.batch.output_files import ALWAYS, DEFAULT_FOLDER, ResultKind
from napari_unetseg.language import tr
from napari_unetseg.plugin.folder import folder_words
from napari_unetseg.plugin.folder.search import Search

ChooseFolder = Callable[[QWidget, str], Path | None]

_COLUMNS_OF_BOXES = 4
_KEY = "folder"


def choose_folder(parent: QWidget, start: str) -> Path | None:
    """Ask for a folder; None if nothing was chosen."""
    name = QFileDialog.getExistingDirectory(parent, tr("Choose a folder"), start)
    return Path(name) if name else None


class FolderForm(QWidget):
    """Folder, pattern of names, scenes, output folder, and the kinds of results.

    The output folder follows the folder until its user chooses another one.

    Parameters
    ----------
    choose
        Asks for a folder.
    """

    search_changed = Signal()

    def __init__(self, choose: ChooseFolder = choose_folder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose = choose
        self.folder, self.output = QLineEdit(), QLineEdit()
        self.folder_button, self.output_button = QPushButton(tr("Choose...")), QPushButton(tr("Choose..."))
        self.pattern = QLineEdit(ALL)
        self.scenes = QLineEdit(ALL)
        self.recursive = QCheckBox(tr("Sub-folders, too"))
        self.matches = QLabel()
        self.results = {result: QCheckBox(tr(title)) for result, (title, _) in folder_words.RESULTS.items()}
        self._suggested = ""
        self._arrange()
        self._explain()
        for result in ALWAYS:
            self.results[result].setChecked(True)
            self.results[result].setEnabled(False)
        self.folder.textChanged.connect(self._on_folder)
        self.pattern.textChanged.connect(self.search_changed)
        self.scenes.textChanged.connect(self.search_changed)
        self.recursive.toggled.connect(self.search_changed)
        self.folder_button.clicked.connect(lambda: self._ask(self.folder))
        self.output_button.clicked.connect(lambda: self._ask(self.output))

    def search(self) -> Search | None:
        """Return which images are meant; None while no folder is named."""
        folder = _path(self.folder)
        if folder is None:
            return None
        return Search(folder, self.pattern.text(), self.recursive.isChecked(), self.scenes.text())

    def show_search(self, folder: Path, pattern: str) -> None:
        """Fill in which images are meant."""
        self.pattern.setText(pattern)
        self.folder.setText(str(folder))

    def output_folder(self) -> Path | None:
        """Return where the results go; None while nothing is named."""
        return _path(self.output)

    def chosen_results(self) -> tuple[ResultKind, ...]:
        """Return the kinds that are ticked."""
        return tuple(result for result, box in self.results.items() if box.isChecked())

    def lock(self, locked: bool) -> None:
        """Grey out everything during a run."""
        lines = (self.folder, self.output, self.pattern, self.scenes)
        for widget in (*lines, self.folder_button, self.output_button, self.recursive):
            widget.setEnabled(not locked)
        for result, box in self.results.items():
            box.setEnabled(not locked and result not in ALWAYS)

    def _on_folder(self) -> None:
        folder = _path(self.folder)
        if folder is not None and self.output.text() == self._suggested:
            self._suggested = str(folder / DEFAULT_FOLDER)
            self.output.setText(self._suggested)
        self.search_changed.emit()

    def _ask(self, line: QLineEdit) -> None:
        chosen = self._choose(self, line.text() or self.folder.text())
        if chosen is not None:
            line.setText(str(chosen))

    def _explain(self) -> None:
        for widget, tip in (
            (self.folder, folder_words.FOLDER_TIP),
            (self.folder_button, folder_words.FOLDER_TIP),
            (self.pattern, folder_words.PATTERN_TIP),
            (self.scenes, folder_words.SCENES_TIP),
            (self.recursive, folder_words.RECURSIVE_TIP),
            (self.output, folder_words.OUTPUT_TIP),
            (self.output_button, folder_words.OUTPUT_TIP),
        ):
            widget.setToolTip(tr(tip))
        for result, (_, tip) in folder_words.RESULTS.items():
            self.results[result].setToolTip(tr(tip))

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        for row, (title, line) in enumerate(
            (
                (tr("Folder"), self.folder),
                (tr("Names"), self.pattern),
                (tr("Scenes"), self.scenes),
                (tr("Results in"), self.output),
            )
        ):
            label = QLabel(title)
            label.setBuddy(line)
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1)
        grid.addWidget(self.folder_button, 0, 3)
        grid.addWidget(self.recursive, 1, 2)
        grid.addWidget(self.matches, 1, 3)
        grid.addWidget(self.output_button, 3, 3)
        grid.addWidget(self.folder, 0, 1, 1, 2)
        grid.addWidget(self.output, 3, 1, 1, 2)
        boxes = QGridLayout()
        boxes.setHorizontalSpacing(14)
        for number, box in enumerate(self.results.values()):
            boxes.addWidget(box, number // _COLUMNS_OF_BOXES, number % _COLUMNS_OF_BOXES)
        boxes.setColumnStretch(_COLUMNS_OF_BOXES, 1)
        grid.addWidget(QLabel(tr("Keep")), 4, 0)
        grid.addLayout(boxes, 4, 1, 2, 3)


def last_folder() -> str:
    """Return the folder of the last batch; empty before one."""
    return str(_qt_settings().value(_KEY, ""))


def remember_folder(folder: Path) -> None:
    """Keep the folder for the next window."""
    _qt_settings().setValue(_KEY, str(folder))


def _qt_settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-unetseg", "napari-unetseg")


def _path(line: QLineEdit) -> Path | None:
    text = line.text().strip()
    return Path(text).expanduser() if text else None
