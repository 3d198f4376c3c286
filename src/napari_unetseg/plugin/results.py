"""The layers of one run in the viewer, and what may still be done to them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.plugin.layers import Plane
from napari_unetseg.plugin.outputs import METADATA_KEY, Outlines, Output, fresh_names, metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.service import Segmentation


class ShownResult:
    """Result layers that follow the sliders until the user removes or edits them.

    A layer the user removed is not made again. One edit by hand, of labels or contours, and no
    layer of this result is touched any more.

    Parameters
    ----------
    viewer
        Gets the layers; existing ones keep their names and data.
    plane
        What was segmented.
    layers
        New layers by output, in the order they are stacked.
    """

    def __init__(self, viewer: "ViewerModel", plane: Plane, layers: Mapping[Output, Layer]) -> None:
        self.plane = plane
        self.edited: str | None = None
        self._viewer = viewer
        self._layers = dict(layers)
        self._updating = False
        names = fresh_names(plane.name, tuple(layers), {str(layer.name) for layer in viewer.layers})
        for output, layer in layers.items():
            layer.name = names[output]
            viewer.add_layer(layer)
            if output in ("labels", "contours"):
                layer.events.data.connect(self._note_edit)
            if isinstance(layer, Labels):
                layer.events.paint.connect(self._note_edit)

    def layer(self, output: Output) -> Layer | None:
        """Return the layer of an output, if there was one and it still is in the viewer."""
        layer = self._layers.get(output)
        return layer if layer is not None and layer in self._viewer.layers else None

    def show_labels(self, segmentation: "Segmentation") -> None:
        """Replace the labels; measurements of the old ones go until `show_details`."""
        if self.edited:
            return
        record = metadata(segmentation, self.plane)
        with self._own_change():
            for output in self._layers:
                layer = self.layer(output)
                if layer is not None:
                    layer.metadata[METADATA_KEY] = record
            labels = self.layer("labels")
            if labels is not None:
                labels.data = self.plane.placement.expand(segmentation.labels)
                labels.features = pd.DataFrame()

    def show_details(self, features: pd.DataFrame, outlines: Outlines | NDArray[np.int32] | None) -> None:
        """Replace the measurements and the contours; `outlines` None leaves a Shapes layer empty."""
        if self.edited:
            return
        labels, contours = self.layer("labels"), self.layer("contours")
        with self._own_change():
            if labels is not None:
                labels.features = features
            if isinstance(contours, Labels):
                contours.data = outlines
            elif isinstance(contours, Shapes) and not isinstance(outlines, np.ndarray):
                contours.data = outlines.polygons if outlines else []
                contours.features = outlines.features if outlines else pd.DataFrame()

    def _note_edit(self, event: Any) -> None:
        if not self._updating:
            self.edited = str(event.source.name)

    @contextmanager
    def _own_change(self) -> Iterator[None]:
        self._updating = True
        try:
            yield
        finally:
            self._updating = False
