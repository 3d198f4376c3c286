"""The window that looks for faults in masks, and writes mended copies."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import tr
from napari_unetseg.plugin.learning import mask_words as words
from napari_unetseg.plugin.learning.check_table import CheckTable
from napari_unetseg.plugin.learning.mask_look import MaskAnswer, MaskQuestion, prepare_masks, prepare_opening
from napari_unetseg.plugin.parts.messages import Action, MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.training.mask_folder import FILE_REPAIRS, CheckedMask, FileRepair

if TYPE_CHECKING:
    from napari.components import ViewerModel

ChooseFolder = Callable[[QWidget, str], Path | None]

_SIZE = (820, 640)
_TYPING_MS = 400
_COLUMNS = 4
_ZOOM = 6.0
# What is nearly always meant; the rest changes what objects there are.
_TICKED: frozenset[FileRepair] = frozenset(
    ("colours", "palette", "edges", "background", "unnumbered", "specks", "holes")
)


class MaskDialog(QDialog):
    """Check the masks of a folder, show their faults, and mend copies of them. Everything slow happens in a worker.

    Parameters
    ----------
    viewer
        Gets the masks that are opened from the table.
    choose
        Asks for a folder.
    parent
        Owner.

    Attributes
    ----------
    train_requested
        The user wants to train on a folder of mended masks.
    """

    train_requested = Signal(object)
    _progressed = Signal(int, int)

    def __init__(self, viewer: "ViewerModel", choose: ChooseFolder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Check masks"))
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        self._viewer, self._choose = viewer, choose
        self._checked: Sequence[CheckedMask] = ()
        self._running = False
        self.folder, self.folder_button = QLineEdit(), QPushButton(tr("Choose..."))
        self.output, self.output_button = QLineEdit(), QPushButton(tr("Choose..."))
        self.table = CheckTable()
        self.boxes = {repair: QCheckBox() for repair in FILE_REPAIRS}
        self.bar, self.message = QProgressBar(), MessageArea()
        self.mend, self.cancel = QPushButton(tr("Write mended copies")), QPushButton(tr("Cancel"))
        self.worker: LatestWorker[MaskQuestion, MaskAnswer] = LatestWorker(
            prepare_masks(self._progressed.emit), 0, self
        )
        self.opener: LatestWorker[CheckedMask, NDArray[np.int64]] = LatestWorker(prepare_opening, 0, self)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._arrange()
        self._connect()
        self._on_theme()
        self._idle()
        self.message.show_message(tr(words.NO_FOLDER))

    def check(self, masks: Path) -> None:
        """Look at the masks of a folder; those of a training set are compared with the images beside them."""
        self.folder.setText(str(masks))
        self._ask_check()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Stop what runs; what is written stays."""
        self._stop()
        super().closeEvent(event)

    def chosen_repairs(self) -> tuple[FileRepair, ...]:
        """Return what to mend of what was found."""
        return tuple(repair for repair, box in self.boxes.items() if not box.isHidden() and box.isChecked())

    def _masks_folder(self) -> Path | None:
        text = self.folder.text().strip()
        return Path(text).expanduser() if text else None

    def _images_folder(self, masks: Path) -> Path | None:
        images = masks.parent / "images"
        return images if masks.name == "masks" and images.is_dir() else None

    def _ask_check(self) -> None:
        self._typing.stop()
        masks = self._masks_folder()
        self._checked = ()
        self.table.show_rows(())
        self._offer(())
        if masks is None:
            self.worker.stop()
            self.message.show_message(tr(words.NO_FOLDER))
            self._idle()
            return
        set_folder = masks.parent if masks.name == "masks" else masks
        self.output.setText(str(_new_folder(set_folder)))
        self.message.show_message(tr(words.CHECKING))
        self._busy()
        self.worker.ask(MaskQuestion(masks, self._images_folder(masks)))

    def _ask_mend(self) -> None:
        masks, output = self._masks_folder(), self.output.text().strip()
        if masks is None or not self.mend.isEnabled():
            return
        if not output:
            self.message.show_message(tr(words.NO_OUTPUT), "warning")
            return
        self.message.show_message(tr(words.MENDING))
        self._busy()
        self.worker.ask(
            MaskQuestion(
                masks,
                self._images_folder(masks),
                self._checked,
                self.chosen_repairs(),
                Path(output).expanduser(),
            )
        )

    def _on_answer(self, question: MaskQuestion, answer: MaskAnswer) -> None:
        self._checked = answer.checked
        self._idle()
        if question.output is not None:
            train_on = self._train_on(question.output) if question.images is not None else None
            self.message.show_message(words.mended_line(answer.mended), "good", action=train_on)
            return
        self.table.show_rows(answer.rows)
        self._offer(answer.checked)
        has_faults = any(mask.faults or mask.unreadable for mask in answer.checked)
        line = words.checked_line(answer.checked) if has_faults or not answer.checked else tr(words.SOUND)
        self.message.show_message(line, "warning" if has_faults or not answer.checked else "good")

    def _train_on(self, folder: Path) -> Action:
        return tr(words.TRAIN_ON), tr(words.TRAIN_ON_TIP), lambda: self.train_requested.emit(folder)

    def _on_failure(self, question: MaskQuestion, error: Exception) -> None:
        self._idle()
        self.message.show_failure(describe_error(error))

    def _on_progress(self, done: int, total: int) -> None:
        if self._running:
            self.bar.setRange(0, max(total, 1))
            self.bar.setValue(done)
            self.bar.setFormat(f"{done} / {total}")

    def _stop(self) -> None:
        self._typing.stop()
        self.opener.stop()
        if self._running:  # what a window that is opened again would wait for
            self._cancel()

    def _cancel(self) -> None:
        self.worker.stop()
        self._idle()
        self.message.show_message(tr("Cancelled."), "warning")

    def _open(self, row: int, column: int) -> None:
        """Open a mask as labels, at its first fault."""
        name = self.table.name_of(row)
        mask = next((mask for mask in self._checked if mask.file.name == name), None)
        if mask is not None and not mask.unreadable:
            self.opener.ask(mask)

    def _show_mask(self, mask: CheckedMask, numbers: NDArray[np.int64]) -> None:
        """Show a mask that was read, with its first fault in the middle of the canvas."""
        self._viewer.add_labels(numbers, name=mask.file.stem)
        place = next((fault.place for fault in mask.faults if fault.place is not None), None)
        if place is not None:
            # napari has moved its camera to a scene in 0.9.
            camera = getattr(self._viewer, "scene", self._viewer).camera
            camera.center = (float(place[0]), float(place[1]))
            camera.zoom = _ZOOM

    def _on_not_opened(self, mask: CheckedMask, error: Exception) -> None:
        self.message.show_failure(describe_error(error))

    def _offer(self, checked: Sequence[CheckedMask]) -> None:
        """Offer to mend what was found."""
        masks: dict[FileRepair, int] = {}
        for mask in checked:
            for repair in mask.repairs:
                masks[repair] = masks.get(repair, 0) + 1
        for repair, box in self.boxes.items():
            title, _ = words.REPAIRS[repair]
            box.setText(f"{tr(title)} ({masks.get(repair, 0)})")
            self._ticks.removeWidget(box)
            box.setVisible(repair in masks)
            box.setChecked(repair in _TICKED)
        for at, repair in enumerate(repair for repair in self.boxes if repair in masks):
            self._ticks.addWidget(self.boxes[repair], at // _COLUMNS, at % _COLUMNS)
        self._allow()

    def _allow(self) -> None:
        ready = bool(self._checked) and not self._running
        obstacle = "" if ready and self.chosen_repairs() else tr(words.TICK)
        self.mend.setEnabled(not obstacle)
        self.mend.setToolTip(obstacle or tr(words.MEND_TIP))

    def _busy(self) -> None:
        self._running = True
        self.bar.setRange(0, 0)
        self.cancel.setEnabled(True)
        self.mend.setEnabled(False)

    def _idle(self) -> None:
        self._running = False
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.bar.setFormat("")
        self.cancel.setEnabled(False)
        self._allow()

    def _ask_folder(self, line: QLineEdit) -> None:
        folder = self._choose(self, line.text())
        if folder is not None:
            line.setText(str(folder))
            if line is self.folder:
                self._ask_check()

    def _on_theme(self, event: Any = None) -> None:
        theme = get_theme(self._viewer.theme)
        self.message.badge.use_theme(theme)
        self.table.use_theme(theme)

    def _connect(self) -> None:
        self.folder.textEdited.connect(lambda: self._typing.start())
        self._typing.timeout.connect(self._ask_check)
        self.folder_button.clicked.connect(lambda: self._ask_folder(self.folder))
        self.output_button.clicked.connect(lambda: self._ask_folder(self.output))
        self.table.cellDoubleClicked.connect(self._open)
        self.mend.clicked.connect(self._ask_mend)
        self.cancel.clicked.connect(self._cancel)
        self.finished.connect(lambda: self._stop())  # Esc
        self.worker.answered.connect(self._on_answer)
        self.worker.failed.connect(self._on_failure)
        self.opener.answered.connect(self._show_mask)
        self.opener.failed.connect(self._on_not_opened)
        self._progressed.connect(self._on_progress)
        self._viewer.events.theme.connect(self._on_theme)
        for box in self.boxes.values():
            box.toggled.connect(self._allow)

    def _arrange(self) -> None:
        form = QGridLayout()
        form.setColumnStretch(1, 1)
        rows = (
            (tr("Masks"), self.folder, self.folder_button, words.FOLDER_TIP),
            (tr("Mended copies"), self.output, self.output_button, words.OUTPUT_TIP),
        )
        for at, (title, line, button, tip) in enumerate(rows):
            label = QLabel(title)
            label.setBuddy(line)
            for place, widget in enumerate((label, line, button)):
                widget.setToolTip(tr(tip))
                form.addWidget(widget, at, place)
        self._ticks = QGridLayout()
        self._ticks.setHorizontalSpacing(18)
        self._ticks.setColumnStretch(_COLUMNS, 1)
        for repair, box in self.boxes.items():
            box.setParent(self)
            box.setToolTip(tr(words.REPAIRS[repair][1]))
            box.hide()
        self.table.setToolTip(tr(words.TABLE_TIP))
        self.cancel.setToolTip(tr(words.CANCEL_TIP))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        buttons = QHBoxLayout()
        buttons.addWidget(self.mend)
        buttons.addStretch()
        buttons.addWidget(self.message.buttons)
        for button in (self.mend, self.cancel, self.folder_button, self.output_button):
            button.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addLayout(form)
        column.addWidget(self.table, 1)
        column.addLayout(self._ticks)
        column.addLayout(progress)
        column.addWidget(self.message)
        column.addLayout(buttons)
        self.resize(*_SIZE)


def _new_folder(beside: Path) -> Path:
    """Name a folder for mended copies that holds nothing yet."""
    for at in range(1, 100):
        folder = beside.with_name(f"{beside.name}_mended{'' if at == 1 else at}")
        if not folder.exists():
            return folder
    return beside.with_name(f"{beside.name}_mended")
