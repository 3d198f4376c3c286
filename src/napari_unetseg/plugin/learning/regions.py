"""Which part of a corrected image counts: rectangles that say what was corrected, and what was not annotated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.napari_types import LayerLike
from napari_unetseg.plugin.layers.plane import Region
from napari_unetseg.plugin.layers.world import axes_on_canvas, canvas_place
from napari_unetseg.plugin.learning.labelled_planes import LabelledPlane

if TYPE_CHECKING:
    from napari.components import ViewerModel

REGIONS = mark("Corrected regions")
KIND = "unetseg_region"
"""Name of the feature that says what a shape of the layer means."""


class RegionKind(StrEnum):
    """What a shape says of the pixels in it."""

    CORRECTED = "corrected"
    NOT_ANNOTATED = "not annotated"


_EDGES = {RegionKind.CORRECTED: "#4cc9f0", RegionKind.NOT_ANNOTATED: "#f72585"}
_FACES = {RegionKind.CORRECTED: "#00000000", RegionKind.NOT_ANNOTATED: "#f7258550"}
"""Unlike the contours of results; what is not annotated is filled, so that colour-blind eyes can tell them apart."""
_EDGE = 2.5
"""Width of edges on the screen, in pixels, when the layer is made."""


@dataclass(frozen=True, eq=False)
class MarkedRegion:
    """A shape on a plane: its kind, and its corners (N, 2) in pixels of the labels."""

    kind: RegionKind
    corners: NDArray[np.float64]

    def box(self, size: tuple[int, int]) -> Region | None:
        """Return the upright box around it within labels of a size; None where it lies outside of them."""
        first = np.maximum(np.floor(self.corners.min(axis=0)), 0).astype(int)
        last = np.minimum(np.ceil(self.corners.max(axis=0)) + 1, size).astype(int)
        if (first >= last).any():
            return None
        return (int(first[0]), int(last[0])), (int(first[1]), int(last[1]))


def region_layer(viewer: "ViewerModel") -> Shapes | None:
    """Return the layer of regions; None if there is none yet. It is known by its table, whatever it is called."""
    shapes = (layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes))
    return next((layer for layer in shapes if KIND in layer.features), None)


def draw_region(viewer: "ViewerModel", over: LayerLike | None, kind: RegionKind) -> Shapes:
    """Let the user draw rectangles of a kind, in a layer that is made if needed and gets the mouse.

    Parameters
    ----------
    viewer
        Gets the layer.
    over
        What they are drawn on; a new layer lies as it does.
    """
    import pandas as pd

    layer = region_layer(viewer)
    if layer is None:
        lie = {} if over is None else {name: getattr(over, name) for name in ("scale", "translate", "rotate", "shear")}
        if over is not None:
            lie |= {"affine": over.affine.affine_matrix, "units": over.units}
        layer = Shapes(
            ndim=2 if over is None else over.ndim,
            name=tr(REGIONS),
            features=pd.DataFrame({KIND: pd.Series([], dtype=str)}),
            **lie,
        )
        viewer.add_layer(layer)
        layer.current_edge_width = _EDGE / max(_zoom(viewer) * float(np.abs(layer.scale[-1])), 1e-9)
    layer.visible = True
    viewer.layers.selection.active = layer
    layer.selected_data = set()
    layer.feature_defaults = {KIND: kind.value}
    layer.current_edge_color, layer.current_face_color = _EDGES[kind], _FACES[kind]
    layer.mode = "add_rectangle"
    return layer


def marked_regions(viewer: "ViewerModel", planes: Iterable[LabelledPlane]) -> dict[LabelledPlane, list[MarkedRegion]]:
    """Return the regions that lie on each of some planes, where any does."""
    layer = region_layer(viewer)
    found: dict[LabelledPlane, list[MarkedRegion]] = {}
    if layer is None:
        return found
    kinds = [_kind(value) for value in layer.features[KIND]]
    for plane in planes:
        if axes_on_canvas(plane.labels, viewer.dims) != plane.axes.plane or layer.ndim < 2:
            continue
        place = canvas_place(plane.labels, viewer.dims)
        shapes = zip(layer.data, kinds, strict=True)
        world = [(kind, canvas_place(layer, viewer.dims).to_world(vertices)) for vertices, kind in shapes]
        regions = [MarkedRegion(kind, place.to_pixels(corners)) for kind, corners in world]
        on_it = [region for region in regions if region.box(plane.size) is not None]
        if on_it:
            found[plane] = on_it
    return found


def annotated(regions: Sequence[MarkedRegion], size: tuple[int, int], origin: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which pixels are annotated: those of corrected regions, or all where there is none, less what is excluded.

    Parameters
    ----------
    regions
        In pixels of the labels.
    size
        Height and width of the part that is asked for.
    origin
        Row and column of its first pixel among the labels.
    """
    from skimage.draw import polygon

    inside = np.full(size, not any(region.kind is RegionKind.CORRECTED for region in regions))
    # What is excluded goes last, whatever was drawn first.
    for region in sorted(regions, key=lambda region: region.kind is RegionKind.NOT_ANNOTATED):
        rows, columns = (region.corners - origin).T
        inside[polygon(rows, columns, shape=size)] = region.kind is RegionKind.CORRECTED
    return inside


def _kind(value: object) -> RegionKind:
    return RegionKind.NOT_ANNOTATED if value == RegionKind.NOT_ANNOTATED.value else RegionKind.CORRECTED


def _zoom(viewer: "ViewerModel") -> float:
    # napari has moved its camera to a scene in 0.9.
    return float(getattr(viewer, "scene", viewer).camera.zoom)
