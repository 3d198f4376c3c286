"""What a model that still learns finds in the open image: one layer, replaced after each validation."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unetseg.language import tr
from napari_unetseg.layer_style import OUTLINES_AS_LABELS, PREVIEW_KEY
from napari_unetseg.plugin.layers.plane import Plane, Region, shown_plane
from napari_unetseg.plugin.layers.shown_contours import forget_history

if TYPE_CHECKING:
    from napari.components import ViewerModel


class PreviewLayer:
    """Shows labels on a plane of an image; a layer that its user removed does not come again in the same run.

    Parameters
    ----------
    viewer
        Gets the layer.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = viewer
        self._plane: Plane | None = None
        self._layer: Labels | None = None

    def begin(self, plane: Plane | None) -> None:
        """Take away the layer of the run before; the next labels are of this plane, None: of none."""
        self.remove()
        self._plane = plane

    def begin_again(self, image: str, region: Region) -> None:
        """Show previews of a run that goes on on the image of that name, if it is open and large enough."""
        named = (layer for layer in self._viewer.layers if str(layer.name) == image and hasattr(layer, "rgb"))
        layer = next(named, None)
        plane = None if layer is None else shown_plane(layer, self._viewer.dims, region=region)
        fits = plane is not None and all(last <= length for (_, last), length in zip(region, plane.size, strict=True))
        self.begin(plane if fits else None)

    def show(self, outlines: NDArray[np.int32]) -> None:
        """Show the outlines of labels, int32 (Y, X), in place of those before; what lies below stays in sight."""
        plane = self._plane
        if plane is None:
            return
        first, last = zip(*(plane.region or ((0, plane.size[0]), (0, plane.size[1]))), strict=True)
        if outlines.shape != tuple(end - begin for begin, end in zip(first, last, strict=True)):
            return
        if self._layer is not None:
            if self._layer in self._viewer.layers:
                self._layer.data = plane.placement.expand(outlines)
                forget_history(self._layer)
            return
        name = tr("{image} preview").format(image=plane.name)
        look: dict[str, Any] = {**OUTLINES_AS_LABELS, **plane.placement.transform}
        self._layer = Labels(plane.placement.expand(outlines), name=name, **look)
        self._layer.metadata[PREVIEW_KEY] = True
        self._layer.editable = False
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(self._layer)
        self._viewer.layers.selection.active = active

    def remove(self) -> None:
        """Take the layer away, if there is one."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None
