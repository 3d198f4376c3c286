"""What the menus and the command palette start."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import napari.viewer
from napari.layers import Image as ImageLayer
from napari.layers import Layer

from napari_unetseg.errors import ImageError
from napari_unetseg.plugin.functions import segment_layer, segment_layers
from napari_unetseg.plugin.outputs import LayerData

if TYPE_CHECKING:
    from napari_unetseg.plugin.widget import SegmentationWidget

PLUGIN = "napari-unetseg"
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
        raise ImageError("Select one or more image layers in the layer list, then choose this entry again.")
    segment_layers(layers).returned.connect(partial(_add_layers, viewer))


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


def _add_layers(viewer: napari.viewer.Viewer, layers: Sequence[LayerData]) -> None:
    for data in layers:
        viewer.add_layer(Layer.create(*data))


def _selected_image(viewer: napari.viewer.Viewer) -> ImageLayer:
    layer = viewer.layers.selection.active
    if not isinstance(layer, ImageLayer):
        raise ImageError("Select one image layer in the layer list, then choose this entry again.")
    return layer
