"""Whether an image layer can be seen: a run on one that nobody looks at has to be told."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.plane import full_resolution
from napari_unetseg.plugin.layers.world import layer_place, world_place

if TYPE_CHECKING:
    from napari.components import ViewerModel

SIGHT_EVENTS = (
    "visible",
    "opacity",
    "blending",
    "colormap",
    "scale",
    "translate",
    "rotate",
    "shear",
    "affine",
    "units",
)
"""The events of a layer after which `why_unseen` may answer otherwise, for this layer or one below it."""

_HIDDEN = mark("'{image}' is hidden.")
_TRANSPARENT = mark("'{image}' is fully transparent.")
_ELSEWHERE = mark("'{image}' has no plane where the sliders stand; the nearest one is taken.")
_COVERED = mark("'{image}' lies under '{cover}'.")
_COVERING = ("opaque", "translucent", "translucent_no_depth")  # the ways of blending that let nothing through


def why_unseen(layer: ImageLayer, viewer: "ViewerModel") -> str | None:
    """Say why a layer cannot be seen, however the canvas is moved and zoomed; None if it can be, or is gone.

    Parameters
    ----------
    layer
        An image layer of the viewer.
    viewer
        Its sliders say which planes are on display; an image that lies above may cover the layer.
    """
    if layer not in viewer.layers:
        return None
    name = str(layer.name)
    if not layer.visible:
        return tr(_HIDDEN).format(image=name)
    if layer.opacity == 0:
        return tr(_TRANSPARENT).format(image=name)
    if not _has_shown_plane(layer, viewer):
        return tr(_ELSEWHERE).format(image=name)
    cover = next((one for one in _above(layer, viewer) if _covers(one, layer, viewer)), None)
    return None if cover is None else tr(_COVERED).format(image=name, cover=cover.name)


def grid_of(viewer: "ViewerModel") -> Any:
    """Return the grid in which layers may be shown side by side, which napari has moved to its canvas in 0.9."""
    return getattr(viewer, "canvas", viewer).grid


def _has_shown_plane(layer: ImageLayer, viewer: "ViewerModel") -> bool:
    """Tell whether the sliders stand within the layer, along the axes that are not on display."""
    shape = full_resolution(layer).shape
    place = layer_place(layer, viewer.dims.point, viewer.dims)
    hidden = [axis for axis in range(layer.ndim) if axis not in _shown_axes(layer, viewer)]
    return all(-0.5 <= place[axis] <= shape[axis] - 0.5 for axis in hidden)


def _shown_axes(layer: ImageLayer, viewer: "ViewerModel") -> list[int]:
    """Return the axes of the layer on display; the layer has the last axes of the viewer."""
    missing = viewer.dims.ndim - layer.ndim
    return [axis - missing for axis in viewer.dims.displayed if axis >= missing]


def _above(layer: ImageLayer, viewer: "ViewerModel") -> Sequence[ImageLayer]:
    """Return the images that are drawn over a layer; none where layers are side by side or in space."""
    if viewer.dims.ndisplay != 2 or grid_of(viewer).enabled:
        return []
    upper = list(viewer.layers)[list(viewer.layers).index(layer) + 1 :]
    return [one for one in upper if isinstance(one, ImageLayer)]


def _covers(upper: ImageLayer, lower: ImageLayer, viewer: "ViewerModel") -> bool:
    """Tell whether nothing of the lower image can be seen through or beside the upper one."""
    solid = upper.visible and upper.opacity == 1 and str(upper.blending) in _COVERING
    if not solid or not _has_shown_plane(upper, viewer):
        return False
    if full_resolution(upper).shape[-1] == 4 if upper.rgb else np.asarray(upper.colormap.colors)[:, 3].min() < 1:
        return False
    shape, axes = full_resolution(upper).shape, _shown_axes(upper, viewer)
    inside = [layer_place(upper, corner, viewer.dims)[axes] for corner in _corners(lower, viewer)]
    ends = np.array([shape[axis] for axis in axes]) - 0.5
    tolerance = 1e-3  # of a pixel
    return all((place >= -0.5 - tolerance).all() and (place <= ends + tolerance).all() for place in inside)


def _corners(layer: ImageLayer, viewer: "ViewerModel") -> list[NDArray[np.float64]]:
    """Return where in the world the corners of the plane on display are, pixel edges included."""
    shape, axes = full_resolution(layer).shape, _shown_axes(layer, viewer)
    place = layer_place(layer, viewer.dims.point, viewer.dims)
    corners = []
    for ends in product(*((-0.5, shape[axis] - 0.5) for axis in axes)):
        place[axes] = ends
        corner = np.array(viewer.dims.point, dtype=float)
        corner[-layer.ndim :] = world_place(layer, place, viewer.dims)
        corners.append(corner)
    return corners
