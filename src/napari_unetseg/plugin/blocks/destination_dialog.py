"""The window that asks where the labels of a whole image go, and says what is there already."""

import re
from collections.abc import Callable
from pathlib import Path

from napari.utils.theme import get_theme
from qtpy.QtCore import QSettings, Signal
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.blocks.destination import (
    Destination,
    Findings,
    ImageFile,
    as_file_name,
    look_at_disk,
    look_at_image,
)
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.badge import BadgeKind
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.workers.latest_worker import LatestWorker

ChooseFolder = Callable[[QWidget, str], Path | None]

_KEY, _INTO_KEY = "stored/folder", "stored/into_image"
_TYPING_MS = 250  # without another key, before the disk is looked at
_WIDTH = 560

_ABOUT = mark(
    "'{image}': the labels appear block by block while the run goes on, and are kept on disk. Cancel keeps what is "
    "done; the same run goes on from there, also another day."
)
_INTO = mark("Into the image")
_INTO_TIP = mark(
    "The labels become part of the OME-Zarr image, in its folder 'labels', where every program that knows OME-Zarr "
    "finds them. The image's own pixels are not touched."
)
_FOLDER = mark("Into a folder")
_FOLDER_TIP = mark("The labels become an OME-Zarr file of their own in this folder.")
_NAME_TIP = mark("What the labels are called in the image or, in a folder, what their file's name begins with.")
_REPLACE = mark("Replace the labels that are there")
_REPLACE_TIP = mark("Deletes labels of this name before the run begins. They cannot be brought back.")
_CHOOSE_TIP = mark("Choose another folder.")
_START_TIP = mark("Begins the run, or goes on with one that was stopped.")
_LOOKING = mark("Looking at the disk...")
_EXISTS = mark("There are labels of that name already. Choose another name, or tick '{replace}'.")
_UNFINISHED = mark(
    "A run into these labels was stopped before its end. With the same image, model and settings it goes on."
)
_ROOM = mark("The run keeps up to about {needed} there until it is done; {free} are free.")
_NO_ROOM = mark(
    "The run keeps up to about {needed} there until it is done, but only {free} are free. Choose another disk."
)
_GO_ON, _START = mark("Go on"), mark("Start")


def choose_folder(parent: QWidget, start: str) -> Path | None:
    """Ask for a folder; None if nothing was chosen."""
    name = QFileDialog.getExistingDirectory(parent, tr("Choose a folder"), start)
    return Path(name) if name else None


class DestinationDialog(QDialog):
    """Asks where labels go; looks at the disk in workers.

    `chosen` gives the `Destination`.

    Parameters
    ----------
    plane
        What is to be segmented.
    model
        Name of the model, which labels in an image have by default.
    needed
        Bytes that the run keeps on the disk until it is done.
    theme
        Name of napari's theme.
    choose
        Asks for a folder.
    parent
        Owner.
    """

    chosen = Signal(object)

    def __init__(
        self,
        plane: Plane,
        model: str,
        needed: int,
        theme: str,
        choose: ChooseFolder = choose_folder,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Whole image, to disk"))
        self._plane, self._model, self._needed, self._choose = plane, model, needed, choose
        self.into, self.beside = QRadioButton(tr(_INTO)), QRadioButton(tr(_FOLDER))
        self.folder, self.name = QLineEdit(), QLineEdit()
        self.folder_button = QPushButton(tr("Choose..."))
        self.replace = QCheckBox(tr(_REPLACE))
        self.message = MessageArea()
        self.start, self.cancel = QPushButton(tr(_START)), QPushButton(tr("Cancel"))
        self._image: ImageFile | None = None
        self._findings: Findings | None = None
        self._image_look: LatestWorker[Plane, ImageFile] = LatestWorker(look_at_image, 0, self)
        self._disk_look: LatestWorker[Destination, Findings] = LatestWorker(look_at_disk, _TYPING_MS, self)
        self.message.badge.use_theme(get_theme(theme))
        self._arrange()
        self._explain()
        self._connect()
        self._show(tr(_LOOKING))
        self._image_look.ask(plane)

    @property
    def busy(self) -> bool:
        """Whether the disk is being looked at."""
        return self._image_look.busy or self._disk_look.busy

    def destination(self) -> Destination | None:
        """Return what is chosen; None while it is not known or not whole."""
        name, folder = as_file_name(self.name.text()), self.folder.text().strip()
        if self._image is None or not self.name.text().strip():
            return None
        if self.into.isChecked():
            return Destination(self._image.store, True, name) if self._image.store else None
        return Destination(Path(folder).expanduser().absolute(), False, name) if folder else None

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Look at nothing any more."""
        self._stop()
        super().closeEvent(event)

    def reject(self) -> None:
        """Close without a choice."""
        self._stop()
        super().reject()

    def _stop(self) -> None:
        self._image_look.stop()
        self._disk_look.stop()

    def _on_image(self, plane: Plane, image: ImageFile) -> None:
        self._image = image
        settings = _qt_settings()
        can = image.store is not None
        self.into.setEnabled(can)
        self.into.setToolTip(tr(_INTO_TIP) if can else image.why_not)
        last = str(settings.value(_KEY, ""))
        self.folder.setText(str(image.beside) if image.beside else last or str(Path.home()))
        into = can and str(settings.value(_INTO_KEY, True)).lower() != "false"
        (self.into if into else self.beside).setChecked(True)
        self._on_kind()

    def _on_kind(self) -> None:
        """Suggest the name that fits, unless somebody typed one."""
        into = self.into.isChecked()
        for part in (self.folder, self.folder_button):
            part.setEnabled(not into)
        if self._image is not None and not self.name.isModified():
            self.name.setText(self._model if into else self._image.stem)
        self._look()

    def _look(self) -> None:
        destination = self.destination()
        self._findings = None
        self._allow()
        if destination is None:
            self._disk_look.stop()
        else:
            self._disk_look.ask(destination)

    def _on_disk(self, destination: Destination, findings: Findings) -> None:
        if destination != self.destination():
            return
        if findings.exists and not self.name.isModified():
            self.name.setText(next_name(destination.name))
        else:
            self._findings = findings
            there = findings.exists or findings.unfinished
            self.replace.setEnabled(there)
            if not there:
                self.replace.setChecked(False)
            self._allow()

    def _on_failed(self, question: object, error: Exception) -> None:
        self.message.show_failure(words.describe_error(error))

    def _allow(self) -> None:
        findings = self._findings
        if findings is None:
            self.start.setEnabled(False)
            self._show(tr(_LOOKING) if self.destination() else "")
            return
        blocked = findings.exists and not self.replace.isChecked()
        goes_on = findings.unfinished and not self.replace.isChecked()
        self.start.setEnabled(findings.problem is None and not blocked)
        self.start.setText(tr(_GO_ON if goes_on else _START))
        free = findings.free_bytes
        if findings.problem is not None:
            self._show(findings.problem, "warning")
        elif blocked:
            self._show(tr(_EXISTS).format(replace=tr(_REPLACE)), "warning")
        elif goes_on:
            self._show(tr(_UNFINISHED))
        elif free is not None:
            short = free < self._needed
            text = tr(_NO_ROOM if short else _ROOM)
            self._show(text.format(needed=amount(self._needed), free=amount(free)), "warning" if short else "plain")

    def _show(self, text: str, kind: BadgeKind = "plain") -> None:
        self.message.show_message(text, kind)

    def _accept(self) -> None:
        findings = self._findings
        if findings is None:
            return
        destination = findings.destination
        settings = _qt_settings()
        if self.into.isEnabled():
            settings.setValue(_INTO_KEY, destination.into_image)
        if not destination.into_image:
            settings.setValue(_KEY, str(destination.folder))
        self._stop()
        self.accept()
        self.chosen.emit(
            Destination(destination.folder, destination.into_image, destination.name, self.replace.isChecked())
        )

    def _ask_folder(self) -> None:
        chosen = self._choose(self, self.folder.text())
        if chosen is not None:
            self.folder.setText(str(chosen))

    def _connect(self) -> None:
        self._image_look.answered.connect(self._on_image)
        self._image_look.failed.connect(self._on_failed)
        self._disk_look.answered.connect(self._on_disk)
        self._disk_look.failed.connect(self._on_failed)
        self.into.toggled.connect(self._on_kind)
        self.folder.textChanged.connect(self._look)
        self.name.textChanged.connect(self._look)
        self.replace.toggled.connect(self._allow)
        self.folder_button.clicked.connect(self._ask_folder)
        self.start.clicked.connect(self._accept)
        self.cancel.clicked.connect(self.reject)

    def _explain(self) -> None:
        for part, tip in (
            (self.into, _INTO_TIP),
            (self.beside, _FOLDER_TIP),
            (self.folder, _FOLDER_TIP),
            (self.folder_button, _CHOOSE_TIP),
            (self.name, _NAME_TIP),
            (self.replace, _REPLACE_TIP),
            (self.start, _START_TIP),
        ):
            part.setToolTip(tr(tip))
        self.cancel.setToolTip(tr("Closes this window; nothing is run."))

    def _arrange(self) -> None:
        about = QLabel(tr(_ABOUT).format(image=self._plane.name))
        about.setWordWrap(True)
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.into, 0, 0, 1, 3)
        grid.addWidget(self.beside, 1, 0)
        grid.addWidget(self.folder, 1, 1)
        grid.addWidget(self.folder_button, 1, 2)
        label = QLabel(tr("Name"))
        label.setBuddy(self.name)
        label.setToolTip(tr(_NAME_TIP))
        grid.addWidget(label, 2, 0)
        grid.addWidget(self.name, 2, 1, 1, 2)
        grid.addWidget(self.replace, 3, 1, 1, 2)
        self.into.setEnabled(False)
        self.replace.setEnabled(False)
        self.start.setEnabled(False)
        self.start.setDefault(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.message.buttons)
        buttons.addStretch(1)
        buttons.addWidget(self.start)
        buttons.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(about)
        column.addLayout(grid)
        column.addWidget(self.message)
        column.addLayout(buttons)
        self.resize(_WIDTH, self.sizeHint().height())


def next_name(name: str) -> str:
    """Return ``"nuclei_2"`` after ``"nuclei"``, ``"nuclei_3"`` after that."""
    numbered = re.fullmatch(r"(.+)_(\d+)", name)
    return f"{numbered[1]}_{int(numbered[2]) + 1}" if numbered else f"{name}_2"


def amount(size: int) -> str:
    """Return ``"850 MB"``, ``"12 GB"``."""
    megabytes = size / 1024**2
    if megabytes < 1000:
        return f"{max(megabytes, 1):.0f} MB"
    return f"{megabytes / 1024:.1f} GB" if megabytes < 10 * 1024 else f"{megabytes / 1024:.0f} GB"


def _qt_settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-unetseg", "napari-unetseg")
