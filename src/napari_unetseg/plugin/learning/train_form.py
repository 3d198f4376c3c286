"""The form by which a new model is trained: on what, for what, how large, for how long, and what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSettings, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.check_table import CheckTable
from napari_unetseg.plugin.learning.improve_form import fill_form, minutes_box
from napari_unetseg.plugin.learning.labels_list import LabelsList
from napari_unetseg.training.job_folder import NetworkSize, ObjectType

ChooseFolder = Callable[[QWidget, str], Path | None]

_KEY = "training folder"
_TYPING_MS = 400  # without another key, before a folder is looked at
_MINUTES = 30
_OBJECTS: dict[ObjectType, str] = {"touching": mark("Touching objects"), "area": mark("Area")}
_SIZES: dict[NetworkSize, str] = {"tiny": mark("Tiny"), "standard": mark("Standard")}
_FOLDER, _LABELS = range(2)


def choose_folder(parent: QWidget, start: str) -> Path | None:
    """Ask for a folder; None if nothing was chosen."""
    name = QFileDialog.getExistingDirectory(parent, tr("Choose a folder"), start)
    return Path(name) if name else None


class TrainForm(QWidget):
    """What to train a new model on.

    Parameters
    ----------
    choose
        Asks for a folder.

    Attributes
    ----------
    source_changed
        Other images were chosen, which have to be looked at.
    changed
        Something else was chosen.
    run_requested, copy_requested, masks_requested
        A button was pressed.
    """

    source_changed = Signal()
    changed = Signal()
    run_requested = Signal()
    copy_requested = Signal()
    masks_requested = Signal()

    def __init__(self, choose: ChooseFolder = choose_folder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose = choose
        self.source = QComboBox()
        self.folder, self.choose_button = QLineEdit(), QPushButton(tr("Choose..."))
        self.labels = LabelsList(tr(words.LABELS_TIP))
        self._pages = QStackedWidget()
        self.findings = QLabel()
        self.table = CheckTable()
        self.objects, self.network = QComboBox(), QComboBox()
        self.minutes = minutes_box(_MINUTES)
        self.title = QLineEdit()
        self.train, self.copy = QPushButton(tr("Train")), QPushButton(tr("Copy as command line"))
        self.check_masks = QPushButton(tr("Check masks..."))
        self._suggested = ""
        self._objects_chosen = False
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._arrange()
        self._connect()
        self._show_source()

    @property
    def from_folder(self) -> bool:
        """Whether images come from a folder, and not from the viewer."""
        return self.source.currentIndex() == _FOLDER

    def data_folder(self) -> Path | None:
        """Return the folder; None while none is named, or images come from the viewer."""
        text = self.folder.text().strip()
        return Path(text).expanduser() if text and self.from_folder else None

    def chosen_objects(self) -> ObjectType:
        """Return what the model is to find."""
        return next(kind for kind in _OBJECTS if kind == self.objects.currentData())

    def chosen_size(self) -> NetworkSize:
        """Return how large the network is to be."""
        return next(size for size in _SIZES if size == self.network.currentData())

    def suggest_objects(self, objects: ObjectType) -> None:
        """Choose what the masks are fit for, until the user chooses."""
        if not self._objects_chosen:
            self.objects.setCurrentIndex(self.objects.findData(objects))

    def take_folder(self, folder: Path) -> None:
        """Train on a folder from now on."""
        self.source.setCurrentIndex(_FOLDER)
        self.folder.setText(str(folder))
        self.folder_named()

    def offer_last_folder(self) -> None:
        """Fill in the folder of last time, where none is named."""
        last = QSettings("napari-unetseg", "napari-unetseg").value(_KEY)
        if not self.folder.text() and isinstance(last, str) and Path(last).is_dir():
            self.folder.setText(last)

    def remember_folder(self) -> None:
        """Keep the folder for next time."""
        if (folder := self.data_folder()) is not None:
            QSettings("napari-unetseg", "napari-unetseg").setValue(_KEY, str(folder))

    def say(self, text: str) -> None:
        """Tell what is known of the images on the whole."""
        self.findings.setText(text)

    def allow(self, obstacle: str | None) -> None:
        """Let the buttons be pressed, or say what they wait for."""
        self.train.setEnabled(obstacle is None)
        self.copy.setEnabled(obstacle is None)
        self.train.setToolTip(obstacle or tr(words.TRAIN_TIP))
        self.copy.setToolTip(obstacle or tr(words.COPY_TIP))

    def suggest_title(self) -> None:
        """Follow the source with the name, until the user writes one."""
        ticked = self.labels.ticked()
        folder = self.data_folder()
        name = folder.name if folder is not None else str(ticked[0].image.name) if ticked else ""
        text = tr("My {images}").format(images=name) if name else ""
        if self.title.text() == self._suggested:
            self.title.setText(text)
        self._suggested = text

    def folder_named(self) -> None:
        """Look at the folder at once, where one is being typed."""
        if self._typing.isActive():
            self._typing.stop()
            self._on_source()

    def _show_source(self) -> None:
        self._pages.setCurrentIndex(self.source.currentIndex())
        page = self._pages.currentWidget()
        if page is not None:
            self._pages.setFixedHeight(page.sizeHint().height() if self.from_folder else self.labels.height())
        self._on_source()

    def _on_source(self) -> None:
        self.suggest_title()
        self.source_changed.emit()

    def _ask(self) -> None:
        folder = self._choose(self, self.folder.text())
        if folder is not None:
            self.folder.setText(str(folder))

    def _on_objects(self) -> None:
        self._objects_chosen = True
        self.changed.emit()

    def _connect(self) -> None:
        self.source.currentIndexChanged.connect(self._show_source)
        self.folder.textChanged.connect(lambda: self._typing.start())
        self._typing.timeout.connect(self._on_source)
        self.folder.editingFinished.connect(self.folder_named)
        self.choose_button.clicked.connect(self._ask)
        self.labels.ticked_changed.connect(self._on_source)
        self.objects.activated.connect(self._on_objects)
        self.title.textChanged.connect(self.changed)
        self.train.clicked.connect(self.run_requested)
        self.copy.clicked.connect(self.copy_requested)
        self.check_masks.clicked.connect(self.masks_requested)

    def _arrange(self) -> None:
        for title in (tr("A folder"), tr("Open labels")):
            self.source.addItem(title)
        for kind, text in _OBJECTS.items():
            self.objects.addItem(tr(text), kind)
        for size, text in _SIZES.items():
            self.network.addItem(tr(text), size)
        explained: tuple[tuple[QWidget, str], ...] = (
            (self.source, words.SOURCE_TIP),
            (self.folder, words.FOLDER_TIP),
            (self.choose_button, words.FOLDER_TIP),
            (self.objects, words.OBJECTS_TIP),
            (self.network, words.SIZE_TIP),
            (self.title, words.NAME_TIP),
            (self.findings, words.CHECK_TIP),
            (self.check_masks, words.CHECK_MASKS_TIP),
        )
        for widget, tip in explained:
            widget.setToolTip(tr(tip))
        self.findings.setWordWrap(True)
        self.findings.setStyleSheet("padding: 0;")
        in_folder = QWidget()
        line = QHBoxLayout(in_folder)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.folder, 1)
        line.addWidget(self.choose_button)
        self._pages.addWidget(in_folder)
        self._pages.addWidget(self.labels)
        self._pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        looked_at = QWidget()
        found = QVBoxLayout(looked_at)
        found.setContentsMargins(4, 8, 4, 0)
        found.setSpacing(6)
        for row in (self.source, self._pages, self.findings, self.table):
            found.addWidget(row)
        found.addWidget(self.check_masks, alignment=Qt.AlignmentFlag.AlignLeft)
        rows = QWidget()
        fill_form(
            rows,
            (
                (tr("Objects"), self.objects),
                (tr("Network"), self.network),
                (tr("Time"), self.minutes),
                (tr("Name"), self.title),
            ),
            (self.train, self.copy),
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(looked_at)
        column.addWidget(rows)
