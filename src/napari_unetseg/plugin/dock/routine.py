"""What the rows of the window do by themselves: begin as they were left, look ahead, obey keys."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock import forecast_words, remembered_settings
from napari_unetseg.plugin.dock.adjustments import Adjustments
from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.dock.object_size_row import ObjectSize
from napari_unetseg.plugin.dock.run_forecast import RunForecast, question
from napari_unetseg.plugin.dock.run_row import RunRow
from napari_unetseg.plugin.dock.shortcuts import CANCEL, CONTOURS, RUN, bind, flip_contours, with_key
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.work.preferences import preferred_model
from napari_unetseg.postprocessing.layer_data import Output

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.service import RunRecipe
    from napari_unetseg.service.forecast import Forecast

_FLIP_TIP = mark("Shows or hides the contours of all results:")
_KEPT: tuple[Output, ...] = ("labels", "contours", "confidence")


class Routine(QObject):
    """Sets the rows and reads them; starts no run.

    Parameters
    ----------
    parent
        Owner.
    viewer
        Where the images are.
    inputs, objects, adjust, runner
        The rows.
    """

    def __init__(
        self,
        parent: QObject,
        viewer: "ViewerModel",
        inputs: Inputs,
        objects: ObjectSize,
        adjust: Adjustments,
        runner: RunRow,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._inputs, self._objects, self._adjust, self._runner = viewer, inputs, objects, adjust, runner
        self.run_forecast = RunForecast(parent=self)
        self.run_forecast.forecast_ready.connect(self._show_forecast)
        self._recall()
        for changed in (inputs.image_changed, inputs.model_changed, inputs.device_changed):
            changed.connect(self.look_ahead)
        objects.diameter.valueChanged.connect(self.look_ahead)
        objects.augment.toggled.connect(self.look_ahead)
        for key, act in ((RUN, runner.press_run), (CANCEL, runner.press_cancel), (CONTOURS, self.flip_contours)):
            bind(viewer, key, act)
        contours = adjust.outputs["contours"]
        contours.setToolTip(f"{contours.toolTip()}\n{with_key(tr(_FLIP_TIP), CONTOURS)}")

    def look_ahead(self, *_: object, anew: bool = False) -> None:
        """Say what a run would take now; `anew` after one, which tells how fast it is."""
        try:
            planes = self._inputs.planes(self._viewer)
        except UnetsegError:  # which the rows say themselves
            planes = ()
        asked = question(self._inputs.package(), self._inputs.device_key(), planes, self._objects.segment_options())
        self.run_forecast.look_at(asked, anew=anew)

    def flip_contours(self) -> None:
        """Show the contours of results, or hide them where all are shown."""
        flip_contours(self._viewer.layers)

    def stop(self) -> None:
        """Ask nothing any more."""
        self.run_forecast.look_at(None)

    def remember(self, result: ShownResult | None) -> None:
        """Keep what is chosen, and how the last result looks."""
        package = self._inputs.package()
        layers = {} if result is None else {output: result.layer(output) for output in _KEPT}
        looks = remembered_settings.opacities({output: layer for output, layer in layers.items() if layer is not None})
        outputs = {output: box.isChecked() for output, box in self._adjust.outputs.items()}
        model = "" if package is None else package.name
        remembered_settings.remember(model=model, device=self._inputs.device_key(), **outputs, **looks)

    def dress(self, layers: Mapping[Output, Layer]) -> None:
        """Let new layers look as the user likes them."""
        liked = remembered_settings.recall()
        for output, layer in layers.items():
            layer.opacity = liked.opacity(output)

    def show_again(self, recipe: "RunRecipe", plane: Plane) -> None:
        """Let the rows show what is being run again."""
        self._inputs.choose_layer(plane.source)
        self._inputs.choose_model(recipe.model.name)
        self._objects.diameter.setValue(recipe.diameter or 0)
        self._objects.augment.setChecked(recipe.augment)
        self._inputs.link.setChecked(recipe.link)
        self._adjust.set_parameters(recipe.parameters)

    def _recall(self) -> None:
        liked = remembered_settings.recall()
        self._inputs.choose_model(liked.model or preferred_model() or "")
        self._inputs.device.setCurrentIndex(max(0, self._inputs.device.findData(liked.device)))
        for output, box in self._adjust.outputs.items():
            box.setChecked(bool(getattr(liked, output)))

    def _show_forecast(self, forecast: "Forecast | None") -> None:
        warn = forecast is not None and (forecast.is_long or forecast.is_large)
        self._runner.show_forecast(forecast_words.line(forecast), forecast_words.explanation(forecast), warn)
