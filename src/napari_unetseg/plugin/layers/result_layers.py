"""The layers of one run in the viewer, and what may still be done to them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY, OUTLINES_AS_LABELS
from napari_unetseg.plugin.layers.editing import Drawing, LabelledRing, new_areas, rings_of
from napari_unetseg.plugin.layers.outputs import fresh_names, result_metadata
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.postprocessing.layer_data import Outlines, Output

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel

    from napari_unetseg.service import Segmentation

FAINT = 0.3
"""Share of its opacity that a layer keeps while what it shows is of before."""


class ShownResult:
    """Result layers that follow the sliders; objects that were edited by hand stay as they are.

    A layer the user removed is not made again.

    Parameters
    ----------
    viewer
        Gets the layers; existing ones keep their names and data.
    plane
        What was segmented.
    layers
        New layers by output, in the order they are stacked.
    labels
        What the layers show: int32, (Y, X) or a stack of planes. It must not be the array of the Labels layer, on
        which users paint.
    on_edit
        Called with the name of a layer when somebody changed it by hand.

    Attributes
    ----------
    edited
        Name of the layer that was changed by hand since it was last shown, if any.
    serial
        Goes up with every change by hand.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        plane: Plane,
        layers: Mapping[Output, Layer],
        labels: NDArray[np.int32],
        on_edit: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.plane = plane
        self.edited: str | None = None
        self.serial = 0
        self._viewer = viewer
        self._layers = dict(layers)
        self._shown = labels
        self._on_edit = on_edit
        self._painted = self._redrawn = False
        self._updating = self._stale = False
        self._opacity: float | None = None
        self._pixels: Labels | None = None
        names = fresh_names(plane.name, tuple(layers), {str(layer.name) for layer in viewer.layers})
        for output, layer in layers.items():
            layer.name = names[output]
            viewer.add_layer(layer)
            if output == "labels" or isinstance(layer, Shapes):
                layer.events.data.connect(self._note_edit)
            if output == "labels":
                layer.events.paint.connect(self._note_edit)
            if isinstance(layer, Shapes):
                new_areas(layer)
        self._rings = self._read_rings()
        if "labels" in layers:
            # The status bar tells what the pointer is on for the active layer only.
            viewer.layers.selection.active = layers["labels"]

    @property
    def refuses(self) -> str | None:
        """Name of the layer whose edits by hand would be lost by new labels: one of a stack."""
        return self.edited if self._shown.ndim > 2 else None

    def layer(self, output: Output) -> Layer | None:
        """Return the layer of an output, if there was one and it still is in the viewer."""
        layer = self._layers.get(output)
        return layer if layer is not None and layer in self._viewer.layers else None

    def remove_if_empty(self) -> None:
        """Take the layers away again where they show no object and nobody drew one, to make room for the next try."""
        if self.edited is None and not self._shown.any():
            for output in self._layers:
                if (layer := self.layer(output)) is not None:
                    self._viewer.layers.remove(layer)

    def drawing(self) -> Drawing | None:
        """Take a picture of what was changed by hand since the layers were last shown; None if nothing was."""
        if self.edited is None:
            return None
        labels, contours = self.layer("labels"), self.layer("contours")
        painted = self._collapse(labels.data) if self._painted and labels is not None else None
        redrawn = self._redrawn and isinstance(contours, Shapes)
        return Drawing(self._shown, painted, self._rings, self._read_rings() if redrawn else None)

    def dim(self, stale: bool) -> None:
        """Show the contours faintly while they are of before; the user may still set their opacity."""
        contours = self._pixels if self._pixels is not None and self._pixels.visible else self.layer("contours")
        self._stale = stale
        if contours is None:
            return
        if stale and self._opacity is None:
            self._opacity = float(contours.opacity)
            contours.opacity = self._opacity * FAINT
        elif not stale and self._opacity is not None:
            if np.isclose(contours.opacity, self._opacity * FAINT):
                contours.opacity = self._opacity
            self._opacity = None

    def show_labels(self, segmentation: "Segmentation", data: NDArray[np.int32], edited: int = 0) -> None:
        """Replace the labels; measurements of the old ones go until `show_details`.

        Parameters
        ----------
        segmentation
            The new result.
        data
            A copy of its labels for the layer, with the dimensions of the layer.
        edited
            How many of its objects were edited by hand.
        """
        record = result_metadata(segmentation, self.plane) | ({"edited_objects": edited} if edited else {})
        with self._own_change():
            for output in self._layers:
                layer = self.layer(output)
                if layer is not None:
                    layer.metadata[METADATA_KEY] = record
            labels = self.layer("labels")
            if labels is not None:
                labels.data = data
                labels.features = {}
        self._shown = segmentation.labels
        self.edited, self._painted, self._redrawn = None, False, False

    def show_details(self, features: "pd.DataFrame", outlines: Outlines | NDArray[np.int32]) -> None:
        """Replace the measurements and the contours; where they are pixels, a Labels layer shows them."""
        labels, contours = self.layer("labels"), self.layer("contours")
        self.dim(False)
        with self._own_change():
            if labels is not None:
                labels.features = features
            if isinstance(contours, Labels):
                contours.data = outlines
            elif isinstance(contours, Shapes):
                self._show_contours(contours, outlines)
        self._rings = self._read_rings()

    def _show_contours(self, contours: Shapes, outlines: Outlines | NDArray[np.int32]) -> None:
        if isinstance(outlines, Outlines):
            contours.data = outlines.polygons
            contours.features = outlines.features
            new_areas(contours)
            if self._pixels is not None:
                self._pixels.visible = False
            return
        # The Shapes layer stays, empty, since it may be needed again: napari 0.9.2 does not survive adding a layer
        # right after one with many shapes was removed, on software OpenGL.
        contours.data = []
        contours.features = {}
        if self._pixels is None or self._pixels not in self._viewer.layers:
            name = tr("{contours} (pixels)").format(contours=contours.name)
            self._pixels = Labels(outlines, name=name, **OUTLINES_AS_LABELS, **self.plane.placement.transform)
            self._pixels.metadata[METADATA_KEY] = contours.metadata[METADATA_KEY]
            self._viewer.layers.insert(self._viewer.layers.index(contours) + 1, self._pixels)
        else:
            self._pixels.data = outlines
        self._pixels.visible = True

    def _read_rings(self) -> list[LabelledRing]:
        contours = self.layer("contours")
        return rings_of(contours, self.plane.placement) if isinstance(contours, Shapes) else []

    def _collapse(self, data: NDArray[np.integer]) -> NDArray[np.int32]:
        """Copy the plane (Y, X) of a layer's data."""
        axes = self.plane.placement.plane_axes
        plane = data[tuple(slice(None) if axis in axes else 0 for axis in range(data.ndim))]
        return np.array(plane, dtype=np.int32)

    def _note_edit(self, event: Any) -> None:
        # Contours of before are replaced in a moment; what is drawn on them until then has no object to belong to.
        if self._updating or (self._stale and isinstance(event.source, Shapes)):
            return
        self._painted |= isinstance(event.source, Labels)
        self._redrawn |= isinstance(event.source, Shapes)
        self.serial += 1
        self.edited = str(event.source.name)
        self._on_edit(self.edited)

    @contextmanager
    def _own_change(self) -> Iterator[None]:
        self._updating = True
        try:
            yield
        finally:
            self._updating = False
