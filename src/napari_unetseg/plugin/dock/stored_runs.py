"""Runs into labels on disk: what is asked before, the layer that fills, and what is said of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QObject, Qt, Signal

from napari_unetseg.errors import OutOfMemory, is_out_of_memory
from napari_unetseg.language import grouped, mark, tr, translated
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.blocks.destination import Destination, needed_bytes
from napari_unetseg.plugin.blocks.destination_dialog import DestinationDialog
from napari_unetseg.plugin.blocks.stored_job import MOST_ROWS, StoredJob, StoredOutcome, StoredRequest
from napari_unetseg.plugin.blocks.stored_layer import STORED_KEY
from napari_unetseg.plugin.blocks.stored_run import StoredRun
from napari_unetseg.plugin.dock.headline import Headline
from napari_unetseg.plugin.dock.remembered_settings import apply_opacities
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.outputs import fresh_names
from napari_unetseg.plugin.layers.plane import Plane, full_resolution
from napari_unetseg.plugin.layers.run_areas import RunOn, seen_block
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.messages import Action
from napari_unetseg.plugin.parts.server_names import is_server
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

_ON_SERVER = mark("A server computes no image block by block. Choose a device of this machine.")
_CANCEL_TIP = mark("Stops the run. What is done stays on disk, and the same run goes on from there.")
_STOPPED = mark("Stopped at {percent} %. What is done is kept with '{store}'; 'Go on' continues, also another day.")
_GO_ON = mark("Go on")
_GO_ON_TIP = mark("Continues the run where it was stopped, with the same settings.")
_DONE = mark("{objects} in '{store}'.")
_TABLE = mark("The table of more than {limit} objects is not opened with the layer; it is in {file}.")
_REMOVED = mark("The layer was removed meanwhile.")
_SHOW = mark("Show")
_SHOW_TIP = mark("Adds the layer of the labels again.")
_CONTOURS = mark("For outlines set 'contour' of the labels' layer to 1 or more.")
_TO_DISK = mark("To disk...")
_TO_DISK_TIP = mark("Runs on the whole image block by block, which takes little memory, and keeps the labels on disk.")


class StoredRuns(QObject):
    """Asks where labels go, runs, and shows the layer that fills block by block.

    `done` gives the `StoredOutcome` of a run once its layer is a result.

    Parameters
    ----------
    viewer
        Gets the layer.
    rows
        Where is said how far a run is and what came of it.
    controller
        Of the other runs, which rest meanwhile.
    headline
        Sums up what was found.
    services
        Gives the service of a model and device, in workers.
    run
        Runs on what is chosen, as the button does.
    on_begin
        Called with planes, model and device when a run begins.
    on_end
        Called when it ended; returns sentences on what became of its image meanwhile.
    parent
        Owner of this and of the window that asks.

    Attributes
    ----------
    dialog
        The window that asks, while it is open.
    """

    done = Signal(object)

    def __init__(
        self,
        viewer: "ViewerModel",
        rows: Rows,
        controller: RunController,
        headline: Headline,
        services: ServiceFactory,
        run: Callable[[], None],
        on_begin: Callable[[Sequence[Plane], str, str], None],
        on_end: Callable[[], Sequence[str]],
        parent: "QWidget",
    ) -> None:
        super().__init__(parent)
        self.run = StoredRun(services, controller, parent=self)
        self.dialog: DestinationDialog | None = None
        self._viewer, self._rows, self._headline, self._parent = viewer, rows, headline, parent
        self._controller, self._run, self._on_begin, self._on_end = controller, run, on_begin, on_end
        self._layer: Labels | None = None
        self._layers: dict[Path, Labels] = {}
        self.run.began.connect(self._on_layer)
        self.run.done.connect(self._on_done)
        self.run.cancelled.connect(self._on_cancelled)
        self.run.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or the disk is being looked at."""
        return self.run.busy or (self.dialog is not None and self.dialog.busy)

    def obstacle(self, choice: RunOn, device: str) -> str | None:
        """Say why a run to disk cannot begin; None if it can, or something else is chosen."""
        return tr(_ON_SERVER) if choice is RunOn.STORED and is_server(device) else None

    def ask(self, request: StoredRequest) -> None:
        """Ask where the labels of a run go, and begin it."""
        plane = request.plane
        shape = full_resolution(plane.source).shape
        needed = needed_bytes(plane.size, prod(int(shape[axis]) for axis in plane.placement.stack_axes))
        dialog = DestinationDialog(plane, request.name, needed, self._viewer.theme, parent=self._parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(partial(self.begin, request))
        dialog.finished.connect(self._on_dialog_closed)
        self.dialog = dialog
        dialog.open()

    def begin(self, request: StoredRequest, destination: Destination) -> None:
        """Begin a run, or go on with one."""
        if self._controller.running:
            return
        plane = request.plane
        names = {str(layer.name) for layer in self._viewer.layers}
        name = fresh_names(plane.name, ["labels"], names)["labels"]
        self._on_begin([plane], request.name, request.device)
        self._rows.runner.explain_cancel(tr(_CANCEL_TIP))
        self._layer = None
        focus = seen_block(plane.source, self._viewer, self._rows.inputs.axis_choices)
        self.run.start(StoredJob(request, destination, name, focus))

    def action_for(self, error: Exception) -> Action | None:
        """Return the button that helps where a run failed for want of memory; None for other errors."""
        lacks_memory = isinstance(error, OutOfMemory) or is_out_of_memory(error)
        if not lacks_memory or self._rows.inputs.run_on.choice() not in (RunOn.PLANE, RunOn.STACK):
            return None
        return tr(_TO_DISK), tr(_TO_DISK_TIP), self._run_to_disk

    def stop(self) -> None:
        """Ask nothing any more; a run that goes on is stopped by the controller."""
        if self.dialog is not None:
            self.dialog.reject()

    def _run_to_disk(self) -> None:
        self._rows.inputs.run_on.choose(RunOn.STORED)
        self._run()

    def _on_dialog_closed(self, result: int) -> None:
        self.dialog = None

    def _on_layer(self, layer: Labels) -> None:
        job = self.run.job
        before = None if job is None else self._layers.pop(job.destination.group, None)
        if before is not None and before in self._viewer.layers:
            # The run goes on, and its labels have a layer already.
            self._viewer.layers.remove(before)
            layer.name = before.name
        apply_opacities({"labels": layer})
        self._layer = layer
        self._viewer.add_layer(layer)

    def _on_done(self, outcome: StoredOutcome) -> None:
        faults = self._on_end()
        job, layer, plane = outcome.job, self._layer, outcome.job.request.plane
        notes = [translated(warning) for warning in (*outcome.warnings, *faults)]
        store = job.destination.store.name
        said = [tr(_DONE).format(objects=words.count(outcome.count), store=store)]
        if outcome.features is None:
            said.append(tr(_TABLE).format(limit=grouped(MOST_ROWS), file=outcome.table))
        if self._rows.adjustments.outputs["contours"].isChecked():
            said.append(tr(_CONTOURS))
        show: Action | None = None
        if layer is not None:
            layer.metadata[METADATA_KEY] = {**outcome.record, STORED_KEY: True}
            if outcome.features is not None:
                layer.features = outcome.features
            if layer not in self._viewer.layers:
                said.append(tr(_REMOVED))
                show = (tr(_SHOW), tr(_SHOW_TIP), partial(self._viewer.add_layer, layer))
        elsewhere = self._rows.inputs.layer() != plane.source
        line = words.result_line(outcome.count, outcome.seconds, plane.place, plane.name if elsewhere else None)
        self._headline.show_line(line)
        self._rows.message.show_message(" ".join([*notes, *said]), "warning" if notes else "good", action=show)
        self._layer = None
        self.done.emit(outcome)

    def _on_cancelled(self) -> None:
        self._on_end()
        percent, job = self._rows.runner.percent or 0, self.run.job
        if job is None or self._layer is None:
            self._rows.message.show_message(words.cancelled_at(None), "warning")
            return
        self._layers[job.destination.group] = self._layer
        text = tr(_STOPPED).format(percent=percent, store=job.destination.store.name)
        self._rows.message.show_message(text, "warning", action=self._go_on(job))

    def _on_failed(self, error: Exception) -> None:
        self._on_end()
        job, action = self.run.job, None
        if job is not None and self._layer is not None:
            self._layers[job.destination.group] = self._layer
            action = self._go_on(job)
        self._rows.message.show_failure(words.describe_error(error), action)

    def _go_on(self, job: StoredJob) -> Action:
        # What was there before the run began has been replaced already.
        destination = replace(job.destination, replace=False)
        return tr(_GO_ON), tr(_GO_ON_TIP), partial(self.begin, job.request, destination)
