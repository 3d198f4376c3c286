"""The window that segments the images of a folder: puts form, table and buttons together."""

from collections.abc import Callable, Sequence
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QCloseEvent, QDesktopServices
from qtpy.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.batch.events import BatchCounts, Event
from napari_unetseg.batch.find_images import ALL
from napari_unetseg.batch.places import short_name
from napari_unetseg.language import tr
from napari_unetseg.plugin.folder import folder_words
from napari_unetseg.plugin.folder.file_table import FileTable
from napari_unetseg.plugin.folder.folder_form import (
    ChooseFolder,
    FolderForm,
    choose_folder,
    last_folder,
    remember_folder,
)
from napari_unetseg.plugin.folder.search import Found, Search, prepare_look, prepare_search
from napari_unetseg.plugin.parts import batch_words
from napari_unetseg.plugin.parts.drops import FileDrops, drop_kind
from napari_unetseg.plugin.parts.messages import Action, MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.batch_run import BatchController, BatchRequest, ModelChoice
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.plugin.workers.opener import Opener
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel

_SIZE = (840, 620)
_STEPS = 1000
_TYPING_MS = 250  # without another key, before images are looked for


class FolderDialog(QDialog):
    """Segment a folder with the panel's model, device and parameters.

    `review_requested` gives the folder of results to review, `plate_requested` a plate that was chosen in place of a
    folder of images. Everything slow happens in workers. Closing the window cancels; what is finished is kept.

    Parameters
    ----------
    viewer
        Gets the images that are opened from the table.
    services
        Gives the service of a model and device, in workers.
    model_choice
        Gives what the panel says; None while no model can be used.
    choose
        Asks for a folder.
    parent
        Owner.
    """

    review_requested = Signal(object)
    plate_requested = Signal(object)

    def __init__(
        self,
        viewer: "ViewerModel",
        services: ServiceFactory,
        model_choice: Callable[[], ModelChoice | None],
        choose: ChooseFolder = choose_folder,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Segment a folder"))
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        self._viewer, self._model_choice = viewer, model_choice
        self.form = FolderForm(choose)
        self.uses = QLabel()
        self.table = FileTable()
        self.bar = QProgressBar()
        self.message = MessageArea()
        self.redo = QCheckBox(tr("Do all again"))
        self.run, self.cancel = QPushButton(tr("Run")), QPushButton(tr("Cancel"))
        self.show_output = QPushButton(tr("Open output folder"))
        self.review = QPushButton(tr("Review..."))
        self.finder: LatestWorker[Search, Found] = LatestWorker(prepare_search, _TYPING_MS, self)
        self.results_finder: LatestWorker[Path, bool] = LatestWorker(prepare_look, _TYPING_MS, self)
        self.controller = BatchController(services, self)
        self.opener = Opener(viewer, self)
        self._files: Sequence[Path] = ()
        self._arrange()
        self._explain()
        self._connect()
        self._idle()
        self.refresh()
        self.form.folder.setText(last_folder())
        FileDrops(self).dropped.connect(self.take)

    def take(self, paths: Sequence[Path]) -> None:
        """Fill in a folder, or images of one, that were dropped here; during a batch they are left alone."""
        if self.controller.running:
            return
        kinds, folders = {drop_kind(path) for path in paths}, {path.parent for path in paths}
        if len(paths) == 1 and paths[0].is_dir():
            self.form.show_search(paths[0], ALL)
        elif kinds == {"image"} and len(folders) == 1 and not any(path.is_dir() for path in paths):
            names = ";".join(escape(path.name) for path in paths)
            # A name with what separates patterns cannot be told apart: all of the folder, as the list then shows.
            self.form.show_search(paths[0].parent, ALL if "," in names or names.count(";") >= len(paths) else names)
        else:
            self.message.show_message(tr(folder_words.NOT_TAKEN), "warning")

    def refresh(self) -> None:
        """Show what the panel says, as when the window is opened again."""
        model_choice = self._model_choice()
        self.uses.setText(
            tr("With {model}").format(model=model_choice.title) if model_choice else tr(folder_words.NO_MODEL_CHOSEN)
        )
        self._on_theme()
        if not self.controller.running:
            self._look()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Cancel what runs. `QDialog` itself would ask `reject`, which refuses then."""
        self.controller.cancel()
        if event is not None:
            event.accept()

    def reject(self) -> None:
        """Close, as the Escape key asks; a batch is not lost to that key."""
        if not self.controller.running:
            super().reject()

    def start(self) -> None:
        """Start the batch, as the Run button does."""
        model_choice, output, search = self._model_choice(), self.form.output_folder(), self.form.search()
        if model_choice is None or output is None or search is None or not self._files or self.controller.running:
            return
        remember_folder(search.folder)
        files = tuple(self._files)
        self.table.files.show_files(search.folder, files)
        self.form.lock(True)
        self.redo.setEnabled(False)
        self.run.setEnabled(False)
        self.review.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.setRange(0, 0)
        self.uses.setText(tr("With {model}").format(model=model_choice.title))
        self.message.show_message(tr(folder_words.STARTING))
        results = self.form.chosen_results()
        self.controller.start(BatchRequest(model_choice, files, output, results, self.redo.isChecked()))

    def _on_event(self, event: Event, counts: BatchCounts) -> None:
        self.table.show_event(event)
        if not self.controller.cancelling:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(_STEPS * counts.progress / max(counts.total, 1)))
            self.bar.setFormat(batch_words.batch_progress(counts))
            self.message.show_message(tr("Segmenting {file}...").format(file=short_name(event.file)))

    def _on_done(self, counts: BatchCounts, cancelled: bool) -> None:
        self._idle()
        troubled = cancelled or counts.count("failed")
        self.message.show_message(batch_words.summary(counts, cancelled=cancelled), "warning" if troubled else "good")
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(_STEPS * counts.ended / max(counts.total, 1)))
        self.bar.setFormat(f"{counts.ended} / {counts.total}")

    def _on_failed(self, error: Exception) -> None:
        self._idle()
        self.message.show_failure(describe_error(error))

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.message.show_message(tr(folder_words.CANCELLING))
        self.controller.cancel()

    def _look(self) -> None:
        search = self.form.search()
        self.finder.stop()
        if search is not None:
            self.finder.ask(search)
        self._show_files(Search(Path(), "", False), ())
        self.message.show_message(tr(folder_words.NO_FOLDER if search is None else folder_words.LOOKING))
        self.form.matches.setText("")

    def _on_found(self, search: Search, found: Found) -> None:
        if self.controller.running:
            return
        files = found.files
        self._show_files(search, files)
        if found.plate:
            self.message.show_message(tr(folder_words.PLATE), action=self._open_plate(search.folder))
            return
        self.form.matches.setText(batch_words.matches(len(files)))
        self.message.show_message(
            tr(folder_words.READY_TO_RUN if files else folder_words.NO_IMAGES), "plain" if files else "warning"
        )

    def _open_plate(self, plate: Path) -> Action:
        title, tip = tr(folder_words.OPEN_PLATE), tr(folder_words.OPEN_PLATE_TIP)
        return title, tip, lambda: self.plate_requested.emit(plate)

    def _on_not_found(self, search: Search, error: Exception) -> None:
        self.message.show_message(describe_error(error).sentence, "warning")

    def _show_files(self, search: Search, files: Sequence[Path]) -> None:
        self._files = files
        self.table.files.show_files(search.folder, files)
        self._idle()

    def _open_failed(self, error: Exception) -> None:
        self.message.show_failure(describe_error(error))

    def _show_output(self) -> None:
        output = self.form.output_folder()
        if output is not None and output.is_dir():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(output)))
        elif output is not None:
            there_is_none = tr("{folder} is not there yet. It is made by the first run.")
            self.message.show_message(there_is_none.format(folder=output), "warning")

    def _look_for_results(self) -> None:
        output = self.form.output_folder()
        self.review.setEnabled(False)
        self.results_finder.stop()
        if output is not None:
            self.results_finder.ask(output)

    def _on_results(self, output: Path, there: bool) -> None:
        self.review.setEnabled(there and not self.controller.running)

    def _review(self) -> None:
        output = self.form.output_folder()
        if output is not None:
            self.review_requested.emit(output)

    def _idle(self) -> None:
        self.form.lock(False)
        self.redo.setEnabled(True)
        self.run.setEnabled(bool(self._files) and self._model_choice() is not None)
        self.cancel.setEnabled(False)
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(0)
        self.bar.setFormat("")
        self._look_for_results()

    def _on_theme(self, event: Any = None) -> None:
        self.message.badge.use_theme(get_theme(self._viewer.theme))

    def _connect(self) -> None:
        self.form.search_changed.connect(self._look)
        self.form.output.textChanged.connect(self._look_for_results)
        self.finder.answered.connect(self._on_found)
        self.finder.failed.connect(self._on_not_found)
        self.results_finder.answered.connect(self._on_results)
        self.results_finder.failed.connect(lambda output, error: self._on_results(output, False))
        self.controller.happened.connect(self._on_event)
        self.controller.done.connect(self._on_done)
        self.controller.failed.connect(self._on_failed)
        self.table.opened.connect(self.opener.open)
        self.opener.failed.connect(self._open_failed)
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self._cancel)
        self.show_output.clicked.connect(self._show_output)
        self.review.clicked.connect(self._review)
        self.destroyed.connect(self.controller.cancel)
        self._viewer.events.theme.connect(self._on_theme)

    def _explain(self) -> None:
        self.uses.setToolTip(tr(folder_words.WITH_TIP))
        self.redo.setToolTip(tr(folder_words.REDO_TIP))
        self.run.setToolTip(tr(folder_words.RUN_TIP))
        self.cancel.setToolTip(tr(folder_words.CANCEL_TIP))
        self.show_output.setToolTip(tr(folder_words.SHOW_TIP))
        self.review.setToolTip(tr(folder_words.REVIEW_TIP))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        own = (self.run, self.cancel, self.show_output, self.review)
        for button in (*own, self.form.folder_button, self.form.output_button):
            button.setAutoDefault(False)  # Enter in a line of the form starts nothing

    def _arrange(self) -> None:
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run)
        buttons.addWidget(self.redo)
        buttons.addStretch()
        buttons.addWidget(self.message.buttons)
        buttons.addWidget(self.show_output)
        buttons.addWidget(self.review)
        self.run.setMinimumSize(120, 30)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addWidget(self.form)
        column.addWidget(self.uses)
        column.addWidget(self.table, 1)
        column.addLayout(progress)
        column.addWidget(self.message)
        column.addLayout(buttons)
        self.resize(*_SIZE)
