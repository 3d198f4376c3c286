"""Which image a run is on: the Image box follows the layer list, unless the user has pinned it."""

from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject

from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.layers.run_areas import is_result

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ImageFollower(QObject):
    """Offers the viewer's images, and chooses the one that is selected in the layer list or was just opened.

    Results, points and shapes leave the choice as it is, since they are selected to be worked on. During a run the box
    stands still, and follows afterwards. An image that is chosen in the box by hand is selected in the layer list, so
    that both agree; one that is chosen by `Inputs.choose_layer` stays until another one is selected. Where the chosen
    image is removed the selected image takes its place, else the topmost one that is visible.

    Parameters
    ----------
    viewer
        Its layers are followed.
    inputs
        Has the box and its pin.
    parent
        Owner.
    """

    def __init__(self, viewer: "ViewerModel", inputs: Inputs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._inputs = viewer, inputs
        self._locked = False
        self._missed: ImageLayer | None = None
        viewer.layers.selection.events.active.connect(self._on_active)
        inputs.image.activated.connect(self._on_picked)
        inputs.pin.toggled.connect(self._on_pinned)

    def offer(self) -> None:
        """Offer the images there are now, by their present names."""
        images = self._images()
        kept = self._inputs.layer() in images
        if not kept:
            self._inputs.pin.setChecked(False)
        self._inputs.set_layers(images, self._inputs.layer() if kept else self._best(images))

    def lock(self, locked: bool) -> None:
        """Stand still during a run; afterwards choose the image that was last selected in it."""
        self._locked = locked
        missed, self._missed = self._missed, None
        if not locked and missed is not None:
            self._follow(missed)

    def _images(self) -> list[ImageLayer]:
        return [layer for layer in self._viewer.layers if isinstance(layer, ImageLayer) and not is_result(layer)]

    def _best(self, images: list[ImageLayer]) -> ImageLayer | None:
        active = self._viewer.layers.selection.active
        topmost = [*(layer for layer in images if not layer.visible), *(layer for layer in images if layer.visible)]
        return active if active in images else next(reversed(topmost), None)

    def _follow(self, layer: ImageLayer | None) -> None:
        if layer not in self._images():
            return
        if self._locked:
            self._missed = layer
        elif not self._inputs.pin.isChecked():
            self._inputs.choose_layer(layer)

    def _on_active(self, event: Any = None) -> None:
        self._follow(self._viewer.layers.selection.active)

    def _on_picked(self, row: int) -> None:
        layer = self._inputs.image.itemData(row)
        if layer in self._viewer.layers:
            self._viewer.layers.selection.active = layer

    def _on_pinned(self, pinned: bool) -> None:
        if not pinned:
            self._follow(self._viewer.layers.selection.active)
