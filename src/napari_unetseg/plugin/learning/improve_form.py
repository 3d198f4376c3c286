"""The form by which a model is improved: which model, from which labels, which part of them, for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.labelled_planes import LabelledPlane
from napari_unetseg.plugin.learning.labels_list import LabelsList
from napari_unetseg.plugin.parts.form import form_grid

_MOST_MINUTES = 24 * 60


class Part(StrEnum):
    """Which part of the labels counts, in the order of the list."""

    WHOLE = "whole"
    VISIBLE = "visible"
    REGIONS = "regions"


_PARTS = {
    Part.WHOLE: mark("Whole image"),
    Part.VISIBLE: mark("Visible region"),
    Part.REGIONS: mark("Corrected regions"),
}


@dataclass(frozen=True)
class ModelToImprove:
    """A model: what finds it again, and what people call it."""

    source: str
    title: str


class ImproveForm(QWidget):
    """What to improve a model on. Labels of its results are offered, or a folder that was given.

    Attributes
    ----------
    changed
        Something else was chosen.
    draw_requested, exclude_requested
        The user wants to draw regions that are corrected, or that are not annotated.
    run_requested, copy_requested
        A button was pressed.
    """

    changed = Signal()
    draw_requested = Signal()
    exclude_requested = Signal()
    run_requested = Signal()
    copy_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = QElidingLabel()
        self.labels = LabelsList(tr(words.LEARN_FROM_TIP))
        self.folder_line = QElidingLabel()
        self.forget_folder = QToolButton()
        self.source = QStackedWidget()
        self.part = QComboBox()
        self.draw, self.exclude = QPushButton(tr("Draw corrected")), QPushButton(tr("Draw excluded"))
        self.minutes = minutes_box(5)
        self.title = QLineEdit()
        self.improve, self.copy = QPushButton(tr("Improve")), QPushButton(tr("Copy as command line"))
        self.folder: Path | None = None
        self.model_to_improve: ModelToImprove | None = None
        self._suggested = ""
        self._arrange()
        self._connect()

    def show_model(self, model: ModelToImprove | None) -> None:
        """Say which model is improved; None if none can be."""
        self.model_to_improve = model
        self.model.setText(tr("None") if model is None else model.title)
        self._suggest()

    def show_folder(self, folder: Path | None) -> None:
        """Learn from a folder with ``images`` and ``masks``; None: from labels of the viewer."""
        self.folder = folder
        self.source.setCurrentIndex(0 if folder is None else 1)
        self.folder_line.setText("" if folder is None else str(folder))
        self.folder_line.setToolTip("" if folder is None else str(folder))
        for widget in (self.part, self.draw, self.exclude):
            widget.setEnabled(folder is None)
        self._suggest()
        self.changed.emit()

    def show_regions(self, count: int) -> None:
        """Say how many regions lie on what is ticked, and prefer them once there are some."""
        at = self.part.findData(Part.REGIONS.value)
        before = str(self.part.itemData(at, Qt.ItemDataRole.UserRole + 1) or "")
        text = tr(_PARTS[Part.REGIONS])
        self.part.setItemText(at, f"{text} ({count})" if count else text)
        self.part.setItemData(at, str(count), Qt.ItemDataRole.UserRole + 1)
        if count and before in ("", "0"):
            self.part.setCurrentIndex(at)
        elif not count and before not in ("", "0") and self.chosen_part() is Part.REGIONS:
            self.part.setCurrentIndex(self.part.findData(Part.WHOLE.value))

    @property
    def suggested(self) -> str:
        """What the new model would be called."""
        return self._suggested

    def chosen_part(self) -> Part:
        """Return which part of the labels counts."""
        return Part(self.part.currentData())

    def allow(self, obstacle: str | None) -> None:
        """Let the buttons be pressed, or say what they wait for."""
        self.improve.setEnabled(obstacle is None)
        self.copy.setEnabled(obstacle is None)
        self.improve.setToolTip(obstacle or tr(words.IMPROVE_TIP))
        self.copy.setToolTip(obstacle or tr(words.COPY_TIP))

    def _suggest(self) -> None:
        """Follow the choices with the name, until the user writes one."""
        model = self.model_to_improve
        planes: Sequence[LabelledPlane] = self.labels.ticked()
        names = list(dict.fromkeys(str(plane.image.name) for plane in planes))
        if self.folder is not None:
            names = [self.folder.name]
        text = "" if model is None else words.default_title(model.title, names)
        if self.title.text() == self._suggested:
            self.title.setText(text)
            self.title.setCursorPosition(0)
        self._suggested = text

    def _on_ticked(self) -> None:
        self._suggest()
        self.changed.emit()

    def _connect(self) -> None:
        self.labels.ticked_changed.connect(self._on_ticked)
        self.part.currentIndexChanged.connect(self.changed)
        self.title.textChanged.connect(self.changed)
        self.forget_folder.clicked.connect(lambda: self.show_folder(None))
        self.draw.clicked.connect(self.draw_requested)
        self.exclude.clicked.connect(self.exclude_requested)
        self.improve.clicked.connect(self.run_requested)
        self.copy.clicked.connect(self.copy_requested)

    def _arrange(self) -> None:
        for part, text in _PARTS.items():
            self.part.addItem(tr(text), part.value)
        self.model.setToolTip(tr(words.MODEL_TIP))
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.part.setToolTip(tr(words.PART_TIP))
        self.draw.setToolTip(tr(words.DRAW_TIP))
        self.exclude.setToolTip(tr(words.EXCLUDE_TIP))
        self.title.setToolTip(tr(words.NAME_TIP))
        self.forget_folder.setText("✕")
        self.forget_folder.setToolTip(tr("Learn from open labels instead."))
        self.folder_line.setElideMode(Qt.TextElideMode.ElideLeft)
        in_folder = QWidget()
        line = QHBoxLayout(in_folder)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.folder_line, 1)
        line.addWidget(self.forget_folder)
        self.source.addWidget(self.labels)
        self.source.addWidget(in_folder)
        self.source.setFixedHeight(self.labels.height())
        drawing = QHBoxLayout()
        drawing.addWidget(self.draw, 1)
        drawing.addWidget(self.exclude, 1)
        fill_form(
            self,
            (
                (tr("Model"), self.model),
                (tr("Learn from"), self.source),
                (tr("Part"), self.part),
                ("", drawing),
                (tr("Time"), self.minutes),
                (tr("Name"), self.title),
            ),
            (self.improve, self.copy),
        )


def minutes_box(minutes: int) -> QSpinBox:
    """Make a box for how long to learn."""
    box = QSpinBox()
    box.setRange(1, _MOST_MINUTES)
    box.setValue(minutes)
    box.setSuffix(tr(" min"))
    box.setToolTip(tr(words.MINUTES_TIP))
    return box


def fill_form(
    owner: QWidget, rows: Sequence[tuple[str, QWidget | QHBoxLayout]], buttons: tuple[QPushButton, QPushButton]
) -> None:
    """Put named rows below one another, and the buttons below them, the first of which starts."""
    column = QVBoxLayout(owner)
    column.setContentsMargins(4, 8, 4, 4)
    column.setSpacing(6)
    grid = form_grid(None, 5)
    for at, (name, row) in enumerate(rows):
        grid.addWidget(
            QLabel(name), at, 0, Qt.AlignmentFlag.AlignTop if name == tr("Learn from") else Qt.AlignmentFlag(0)
        )
        if isinstance(row, QWidget):
            grid.addWidget(row, at, 1)
        else:
            grid.addLayout(row, at, 1)
    column.addLayout(grid)
    line = QHBoxLayout()
    first, second = buttons
    first.setMinimumHeight(30)
    line.addWidget(first, 1)
    line.addWidget(second)
    column.addLayout(line)
