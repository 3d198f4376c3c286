"""The dock widget: puts the rows together and decides what each event means for the others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr, translated
from napari_unetseg.plugin.add_model.adder import ChooseFile, ModelAdder, choose_file
from napari_unetseg.plugin.autosave.autosave import Autosave
from napari_unetseg.plugin.blocks.stored_job import StoredOutcome, StoredRequest
from napari_unetseg.plugin.blocks.stored_layer import STORED_KEY
from napari_unetseg.plugin.comparison.comparing import Comparing
from napari_unetseg.plugin.dock.add_model_rows import AddModelRows
from napari_unetseg.plugin.dock.adjustments import MORE_TIP, Adjustments
from napari_unetseg.plugin.dock.headline import Headline
from napari_unetseg.plugin.dock.image_follower import ImageFollower
from napari_unetseg.plugin.dock.image_watch import ImageWatch
from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.dock.kept_results import KeptResults
from napari_unetseg.plugin.dock.object_size_row import ObjectSize
from napari_unetseg.plugin.dock.panel_drops import PanelDrops
from napari_unetseg.plugin.dock.relabelling import RelabelController
from napari_unetseg.plugin.dock.remembered_settings import remember, restore_rows
from napari_unetseg.plugin.dock.rerun import device_of, plan_rerun, show_recipe
from napari_unetseg.plugin.dock.result_actions import ResultActions
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.dock.run_forecast import RunForecast
from napari_unetseg.plugin.dock.run_messages import RunMessages
from napari_unetseg.plugin.dock.run_row import RunRow
from napari_unetseg.plugin.dock.server_rows import ServerRows
from napari_unetseg.plugin.dock.shortcuts import CANCEL, CONTOURS, RUN, bind_key, flip_contours, with_key
from napari_unetseg.plugin.dock.stored_runs import StoredRuns
from napari_unetseg.plugin.dock.target_outline import TargetOutline
from napari_unetseg.plugin.dock.try_all import TryAll
from napari_unetseg.plugin.fixing.fix_tools import FixTools
from napari_unetseg.plugin.folder.folder_batch import FolderBatch
from napari_unetseg.plugin.languages import activate_language
from napari_unetseg.plugin.layers.napari_types import ImageLike
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.layers.sight import SIGHT_EVENTS, grid_of
from napari_unetseg.plugin.learning.learning_dock import Learning
from napari_unetseg.plugin.panel.health_section import HealthSection
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.card_text import describe_model
from napari_unetseg.plugin.parts.collapsible import CollapsibleRows
from napari_unetseg.plugin.parts.messages import MessageArea, card_dialog
from napari_unetseg.plugin.parts.scrolling import ScrollingColumn
from napari_unetseg.plugin.plate.plate_window import PlateWindow
from napari_unetseg.plugin.review.reviewing import Reviewing
from napari_unetseg.plugin.table.table_dock import TableDock
from napari_unetseg.plugin.workers.batch_run import ModelChoice
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import Outcome, SegmentJob
from napari_unetseg.plugin.workers.servers import Servers
from napari_unetseg.plugin.workers.services import ServiceFactory, shared_servers, shared_service
from napari_unetseg.zoo.registry import Listed, list_models

if TYPE_CHECKING:
    from napari.components import ViewerModel

WIDTH = 350
_FLIP_TIP = mark("Shows or hides the contours of all results:")


class SegmentationWidget(QWidget):
    """Segment the plane of an image layer that is on display.

    Everything slow happens in workers; see `RunController`, `RelabelController` and `HealthSection`.
    If the image layer is removed during a run its results are added all the same, since they stand
    on their own, and the message says so. Closing the dock or the viewer cancels a run.

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
    servers
        Asks servers, in workers, and keeps their keys.
    """

    def __init__(
        self,
        napari_viewer: "ViewerModel",
        services: ServiceFactory = shared_service,
        models: Callable[[], Sequence[Listed]] = list_models,
        choose: ChooseFile = choose_file,
        servers: Servers = shared_servers,
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
        self.image_follower = ImageFollower(napari_viewer, self.inputs, self)
        pointed_at = (self.inputs.image, self.inputs.pin, self.runner.run)
        self.target_outline = TargetOutline(self._outlined, pointed_at, self)
        self._image_watch = ImageWatch(napari_viewer)
        self.run_messages = RunMessages(self.controller, rows)
        self.run_forecast = RunForecast(napari_viewer, rows, self)
        self.model_adder = ModelAdder(self, models, choose)
        AddModelRows(self.model_adder, rows, self._lock)
        self.servers = ServerRows(napari_viewer, rows, servers, self.controller, self)
        self.table = TableDock(napari_viewer, self.adjust.table, self)
        self.headline = Headline(napari_viewer, rows, self)
        self.results = KeptResults(napari_viewer, self.controller, rows, self.table, self.headline, self)
        self.stored = StoredRuns(
            napari_viewer,
            rows,
            self.controller,
            self.headline,
            services,
            self.run,
            self._begin_run,
            self._end_of_run,
            self,
        )
        self.folder = FolderBatch(self, napari_viewer, services, self._model_choice)
        self.plates = PlateWindow(self, napari_viewer, services, self._model_choice)
        self.try_all = TryAll(napari_viewer, rows, services, self.run, self.results.use_model_values, self)
        self.fixing = FixTools(napari_viewer, self.results.current, self)
        self.learning = Learning(napari_viewer, self.results.current, models, self)
        self.reviewing = Reviewing(napari_viewer, self)
        self.comparing = Comparing(napari_viewer, self.results.current, services, self)
        self.autosave = Autosave(napari_viewer, self.message, self)
        self._arrange()
        self.drops = PanelDrops(
            self, napari_viewer, self.folder, self.plates, self.model_adder, self.message, self._occupied
        )
        self._connect()
        self._bind_keys()
        self._on_theme()
        self._on_model()
        self.reset_choices()

    @property
    def live(self) -> RelabelController:
        """What reads the labels of the selected result again."""
        return self.results.relabelling

    @property
    def result(self) -> ShownResult | None:
        """The layers of the selected result, else of the last one; None if there is none of the chosen image."""
        return None if self.results.selected is None else self.results.selected.shown

    def reset_choices(self, event: Any = None) -> None:
        """Offer the viewer's images; napari calls this when layers come, go or change their name."""
        self.image_follower.offer()

    def run(self) -> None:
        """Start a run with what the rows say, as the Run button does."""
        layer, package = self.inputs.layer(), self.inputs.package()
        if layer is None or package is None or self._obstacle() or self.controller.running or self.model_adder.busy:
            return
        try:
            planes = self.inputs.chosen_planes(self.viewer)
        except UnetsegError as error:
            self.message.show_message(translated(error), "warning")
            return
        device, outputs = self.inputs.device_key(), self.adjust.chosen_outputs()
        parameters = self._rows.segment_options() | self.inputs.segment_options()
        remember(self._rows, None if self.live.busy else self.result)
        if self.inputs.run_on.choice() is RunOn.STORED:
            self.stored.ask(StoredRequest(planes[0], package.name, str(package.path), device, parameters))
            return
        self._begin_run(planes, tr(package.card.display_name), device)
        self.controller.start([SegmentJob(plane, str(package.path), device, parameters, outputs) for plane in planes])

    def run_again(self, record: dict[str, Any]) -> None:
        """Repeat the run that made a result, with exactly its settings."""
        if self.controller.running or self.model_adder.busy:
            return
        outputs = self.adjust.chosen_outputs()
        if not outputs:
            self.message.show_message(tr(words.NO_OUTPUT), "warning")
            return
        try:
            recipe, plane = plan_rerun(record, self.viewer.layers, self.inputs.layer())
        except UnetsegError as error:
            self.message.show_message(translated(error), "warning")
            return
        options, device = recipe.segment_options(), device_of(recipe)
        if STORED_KEY in record:
            self.stored.ask(StoredRequest(plane, recipe.model.name, recipe.model.source, device, options, recipe))
            return
        self._begin_run([plane], recipe.model.name, device)
        self.controller.start([SegmentJob(plane, recipe.model.source, device, options, outputs, recipe)])
        show_recipe(self._rows, recipe, plane)
        self._lock(True)

    def flip_contours(self) -> None:
        """Show the contours of all results, or hide them where all are shown."""
        flip_contours(self.viewer.layers)

    def update_result(self) -> None:
        """Bring labels, contours and table of the selected result in line with what was edited by hand."""
        self.results.update()

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
            self.plates.cancel()
            self.try_all.stop()
            self.model_adder.cancel()
            self.results.stop()
            self.table.close()
            self.object_size.show_layer(None, None)
            self.run_forecast.stop()
            self.servers.stop()
            self.health.controller.stop()
            for part in (self.stored, self.fixing, self.learning, self.reviewing, self.comparing, self.autosave):
                part.stop()
        return bool(super().event(event))

    def _occupied(self) -> bool:
        return self.controller.running or self.model_adder.busy or self.folder.running or self.plates.running

    def _model_choice(self) -> ModelChoice | None:
        package = self.inputs.package()
        if package is None:
            return None
        channels = self.inputs.channel_options()
        words_of_title = [tr(package.card.display_name), *channels.values(), self.inputs.device.currentText()]
        options = self._rows.segment_options() | channels
        return ModelChoice(str(package.path), self.inputs.device_key(), options, " · ".join(words_of_title))

    def _on_model_made(self, name: str, listed: Sequence[Listed]) -> None:
        if not self._occupied():
            self.inputs.model.set_models(listed)
            self.inputs.choose_model(name)

    def _on_made(self, outcome: Outcome) -> None:
        self.results.add(outcome)

    def _on_done(self, outcome: Outcome) -> None:
        changes = self._end_of_run()
        self.results.show(replace(outcome, faults=(*outcome.faults, *changes)))
        if outcome.info is not None and outcome.health is not None:
            self.health.show_run(outcome.info, outcome.health)
        self.run_forecast.update(recompute=True)
        if self.inputs.layer() == outcome.job.plane.source:
            self.object_size.show_found(outcome.diameter, unsure=outcome.unsure)

    def _on_stored(self, outcome: StoredOutcome) -> None:
        self.health.show_run(outcome.info, outcome.health)
        self.run_forecast.update(recompute=True)
        self.result_actions.show_output()
        self.table.follow_active()

    def _on_cancelled(self) -> None:
        self._end_of_run()
        self.run_messages.cancelled()

    def _on_failed(self, error: Exception) -> None:
        self._end_of_run()
        self.run_messages.failed(error, self.servers.action_for(error) or self.stored.action_for(error))

    def _begin_run(self, planes: Sequence[Plane], title: str, device: str) -> None:
        self._image_watch.begin(plane.source for plane in planes)
        self._lock(True)
        self.headline.clear()
        self.health.run_began()
        self.run_messages.begin(title, device)

    def _end_of_run(self) -> tuple[str, ...]:
        """Return sentences on what became of the images meanwhile."""
        self._lock(False)
        self.health.run_ended()
        self.runner.idle()
        return self._image_watch.end()

    def _outlined(self) -> list[ImageLike]:
        """Return what a run would be on, where it could be on something else."""
        return self.inputs.targets(self.viewer) if self.inputs.image.count() > 1 else []

    def _on_image(self, event: Any = None) -> None:
        plane = self.inputs.show_viewer(self.viewer)
        self.object_size.show_layer(self.inputs.layer(), plane)
        adjusted = self.results.plane(plane)
        self.adjust.set_pixel_area(None if adjusted is None else adjusted.pixel_area)
        if not self.controller.running:
            self._allow_run()

    def _on_layers(self, event: Any) -> None:
        """Hear of the events of any layer; those of pixels and shapes come at every stroke of a brush."""
        if event.type in SIGHT_EVENTS:
            self._on_image()

    def _on_selection(self, event: Any) -> None:
        if self.inputs.run_on.choice() is RunOn.SELECTED:
            self._on_image()

    def _on_model(self) -> None:
        package = self.inputs.package()
        self.inputs.show_channels(self.viewer)
        self._on_device()
        self.object_size.use_card(None if package is None else package.card)
        self.results.show_next_run()
        self._allow_run()

    def _on_device(self) -> None:
        self.health.choose(self.inputs.package(), self.inputs.device_key())
        self.health.panel.show_version(self.servers.version)

    def _on_server(self) -> None:
        self.health.panel.show_version(self.servers.version)
        self._allow_run_if_idle()

    def _open_card(self) -> None:
        package = self.inputs.package()
        if package is not None:
            card_dialog(package.card.display_name, describe_model(package), self).open()

    def _obstacle(self) -> str | None:
        """Say what Run waits for; None if it can be pressed."""
        package = self.inputs.package()
        if package is None:
            return tr(words.NO_MODEL)
        if self.inputs.layer() is None:
            return tr(words.NO_IMAGE)
        if not self.adjust.chosen_outputs():
            return tr(words.NO_OUTPUT)
        on_disk = self.stored.obstacle(self.inputs.run_on.choice(), self.inputs.device_key())
        return on_disk or self.servers.obstacle(package)

    def _allow_run(self) -> None:
        obstacle = self._obstacle()
        self.runner.allow(obstacle)
        self.headline.refresh(obstacle)

    def _allow_run_if_idle(self) -> None:
        if not self.controller.running:
            self._allow_run()

    def _lock(self, locked: bool) -> None:
        self.inputs.lock(locked)
        self.image_follower.lock(locked)
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
        self.inputs.pin.use_theme(theme)
        self.message.badge.use_theme(theme)
        self.runner.use_theme(theme)
        self.object_size.use_theme(theme)
        self.health.use_theme(theme)

    def _connect(self) -> None:
        self.inputs.image_changed.connect(self._on_image)
        self.inputs.model.chosen.connect(self._on_model)
        self.inputs.device.chosen.connect(self._on_device)
        self.servers.changed.connect(self._on_server)
        self.inputs.card.clicked.connect(self._open_card)
        self.inputs.run_on.folder_requested.connect(self.folder.open)
        for box in self.adjust.outputs.values():
            box.toggled.connect(self._allow_run_if_idle)
        self.runner.run.clicked.connect(self.run)
        self.runner.cancel.clicked.connect(self.cancel)
        self.result_actions.rerun_requested.connect(self.run_again)
        self.result_actions.fix_requested.connect(self.fixing.open)
        self.result_actions.improve_requested.connect(self.learning.open_improve)
        self.result_actions.compare_requested.connect(self.comparing.open)
        self.reviewing.improve_requested.connect(self.learning.improve_from)
        self.reviewing.settled.connect(self.autosave.saved)
        self.folder.review_requested.connect(self.reviewing.open)
        self.folder.plate_requested.connect(self.plates.open)
        self.learning.model_made.connect(self._on_model_made)
        self.learning.run_requested.connect(self.run)
        self.result_actions.message.connect(self.message.show_message)
        self.stored.done.connect(self._on_stored)
        self.controller.made.connect(self._on_made)
        self.controller.done.connect(self._on_done)
        self.controller.cancelled.connect(self._on_cancelled)
        self.controller.failed.connect(self._on_failed)
        # The controllers still hear of the end after Qt has deleted this widget.
        self.destroyed.connect(self.controller.cancel)
        self.destroyed.connect(self.model_adder.cancel)
        self.destroyed.connect(self.learning.leave)
        self.viewer.dims.events.current_step.connect(self._on_image)
        self.viewer.dims.events.order.connect(self._on_image)
        self.viewer.layers.events.connect(self._on_layers)
        self.viewer.layers.selection.events.changed.connect(self._on_selection)
        grid_of(self.viewer).events.enabled.connect(self._on_image)
        self.viewer.events.theme.connect(self._on_theme)

    def _bind_keys(self) -> None:
        keys = ((RUN, self.runner.press_run), (CANCEL, self.runner.press_cancel), (CONTOURS, self.flip_contours))
        for key, method in keys:
            bind_key(self.viewer, key, method)
        contours = self.adjust.outputs["contours"]
        contours.setToolTip(f"{contours.toolTip()}\n{with_key(tr(_FLIP_TIP), CONTOURS)}")

    def _arrange(self) -> None:
        self.setMinimumWidth(WIDTH)
        self.column = ScrollingColumn()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.column)
        column = self.column.rows
        seldom = [self.adjust.more, self.inputs.link, self.object_size.more]
        self.more = CollapsibleRows(tr("More"), tr(MORE_TIP), seldom, self.adjust.table)
        upper = (self.inputs, self.object_size, self.runner, self.message)
        for row in (*upper, self.adjust, self.more, self.result_actions):
            column.addWidget(row)
        column.addWidget(self.health, 1)
