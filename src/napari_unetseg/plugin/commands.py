"""What the menus and the command palette start."""

from typing import TYPE_CHECKING

import napari.viewer
from napari.layers import Image as ImageLayer
from napari.qt.threading import FunctionWorker
from napari.types import LayerDataTuple

from napari_unetseg.errors import ImageError
from napari_unetseg.plugin.functions import segment_layer

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


def segment_in_background(viewer: napari.viewer.Viewer) -> FunctionWorker[list[LayerDataTuple]]:
    """Segment the selected image layer with the default model and its defaults, without the dock widget.

    Raises
    ------
    ImageError
        If no single image layer is selected.
    """
    return segment_layer(_selected_image(viewer))


def _selected_image(viewer: napari.viewer.Viewer) -> ImageLayer:
    layer = viewer.layers.selection.active
    if not isinstance(layer, ImageLayer):
        raise ImageError("Select one image layer in the layer list, then choose this entry again.")
    return layer
