"""The window that segments a plate: puts form, wells, fields and buttons together."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, QTimer, QUrl
from qtpy.QtGui import QCloseEvent, QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.batch.events import BatchCounts, Event
from napari_unetseg.batch.output_files import ALWAYS
from napari_unetseg.language import tr
from napari_unetseg.plugin.parts import batch_words
from napari_unetseg.plugin.parts.drops import FileDrops
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.plate import plate_words
from napari_unetseg.plugin.plate.plate_facts import PlateFacts
from napari_unetseg.plugin.plate.plate_form import (
    ChooseFile,
    PlateForm,
    choose_plate,
    choose_table,
    last_plate,
    remember_plate,
)
from napari_unetseg.plugin.plate.plate_reading import (
    PlateAnswer,
    PlateQuestion,
    Standing,
    StandingQuestion,
    prepare_conditions,
    prepare_plate,
    prepare_standing,
)
from napari_unetseg.plugin.plate.well_fields import WellFields
from napari_unetseg.plugin.plate.well_grid import WellGrid
from napari_unetseg.plugin.plate.well_legend import WellLegend
from napari_unetseg.plugin.workers.batch_run import BatchController, BatchRequest, ModelChoice
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.plugin.workers.opener import Opener
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel

_SIZE = (1040, 680)
_STEPS = 1000
_TYPING_MS = 400  # without another key, before a plate is read
_REFRESH_MS = 4000  # between two looks at what other processes have done


class PlateDialog(QDialog):
    """Segment wells of a plate with the panel's model, device and parameters, and look at what came of it.

    Everything slow happens in workers. Closing the window cancels; what is finished is kept.

    Parameters
    ----------
    viewer
        Gets the images that are opened.
    services
        Gives the service of a model and device, in workers.
    model_choice
        Gives what the panel says; None while no model can be used.
    choose, choose_conditions
        Ask for a folder, and for a table.
    parent
        Owner.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        services: ServiceFactory,
        model_choice: Callable[[], ModelChoice | None],
        choose: ChooseFile = choose_plate,
        choose_conditions: ChooseFile = choose_table,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr(plate_words.TITLE))
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        self._viewer, self._model_choice, self._choose_conditions = viewer, model_choice, choose_conditions
        self.form = PlateForm(choose)
        self.uses, self.about = QLabel(), QLabel()
        self.colours = QComboBox()
        self.legend, self.grid, self.wells = WellLegend(), WellGrid(), WellFields()
        self.bar = QProgressBar()
        self.message = MessageArea()
        self.redo = QCheckBox(tr("Do all again"))
        self.run, self.cancel = QPushButton(), QPushButton(tr("Cancel"))
        self.show_output = QPushButton(tr("Open output folder"))
        self.reader: LatestWorker[PlateQuestion, PlateAnswer] = LatestWorker(prepare_plate, _TYPING_MS, self)
        self.refresher: LatestWorker[StandingQuestion, Standing] = LatestWorker(prepare_standing, 0, self)
        self.conditions_reader: LatestWorker[Path, dict[str, str]] = LatestWorker(prepare_conditions, 0, self)
        self.controller = BatchController(services, self)
        self.opener = Opener(viewer, self)
        self.facts: PlateFacts | None = None
        self._output: Path | None = None
        self._timer = QTimer(self)
        self._arrange()
        self._explain()
        self._connect()
        self._idle()
        self.refresh()
        self.form.plate.setText(last_plate())
        self._look()
        FileDrops(self).dropped.connect(self.take)
        self._timer.start(_REFRESH_MS)

    def take(self, paths: Sequence[Path]) -> None:
        """Fill in a plate that was dropped here; during a batch it is left alone."""
        if paths and not self.controller.running:
            self.form.plate.setText(str(paths[0]))

    def refresh(self) -> None:
        """Show what the panel says, as when the window is opened again."""
        model_choice = self._model_choice()
        self.uses.setText(
            tr("With {model}").format(model=model_choice.title) if model_choice else tr(plate_words.NO_MODEL_CHOSEN)
        )
        self._on_theme()
        if not self.controller.running:
            self._idle()

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
        model_choice, facts, output = self._model_choice(), self.facts, self._output
        if model_choice is None or facts is None or output is None or self.controller.running:
            return
        files = facts.files_of(self._numbers(), self.form.chosen_fields())
        if not files:
            self.message.show_message(tr(plate_words.NO_FIELDS), "warning")
            return
        remember_plate(self.form.plate_path())
        facts.take(Event(file, "waiting") for file in files)
        self._show_facts()
        self.form.lock(True)
        self.wells.lock(True)
        self.redo.setEnabled(False)
        self.run.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.setRange(0, 0)
        self.uses.setText(tr("With {model}").format(model=model_choice.title))
        self.message.show_message(tr(plate_words.STARTING))
        places = {file: facts.places[file] for file in files}
        self.controller.start(
            BatchRequest(
                model_choice,
                files,
                output,
                ALWAYS,
                self.redo.isChecked(),
                places,
                dict(facts.conditions),
                self.form.beside.isChecked(),
            )
        )

    def open_well(self, number: int) -> None:
        """Open the first field of a well with its labels."""
        if self.facts is not None and (events := self.facts.well(number).events):
            self.opener.open(events[0])

    # The plate.

    def _look(self) -> None:
        self.reader.stop()
        self.refresher.stop()
        self.facts = self._output = None
        self.grid.show_plate((), (), ())
        self._show_facts()
        self._idle()
        path = self.form.plate_path()
        if path:
            self.reader.ask(PlateQuestion(path, self.form.output_folder()))
        self.message.show_message(tr(plate_words.OPENING if path else plate_words.NO_PLATE))

    def _on_plate(self, question: PlateQuestion, answer: PlateAnswer) -> None:
        self.facts = PlateFacts(answer.plate, answer.places)
        self._output = answer.output
        self.form.suggest_output(answer.output)
        self._take(answer.standing)
        self.grid.show_plate(answer.plate.rows, answer.plate.columns, self.facts.wells())
        self._show_facts()
        self._idle()
        if missing := answer.plate.missing:
            self.message.show_message(missing[0], "warning")
        else:
            self.message.show_message(tr(plate_words.READY))

    def _on_no_plate(self, question: PlateQuestion, error: Exception) -> None:
        self.message.show_message(describe_error(error).sentence, "warning")

    def _take(self, standing: Standing) -> None:
        if self.facts is not None:
            self.facts.take(standing.events)
            # What was typed here, and is not written yet, stays.
            self.facts.conditions = {**standing.conditions, **self.facts.conditions}

    def _refresh_standing(self) -> None:
        """Look at what other processes have done meanwhile."""
        if self.facts is None or self._output is None or self.controller.running or not self.isVisible():
            return
        if not self.refresher.busy:
            self.refresher.ask(StandingQuestion(self.facts.plate, self.facts.places, self._output), at_once=True)

    def _on_standing(self, question: StandingQuestion, standing: Standing) -> None:
        if self.facts is not None and question.plate is self.facts.plate and not self.controller.running:
            self._take(standing)
            self._show_facts()

    def _show_facts(self) -> None:
        wells = [] if self.facts is None else self.facts.wells()
        self.about.setText("" if self.facts is None else plate_words.plate_line(self.facts))
        self.grid.show_wells(wells)
        self.legend.explain(self.grid.colour_by, self.grid.scale)
        self._show_chosen()

    def _show_chosen(self) -> None:
        facts = self.facts
        self.wells.show_wells([] if facts is None else [facts.well(number) for number in sorted(self.grid.chosen)])
        if self.controller.running:
            self.wells.lock(True)
        self.run.setText(plate_words.run_button(len(self.grid.chosen), 0 if facts is None else len(facts.plate.wells)))

    def _numbers(self) -> list[int]:
        """Return the numbers of the wells that Run takes."""
        return sorted(self.grid.chosen) or ([] if self.facts is None else list(range(len(self.facts.plate.wells))))

    # Conditions.

    def _on_condition(self, condition: str) -> None:
        if self.facts is not None:
            names = [self.facts.plate.wells[number].name for number in self.grid.chosen]
            self.facts.conditions |= dict.fromkeys(names, condition)
            self._show_facts()

    def _ask_for_conditions(self) -> None:
        chosen = self._choose_conditions(self, self.form.plate_path())
        if chosen is not None:
            self.conditions_reader.ask(chosen, at_once=True)

    def _on_conditions(self, path: Path, conditions: dict[str, str]) -> None:
        if self.facts is None:
            return
        names = {well.name for well in self.facts.plate.wells}
        known = {well: condition for well, condition in conditions.items() if well in names}
        self.facts.conditions |= known
        self._show_facts()
        said = tr("Conditions of {wells} were read. Run writes them into the tables.")
        self.message.show_message(
            said.format(wells=plate_words.well_count(len(known))), "plain" if known else "warning"
        )

    def _on_failure(self, question: object, error: Exception) -> None:
        self.message.show_failure(describe_error(error))

    # The batch.

    def _on_event(self, event: Event, counts: BatchCounts) -> None:
        if self.facts is None:
            return
        self.facts.take([event])
        number = self.facts.number_of(event.file)
        if number is not None:
            self.grid.show_well(number, self.facts.well(number))
            self.legend.explain(self.grid.colour_by, self.grid.scale)
            if number in self.grid.chosen:
                self._show_chosen()
        if not self.controller.cancelling:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(_STEPS * counts.progress / max(counts.total, 1)))
            self.bar.setFormat(batch_words.batch_progress(counts))
            self.message.show_message(plate_words.segmenting(event, self.facts))

    def _on_done(self, counts: BatchCounts, cancelled: bool) -> None:
        self._idle()
        troubled = cancelled or counts.count("failed")
        self.message.show_message(batch_words.summary(counts, cancelled=cancelled), "warning" if troubled else "good")
        self.bar.setValue(round(_STEPS * counts.ended / max(counts.total, 1)))
        self.bar.setFormat(f"{counts.ended} / {counts.total}")

    def _on_failed(self, error: Exception) -> None:
        self._idle()
        self._refresh_standing()
        self.message.show_failure(describe_error(error))

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.message.show_message(tr(plate_words.CANCELLING))
        self.controller.cancel()

    def _idle(self) -> None:
        self.form.lock(False)
        self.wells.lock(False)
        self.redo.setEnabled(True)
        self.run.setEnabled(self.facts is not None and self._model_choice() is not None)
        self.cancel.setEnabled(False)
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(0)
        self.bar.setFormat("")

    # The rest.

    def _colour(self) -> None:
        self.grid.colour(self.colours.currentData())
        self.legend.explain(self.grid.colour_by, self.grid.scale)

    def _show_output(self) -> None:
        output = self._output or self.form.output_folder()
        if output is not None and output.is_dir():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(output)))
        elif output is not None:
            there_is_none = tr("{folder} is not there yet. It is made by the first run.")
            self.message.show_message(there_is_none.format(folder=output), "warning")

    def _on_theme(self, event: Any = None) -> None:
        theme = get_theme(self._viewer.theme)
        self.message.badge.use_theme(theme)
        self.grid.use_theme(theme)
        self.legend.use_theme(theme)

    def _connect(self) -> None:
        self.form.changed.connect(self._look)
        self.reader.answered.connect(self._on_plate)
        self.reader.failed.connect(self._on_no_plate)
        self.refresher.answered.connect(self._on_standing)
        self.refresher.failed.connect(self._on_failure)
        self.conditions_reader.answered.connect(self._on_conditions)
        self.conditions_reader.failed.connect(self._on_failure)
        self.controller.happened.connect(self._on_event)
        self.controller.done.connect(self._on_done)
        self.controller.failed.connect(self._on_failed)
        self.grid.chosen_changed.connect(self._show_chosen)
        self.grid.opened.connect(self.open_well)
        self.wells.opened.connect(self.opener.open)
        self.wells.condition_given.connect(self._on_condition)
        self.wells.conditions_wanted.connect(self._ask_for_conditions)
        self.opener.failed.connect(lambda error: self._on_failure(None, error))
        self.colours.currentIndexChanged.connect(self._colour)
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self._cancel)
        self.show_output.clicked.connect(self._show_output)
        self.destroyed.connect(self.controller.cancel)
        self._timer.timeout.connect(self._refresh_standing)
        self._viewer.events.theme.connect(self._on_theme)

    def _explain(self) -> None:
        for widget, tip in (
            (self.uses, plate_words.WITH_TIP),
            (self.colours, plate_words.COLOURS_TIP),
            (self.redo, plate_words.REDO_TIP),
            (self.run, plate_words.RUN_TIP),
            (self.cancel, plate_words.CANCEL_TIP),
            (self.show_output, plate_words.SHOW_TIP),
        ):
            widget.setToolTip(tr(tip))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for button in (self.run, self.cancel, self.show_output):
            button.setAutoDefault(False)  # Enter in a line of the form starts nothing

    def _arrange(self) -> None:
        self.colours.addItem(tr("Status"), "status")
        self.colours.addItem(tr("Objects"), "objects")
        colouring = QHBoxLayout()
        colouring.addWidget(QLabel(tr("Colour by")))
        colouring.addWidget(self.colours)
        colouring.addSpacing(8)
        colouring.addWidget(self.legend, 1)
        plate = QWidget()
        left = QVBoxLayout(plate)
        left.setContentsMargins(0, 0, 0, 0)
        left.addLayout(colouring)
        left.addWidget(self.grid, 1)
        middle = QSplitter(Qt.Orientation.Horizontal)
        middle.addWidget(plate)
        middle.addWidget(self.wells)
        middle.setStretchFactor(0, 1)
        middle.setChildrenCollapsible(False)
        middle.setSizes([_SIZE[0] - 300, 300])
        about = QHBoxLayout()
        about.addWidget(self.about, 1)
        about.addWidget(self.uses)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run)
        buttons.addWidget(self.redo)
        buttons.addStretch()
        buttons.addWidget(self.message.buttons)
        buttons.addWidget(self.show_output)
        self.run.setMinimumSize(140, 30)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addWidget(self.form)
        column.addLayout(about)
        column.addWidget(middle, 1)
        column.addLayout(progress)
        column.addWidget(self.message)
        column.addLayout(buttons)
        self.resize(*_SIZE)
