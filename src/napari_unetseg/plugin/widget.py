"""The dock widget: puts the rows together and decides what each event means for the others."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr, translated
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.add_model.adder import ChooseFile, ModelAdder, choose_file
from napari_unetseg.plugin.dock.add_model_rows import AddModelRows
from napari_unetseg.plugin.dock.adjustments import MORE_TIP, Adjustments
from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.dock.last_result import LastResult
from napari_unetseg.plugin.dock.object_size_row import ObjectSize
from napari_unetseg.plugin.dock.relabelling import RelabelController
from napari_unetseg.plugin.dock.remembered_settings import apply_opacities, remember, restore_rows
from napari_unetseg.plugin.dock.rerun import plan_rerun, show_recipe
from napari_unetseg.plugin.dock.result_actions import ResultActions
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.dock.run_forecast import RunForecast
from napari_unetseg.plugin.dock.run_messages import RunMessages
from napari_unetseg.plugin.dock.run_row import RunRow
from napari_unetseg.plugin.dock.shortcuts import CANCEL, CONTOURS, RUN, bind_key, flip_contours, with_key
from napari_unetseg.plugin.dock.try_all import TryAll
from napari_unetseg.plugin.folder.folder_batch import FolderBatch
from napari_unetseg.plugin.folder.folder_run import ModelChoice
from napari_unetseg.plugin.languages import activate_language
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.layers.run_on import choose_planes
from napari_unetseg.plugin.panel.health_section import HealthSection
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.card_text import describe_model
from napari_unetseg.plugin.parts.collapsible import CollapsibleRows
from napari_unetseg.plugin.parts.messages import MessageArea, card_dialog
from napari_unetseg.plugin.table.table_dock import TableDock
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import Outcome, SegmentJob
from napari_unetseg.plugin.workers.services import ServiceFactory, shared_service
from napari_unetseg.zoo.registry import Listed, list_models

if TYPE_CHECKING:
    from napari.components import ViewerModel

WIDTH = 336
_FLIP_TIP = mark("Shows or hides the contours of all results:")


class SegmentationWidget(QWidget):
    """Segment the plane of an image layer that is on display.

    Everything slow happens in workers; see `RunController`, `RelabelController` and `HealthSection`.
    If the image layer is removed during a run its results are added all the same, since they stand
    on their own. Closing the dock or the viewer cancels a run.

    Parameters
    ----------
    napari_viewer
        The viewer whose images are offered and that gets the results.
    services
        Gives the service for a model and a device; called in workers.
    models
        Lists the models to offer.
    choose
        Asks for the file of a model to add.
    """

    def __init__(
        self,
        napari_viewer: "ViewerModel",
        services: ServiceFactory = shared_service,
        models: Callable[[], Sequence[Listed]] = list_models,
        choose: ChooseFile = choose_file,
    ) -> None:
        super().__init__()
        activate_language()
        self.viewer = napari_viewer
        self.inputs = Inputs(models())
        self.object_size = ObjectSize()
        self.message = MessageArea()
        self.runner = RunRow(self.message.buttons)
        self.adjust = Adjustments()
        self.result_actions = ResultActions(napari_viewer)
        self.health = HealthSection(services)
        rows = Rows(self.inputs, self.object_size, self.runner, self.message, self.adjust)
        self._rows = rows
        restore_rows(rows)
        self.controller = RunController(services, self)
        self.run_messages = RunMessages(self.controller, rows)
        self.run_forecast = RunForecast(napari_viewer, rows, self)
        self.model_adder = ModelAdder(self, models, choose)
        AddModelRows(self.model_adder, rows, self._lock)
        self.table = TableDock(napari_viewer, self.adjust.table, self)
        self.last_result = LastResult(napari_viewer, self.controller, rows, self.table, self)
        self.folder = FolderBatch(self, napari_viewer, services, self._model_choice)
        self.try_all = TryAll(napari_viewer, rows, services, self.run, self)
        self._arrange()
        self._connect()
        self._bind_keys()
        self._on_theme()
        self._on_model()
        self.reset_choices()

    @property
    def live(self) -> RelabelController:
        """What reads the labels of the last result again."""
        return self.last_result.relabelling

    @property
    def result(self) -> ShownResult | None:
        """The layers of the last result; None before the first run."""
        return self.last_result.shown

    def reset_choices(self, event: Any = None) -> None:
        """Offer the viewer's images; napari calls this when layers come, go or change their name."""
        layers = [layer for layer in self.viewer.layers if isinstance(layer, ImageLayer)]
        self.inputs.set_layers([layer for layer in layers if METADATA_KEY not in layer.metadata])

    def run(self) -> None:
        """Start a run with what the rows say, as the Run button does."""
        layer, package = self.inputs.layer(), self.inputs.package()
        if layer is None or package is None or self.controller.running or self.model_adder.busy:
            return
        try:
            planes = choose_planes(self.inputs.run_on.choice(), layer, self.viewer, self.inputs.axis_choices)
        except UnetsegError as error:
            self.message.show_message(translated(error), "warning")
            return
        device, outputs = self.inputs.device_key(), self.adjust.chosen_outputs()
        parameters = self._rows.segment_options() | self.inputs.segment_options()
        remember(self._rows, None if self.live.busy else self.result)
        self._show_running(tr(package.card.display_name))
        self.controller.start([SegmentJob(plane, str(package.path), device, parameters, outputs) for plane in planes])

    def run_again(self, record: dict[str, Any]) -> None:
        """Repeat the run that made a result, with exactly its settings."""
        if self.controller.running or self.model_adder.busy:
            return
        try:
            recipe, plane = plan_rerun(record, self.viewer.layers, self.inputs.layer())
        except UnetsegError as error:
            self.message.show_message(translated(error), "warning")
            return
        outputs, options = self.adjust.chosen_outputs(), recipe.segment_options()
        self._show_running(recipe.model.name)
        self.controller.start([SegmentJob(plane, recipe.model.source, recipe.run.device, options, outputs, recipe)])
        show_recipe(self._rows, recipe, plane)
        self._lock(True)

    def flip_contours(self) -> None:
        """Show the contours of all results, or hide them where all are shown."""
        flip_contours(self.viewer.layers)

    def update_result(self) -> None:
        """Bring labels, contours and table of the last result in line with what was edited by hand."""
        self.last_result.update()

    def cancel(self) -> None:
        """Stop the run, as the Cancel button does."""
        self.run_messages.cancelling()
        self.controller.cancel()
        self.model_adder.cancel()

    def event(self, event: QEvent | None) -> bool:
        """Cancel the run when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.controller.cancel()
            self.folder.cancel()
            self.try_all.stop()
            self.model_adder.cancel()
            self.live.stop()
            self.table.close()
            self.object_size.show_layer(None, None)
            self.run_forecast.stop()
        return bool(super().event(event))

    def _model_choice(self) -> ModelChoice | None:
        package = self.inputs.package()
        if package is None:
            return None
        title = f"{tr(package.card.display_name)} · {self.inputs.device.currentText()}"
        return ModelChoice(str(package.path), self.inputs.device_key(), self._rows.segment_options(), title)

    def _on_made(self, outcome: Outcome) -> None:
        apply_opacities(outcome.layers)
        ShownResult(self.viewer, outcome.job.plane, outcome.layers, outcome.segmentation.labels)

    def _on_done(self, outcome: Outcome) -> None:
        self._end_of_run()
        apply_opacities(outcome.layers)
        self.last_result.show(outcome)
        self.health.show_run(outcome.info, outcome.health)
        self.run_forecast.update(recompute=True)
        if self.inputs.layer() == outcome.job.plane.source:
            self.object_size.show_found(outcome.diameter, unsure=outcome.unsure)

    def _on_cancelled(self) -> None:
        self._end_of_run()
        self.run_messages.cancelled()

    def _on_failed(self, error: Exception) -> None:
        self._end_of_run()
        self.run_messages.failed(error)

    def _show_running(self, title: str) -> None:
        self._lock(True)
        self.health.run_began()
        self.run_messages.begin(title)

    def _end_of_run(self) -> None:
        self._lock(False)
        self.health.run_ended()
        self.runner.idle()

    def _on_image(self, event: Any = None) -> None:
        plane = self.inputs.show_viewer(self.viewer)
        self.object_size.show_layer(self.inputs.layer(), plane)
        self.adjust.set_pixel_area(None if plane is None else plane.pixel_area)
        if not self.controller.running:
            self._allow_run()

    def _on_model(self) -> None:
        package = self.inputs.package()
        self._on_device()
        self.object_size.use_card(None if package is None else package.card)
        if package is not None:
            self.adjust.set_parameters(package.card.parameters)
        self._allow_run()

    def _on_device(self) -> None:
        self.health.choose(self.inputs.package(), self.inputs.device_key())

    def _open_card(self) -> None:
        package = self.inputs.package()
        if package is not None:
            card_dialog(package.card.display_name, describe_model(package), self).open()

    def _allow_run(self) -> None:
        reason = None
        if self.inputs.package() is None:
            reason = tr(words.NO_MODEL)
        elif self.inputs.layer() is None:
            reason = tr(words.NO_IMAGE)
        self.runner.allow(reason)
        if reason is not None:
            self.message.show_message(reason)
        elif self.message.text.text() in (tr(words.NO_IMAGE), tr(words.NO_MODEL), ""):
            self.message.show_message(tr(words.READY) if self.result is None else "")

    def _lock(self, locked: bool) -> None:
        self.inputs.lock(locked)
        self.object_size.lock(locked)
        self.adjust.lock(locked)
        self.result_actions.lock(locked)
        if locked:
            self.runner.run.setEnabled(False)
            self.runner.try_all.setEnabled(False)
        else:
            self._allow_run()

    def _on_theme(self, event: Any = None) -> None:
        theme = get_theme(self.viewer.theme)
        self.message.badge.use_theme(theme)
        self.runner.use_theme(theme)
        self.object_size.use_theme(theme)
        self.health.use_theme(theme)

    def _connect(self) -> None:
        self.inputs.image_changed.connect(self._on_image)
        self.inputs.model.chosen.connect(self._on_model)
        self.inputs.device.currentIndexChanged.connect(self._on_device)
        self.inputs.card.clicked.connect(self._open_card)
        self.inputs.run_on.folder_requested.connect(self.folder.open)
        self.runner.run.clicked.connect(self.run)
        self.runner.cancel.clicked.connect(self.cancel)
        self.result_actions.rerun_requested.connect(self.run_again)
        self.result_actions.message.connect(self.message.show_message)
        self.controller.made.connect(self._on_made)
        self.controller.done.connect(self._on_done)
        self.controller.cancelled.connect(self._on_cancelled)
        self.controller.failed.connect(self._on_failed)
        # The controllers still hear of the end after Qt has deleted this widget.
        self.destroyed.connect(self.controller.cancel)
        self.destroyed.connect(self.model_adder.cancel)
        self.viewer.dims.events.current_step.connect(self._on_image)
        self.viewer.dims.events.order.connect(self._on_image)
        self.viewer.events.theme.connect(self._on_theme)

    def _bind_keys(self) -> None:
        keys = ((RUN, self.runner.press_run), (CANCEL, self.runner.press_cancel), (CONTOURS, self.flip_contours))
        for key, method in keys:
            bind_key(self.viewer, key, method)
        contours = self.adjust.outputs["contours"]
        contours.setToolTip(f"{contours.toolTip()}\n{with_key(tr(_FLIP_TIP), CONTOURS)}")

    def _arrange(self) -> None:
        self.setMinimumWidth(WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 6)
        column.setSpacing(4)
        seldom = [self.adjust.more, self.inputs.link, self.object_size.more]
        self.more = CollapsibleRows(tr("More"), tr(MORE_TIP), seldom, self.adjust.table)
        upper = (self.inputs, self.object_size, self.runner, self.message)
        for row in (*upper, self.adjust, self.more, self.result_actions):
            column.addWidget(row)
        column.addWidget(self.health, 1)
