"""What the menus and the command palette start."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import napari.viewer
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from napari.qt.threading import create_worker

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.language import tr
from napari_unetseg.plugin.converting import (
    contours_from_labels,
    image_of,
    labels_from_contours,
    measured_again,
    reference_layer,
)
from napari_unetseg.plugin.dock.remembered_settings import PLUGIN
from napari_unetseg.plugin.dock.shortcuts import flip_contours
from napari_unetseg.plugin.functions import segment_layer, segment_layers
from napari_unetseg.postprocessing.layer_data import LayerData, Output

if TYPE_CHECKING:
    from napari_unetseg.plugin.widget import SegmentationWidget

_Value = TypeVar("_Value")


WIDGET = "U-Net Segmentation"


def open_widget(viewer: napari.viewer.Viewer) -> "SegmentationWidget":
    """Show the dock widget, opening it if it is not there yet; there is never a second one."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    dock.show()
    dock.raise_()
    return widget  # type: ignore[no-any-return]


def segment_selected(viewer: napari.viewer.Viewer) -> None:
    """Segment the selected image layer in the dock widget, with its progress and its Cancel.

    Raises
    ------
    ImageError
        If no single image layer is selected.
    """
    layer = _selected_image(viewer)
    widget = open_widget(viewer)
    widget.inputs.choose_layer(layer)
    widget.run()


def segment_in_background(viewer: napari.viewer.Viewer) -> None:
    """Segment the selected image layer with the default model and its defaults, without the dock widget.

    Raises
    ------
    ImageError
        If no single image layer is selected.
    """
    # Returning the worker should do, but napari 0.9.2 calls its handler of workers from menus with
    # an argument missing and drops the result.
    segment_layer(_selected_image(viewer)).returned.connect(partial(_add_layers, viewer))


def segment_batch(viewer: napari.viewer.Viewer) -> None:
    """Segment all selected image layers with the default model and its defaults.

    Raises
    ------
    ImageError
        If no image layer is selected.
    """
    layers = [layer for layer in viewer.layers if isinstance(layer, ImageLayer) and layer in viewer.layers.selection]
    if not layers:
        raise ImageError(tr("Select one or more image layers in the layer list, then choose this entry again."))
    segment_layers(layers).returned.connect(partial(_add_layers, viewer))


def cancel(viewer: napari.viewer.Viewer) -> None:
    """Cancel the run of the dock widget."""
    open_widget(viewer).cancel()


def run_again(viewer: napari.viewer.Viewer) -> None:
    """Repeat the run that made the selected result, or the last one, with exactly its settings."""
    open_widget(viewer).result_actions.rerun.click()


def toggle_contours(viewer: napari.viewer.Viewer) -> None:
    """Show the contours of results, or hide them where all are shown."""
    flip_contours(viewer.layers)


def check_health(viewer: napari.viewer.Viewer) -> None:
    """Check the model that the dock widget uses, and show what comes of it."""
    open_widget(viewer).health.do("check")


def initialize(viewer: napari.viewer.Viewer) -> None:
    """Load and warm up the model that the dock widget uses, so that the first run does not wait for it."""
    open_widget(viewer).health.do("warm up")


def show_model_info(viewer: napari.viewer.Viewer) -> None:
    """Show the card of the model that the dock widget uses."""
    widget = open_widget(viewer)
    widget.health.expand()
    widget.inputs.card.click()


def fix_objects(viewer: napari.viewer.Viewer) -> None:
    """Open the tools that fix objects of the selected result."""
    open_widget(viewer).fixing.open()


def improve_model(viewer: napari.viewer.Viewer) -> None:
    """Open the window that improves a model from the corrections of the selected result."""
    open_widget(viewer).learning.open_improve()


def train_model(viewer: napari.viewer.Viewer) -> None:
    """Open the window that trains a new model."""
    open_widget(viewer).learning.open_train()


def review_folder(viewer: napari.viewer.Viewer) -> None:
    """Ask for a folder of results, and review them."""
    open_widget(viewer).reviewing.open()


def open_plate(viewer: napari.viewer.Viewer) -> None:
    """Open the window that segments a plate, with its wells as a grid."""
    open_widget(viewer).plates.open()


def compare_models(viewer: napari.viewer.Viewer) -> None:
    """Open the window that compares the selected result with that of another model."""
    open_widget(viewer).comparing.open()


def labels_to_contours(viewer: napari.viewer.Viewer) -> None:
    """Trace the objects of the selected Labels layer; of a result of the panel, bring its contours in line.

    Raises
    ------
    UnetsegError
        If no single Labels layer is selected.
    """
    layer = _selected(viewer, Labels, tr("Select one Labels layer in the layer list, then choose this entry again."))
    if not _update_result(viewer, layer, "contours"):
        _later(lambda: [contours_from_labels(layer)], partial(_add_layers, viewer))


def contours_to_labels(viewer: napari.viewer.Viewer) -> None:
    """Draw the selected Shapes layer as objects; of a result of the panel, bring its labels in line.

    Raises
    ------
    UnetsegError
        If no single Shapes layer is selected, or no image lies where it does.
    """
    layer = _selected(viewer, Shapes, tr("Select one Shapes layer in the layer list, then choose this entry again."))
    if not _update_result(viewer, layer, "labels"):
        grid = reference_layer(layer, list(viewer.layers))
        _later(lambda: [labels_from_contours(layer, grid)], partial(_add_layers, viewer))


def measure_again(viewer: napari.viewer.Viewer) -> None:
    """Measure the objects of the selected Labels layer, on the image it belongs to.

    Raises
    ------
    UnetsegError
        If no single Labels layer is selected, or no image lies where it does.
    """
    layer = _selected(viewer, Labels, tr("Select one Labels layer in the layer list, then choose this entry again."))
    if not _update_result(viewer, layer, "labels"):
        image = image_of(layer, list(viewer.layers))
        _later(lambda: measured_again(layer, image), partial(setattr, layer, "features"))


def _later(work: Callable[[], _Value], done: Callable[[_Value], object]) -> None:
    """Work in a thread; napari shows errors as notifications."""
    worker = create_worker(work, _start_thread=False)
    worker.returned.connect(done)
    worker.start()


def _update_result(viewer: napari.viewer.Viewer, layer: Layer, wanted: Output) -> bool:
    """Let the panel bring its result in line, if the layer and the one wanted belong to it."""
    from napari_unetseg.plugin.widget import SegmentationWidget

    for widget in viewer.window.dock_widgets.values():
        result = widget.result if isinstance(widget, SegmentationWidget) else None
        if result is None or result.layer(wanted) is None or result.refuses:
            continue
        if layer in (result.layer("labels"), result.layer("contours")):
            widget.update_result()
            return True
    return False


def _selected(viewer: napari.viewer.Viewer, kind: type[Layer], advice: str) -> Any:
    layer = viewer.layers.selection.active
    if not isinstance(layer, kind):
        raise UnetsegError(advice)
    return layer


def _add_layers(viewer: napari.viewer.Viewer, layers: Sequence[LayerData]) -> None:
    for data in layers:
        viewer.add_layer(Layer.create(*data))


def _selected_image(viewer: napari.viewer.Viewer) -> ImageLayer:
    layer = viewer.layers.selection.active
    if not isinstance(layer, ImageLayer):
        raise ImageError(tr("Select one image layer in the layer list, then choose this entry again."))
    return layer
