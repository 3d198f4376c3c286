"""Try all: the button, its window, and what choosing a tile sets."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QObject

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr, translated
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.layer_channels import channels_of
from napari_unetseg.plugin.layers.napari_types import ImageLike
from napari_unetseg.plugin.layers.plane import Plane, shown_axes
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes, why_not
from napari_unetseg.plugin.layers.world import world_place
from napari_unetseg.plugin.parts.messages import Action
from napari_unetseg.plugin.trials.sources import is_source, sources_of
from napari_unetseg.plugin.trials.tile_view import title
from napari_unetseg.plugin.trials.trial_run import TrialJob, TrialTile
from napari_unetseg.plugin.trials.trials_dialog import TrialsDialog
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

_OTHERS_NAMED = 3


class TryAll(QObject):
    """Opens the window of trials and takes over what is chosen there.

    Parameters
    ----------
    viewer
        Whose image is tried, and whose slider shows the channel that is chosen.
    rows
        What is chosen, and what a tile sets.
    services
        Gives the service of a model and device, in workers.
    run
        Starts a run with what the rows say.
    use_model_values
        Lets the next run use the parameters that its model suggests.
    parent
        Owner of this and of the window.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        rows: Rows,
        services: ServiceFactory,
        run: Callable[[], None],
        use_model_values: Callable[[], None],
        parent: "QWidget",
    ) -> None:
        super().__init__(parent)
        self._viewer, self._rows, self._services, self._run, self._parent = viewer, rows, services, run, parent
        self._use_model_values = use_model_values
        self.dialog: TrialsDialog | None = None
        rows.runner.try_all.clicked.connect(self.open)

    @property
    def busy(self) -> bool:
        """Whether trials are under way."""
        return self.dialog is not None and self.dialog.controller.running

    def open(self) -> None:
        """Open the window and try all, unless trials run already."""
        inputs = self._rows.inputs
        layer, packages = inputs.layer(), inputs.model.packages()
        if layer is None or not packages:
            return
        visible = why_not(RunOn.VISIBLE, layer, self._viewer, inputs.axis_choices) is None
        try:
            where = RunOn.VISIBLE if visible else RunOn.PLANE
            (plane,) = choose_planes(where, layer, self._viewer, inputs.axis_choices)
        except UnetsegError as error:
            self._rows.message.show_message(translated(error), "warning")
            return
        layer_axes = inputs.axis_choices.of(layer, shown_axes(layer, self._viewer.dims))
        dialog = self._dialog()
        dialog.use_theme(get_theme(self._viewer.theme))
        sources = sources_of(plane, layer_axes, self._viewer.layers)
        names = channels_of(plane.source, layer_axes, self._viewer.layers).names
        choices = {
            package.name: choice
            for package in packages
            if package.card.wants_channels
            and (choice := inputs.channels.choice_for(package.card.input_channels, package.card.channel_roles))
        }
        dialog.start(TrialJob(packages, sources, inputs.device_key(), names, choices))
        dialog.show()
        dialog.raise_()

    def take(self, tile: TrialTile) -> None:
        """Set image, channel and model as in a tile, and what else would make a run differ from it."""
        rows, source = self._rows, tile.source
        if source.layer not in self._viewer.layers or not rows.runner.run.isEnabled():
            return
        rows.inputs.choose_layer(source.layer)
        if source.axis is not None and source.place is not None:
            show_place(self._viewer, source.layer, source.axis, source.place)
        rows.inputs.choose_model(tile.trial.package.name)
        self._use_model_values()
        rows.object_size.diameter.setValue(0)
        rows.message.show_message(tr("{choice} is chosen. Press Run.").format(choice=title(tile)))

    def stop(self) -> None:
        """Cancel the trials and close their window."""
        if self.dialog is not None:
            self.dialog.close()

    def _dialog(self) -> TrialsDialog:
        if self.dialog is None:
            self.dialog = TrialsDialog(self._services, self._parent)
            self.dialog.taken.connect(self.take)
            self.dialog.run_requested.connect(self._take_and_run)
        return self.dialog

    def _take_and_run(self, tile: TrialTile) -> None:
        self.take(tile)
        self._run()


def show_place(viewer: "ViewerModel", layer: ImageLike, axis: int, place: int) -> None:
    """Move a slider of the viewer to a place along an axis of a layer."""
    position = [0.0] * layer.ndim
    position[axis] = place
    world = world_place(layer, position, viewer.dims)
    viewer.dims.set_point(axis + viewer.dims.ndim - layer.ndim, world[axis])


def try_all_action(rows: Rows) -> Action:
    """Offer Try all as the button of a message."""
    button = rows.runner.try_all
    return button.text(), button.toolTip(), button.click


def channels_left(viewer: "ViewerModel", rows: Rows, plane: Plane) -> str:
    """Name the channels of an image that a run on one of them did not look at; empty where there are none."""
    layer_axes = rows.inputs.axis_choices.of(plane.source, shown_axes(plane.source, viewer.dims))
    if plane.source not in viewer.layers or layer_axes.plane != plane.placement.plane_axes:
        return ""
    left = [source.name for source in sources_of(plane, layer_axes, viewer.layers) if not is_source(source, plane)]
    named = [*left[:_OTHERS_NAMED], *["..."] * (len(left) > _OTHERS_NAMED)]
    return tr("Not looked at: {channels}.").format(channels=", ".join(named)) if left else ""
