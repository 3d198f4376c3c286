"""What of the viewer a run is on: a plane, a stack, a part of a plane, several layers."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.axes import AxisChoices, LayerAxes
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerLike, ShapesLike
from napari_unetseg.plugin.layers.plane import Plane, Region, full_resolution, shown_axes, shown_plane, shown_stack
from napari_unetseg.plugin.layers.world import canvas_place, is_converted

if TYPE_CHECKING:
    from napari.components import ViewerModel


class RunOn(StrEnum):
    """What can be chosen, in the order of the list."""

    PLANE = "plane"
    STACK = "stack"
    STORED = "stored"
    VISIBLE = "visible"
    RECTANGLE = "rectangle"
    SELECTED = "selected"
    FOLDER = "folder"


TITLES = {
    RunOn.PLANE: mark("This plane"),
    RunOn.STACK: mark("This stack"),
    RunOn.STORED: mark("Whole image, to disk"),
    RunOn.VISIBLE: mark("Visible region"),
    RunOn.RECTANGLE: mark("Rectangle"),
    RunOn.SELECTED: mark("Selected layers"),
    RunOn.FOLDER: mark("Folder..."),
}
TIPS = {
    RunOn.PLANE: mark("The plane that the sliders show, whole and at full resolution."),
    RunOn.STACK: mark("Every plane along Z, T and other axes, of the channel that the sliders show."),
    RunOn.STORED: mark(
        "The whole plane, or every plane of a stack, block by block into a file of labels. Good for an image that is "
        "larger than the memory: it can be stopped and go on later. The objects are the same; sliders cannot change "
        "them afterwards."
    ),
    RunOn.VISIBLE: mark("The part of the plane that the canvas shows, at full resolution. Good for a quick try."),
    RunOn.RECTANGLE: mark(
        "The part of the plane in the selected or only rectangle of a Shapes layer; of a turned one, the upright box "
        "around it."
    ),
    RunOn.SELECTED: mark(
        "The planes on display of all image layers that are selected in the layer list, one after the other."
    ),
    RunOn.FOLDER: mark("Image files of a folder, without opening them here."),
}

_EXACT = 6
"""Decimals of a pixel that count; further ones are what a change of units leaves."""

_NO_IMAGE = mark("Choose an image first.")
_NO_STACK = mark("The image is one plane. If that is not so, click the line under it that tells its axes.")
_IN_3D = mark("The canvas is in 3-D. Switch to 2-D to show a region of one plane.")
_TURNED = mark("The canvas shows other axes than those of the image's planes.")
_OUT_OF_VIEW = mark("The image is not in view.")
_NO_RECTANGLE = mark("Draw a rectangle in a Shapes layer first.")
_WHICH_RECTANGLE = mark("There are several rectangles: select one of them.")
_OUTSIDE = mark("The rectangle lies outside of the image.")
_NOT_SEVERAL = mark("Select two or more images in the layer list first.")


def choose_planes(
    choice: RunOn, layer: ImageLike | None, viewer: "ViewerModel", axis_choices: AxisChoices
) -> tuple[Plane, ...]:
    """Describe what a run is on; nothing is read.

    Parameters
    ----------
    choice
        Any but `RunOn.FOLDER`.
    layer
        The chosen image layer; None if there is none.
    viewer
        Its sliders say which planes; its layers are looked through for rectangles and what is selected.
    axis_choices
        What the axes of layers mean.

    Raises
    ------
    UnetsegError
        If the choice does not apply; in words that say why.
    """
    if layer is None:
        raise UnetsegError(tr(_NO_IMAGE))
    layer_axes = axis_choices.of(layer, shown_axes(layer, viewer.dims))
    if choice is RunOn.STACK:
        if all(full_resolution(layer).shape[axis] == 1 for axis in layer_axes.stack):
            raise UnetsegError(tr(_NO_STACK))
        return (shown_stack(layer, viewer.dims, layer_axes),)
    if choice is RunOn.STORED and any(full_resolution(layer).shape[axis] > 1 for axis in layer_axes.stack):
        return (shown_stack(layer, viewer.dims, layer_axes),)
    if choice is RunOn.SELECTED:
        return tuple(
            shown_plane(one, viewer.dims, axis_choices.of(one, shown_axes(one, viewer.dims)))
            for one in _selected_images(viewer)
        )
    region = None
    if choice is RunOn.VISIBLE:
        region = _visible_region(layer, viewer, layer_axes)
    elif choice is RunOn.RECTANGLE:
        region = _rectangle_region(layer, viewer, layer_axes)
    return (shown_plane(layer, viewer.dims, layer_axes, region),)


def why_not(choice: RunOn, layer: ImageLike | None, viewer: "ViewerModel", axis_choices: AxisChoices) -> str | None:
    """Say why a choice does not apply now; None if it does."""
    if choice is RunOn.FOLDER:
        return None
    try:
        choose_planes(choice, layer, viewer, axis_choices)
    except UnetsegError as error:
        return str(error)
    return None


def seen_block(layer: ImageLike, viewer: "ViewerModel", axis_choices: AxisChoices) -> tuple[slice, slice] | None:
    """Return the rows and columns of the plane that the canvas shows; None if it shows none of it."""
    try:
        (plane,) = choose_planes(RunOn.VISIBLE, layer, viewer, axis_choices)
    except UnetsegError:
        return None
    if plane.region is None:
        return None
    rows, columns = plane.region
    return slice(*rows), slice(*columns)


def is_result(layer: LayerLike) -> bool:
    """Tell whether a layer was made by this plugin."""
    return METADATA_KEY in layer.metadata


def _selected_images(viewer: "ViewerModel") -> list[ImageLike]:
    images = [layer for layer in viewer.layers if isinstance(layer, ImageLayer) and layer in viewer.layers.selection]
    images = [layer for layer in images if not is_result(layer)]
    if len(images) < 2:
        raise UnetsegError(tr(_NOT_SEVERAL))
    return images


def _visible_region(layer: ImageLike, viewer: "ViewerModel", layer_axes: LayerAxes) -> Region:
    if viewer.dims.ndisplay != 2:
        raise UnetsegError(tr(_IN_3D))
    if layer_axes.plane != shown_axes(layer, viewer.dims):
        raise UnetsegError(tr(_TURNED))
    first, last = _seen_corners(layer, viewer, layer_axes)
    if (first == last).all() and max(full_resolution(layer).shape[axis] for axis in layer_axes.plane) > 1:
        raise UnetsegError(tr(_OUT_OF_VIEW))
    return _clipped(first, last, layer, layer_axes, tr(_OUT_OF_VIEW))


def _seen_corners(layer: ImageLike, viewer: "ViewerModel", layer_axes: LayerAxes) -> NDArray[np.float64]:
    """Return the first and the last pixel of the plane that the canvas shows, (2, 2)."""
    if is_converted(layer, viewer.dims):
        # napari takes the camera's coordinates for those of the layer.
        found = np.round(canvas_place(layer, viewer.dims).to_pixels(_view_corners(viewer)), _EXACT)
        shape = [full_resolution(layer).shape[axis] for axis in layer_axes.plane]
        box = np.stack([np.floor(found.min(axis=0)), np.ceil(found.max(axis=0))])
        inside: NDArray[np.float64] = np.clip(box, 0, np.array(shape) - 1)
        return inside
    corners = np.array(layer.corner_pixels, dtype=float)
    if layer.multiscale:
        # These are of the level on display and of whole chunks, so that more than the view may be segmented.
        corners *= layer.downsample_factors[layer.data_level]
    return corners[:, list(layer_axes.plane)]


def _view_corners(viewer: "ViewerModel") -> NDArray[np.float64]:
    """Return the four corners of what the canvas shows in the world, (4, 2); of a grid, those of each of its views."""
    # napari has moved its camera to a scene in 0.9, and the size of the canvas from a private place to a public one.
    model = getattr(viewer, "__wrapped__", viewer)
    camera = getattr(model, "scene", model).camera
    size = np.array(model.canvas.size if hasattr(model, "canvas") else model._canvas_size, float)
    grid = getattr(model, "canvas", model).grid
    if grid.enabled:
        size /= grid.actual_shape(model.layers if hasattr(model, "canvas") else len(model.layers))
    half = size / 2 / camera.zoom
    centre = np.array(camera.center[-2:], float)
    return np.array([centre + half * sides for sides in ((-1, -1), (-1, 1), (1, 1), (1, -1))])


def _rectangle_region(layer: ImageLike, viewer: "ViewerModel", layer_axes: LayerAxes) -> Region:
    shapes, vertices = _only_rectangle(viewer)
    if layer_axes.plane != shown_axes(layer, viewer.dims):
        raise UnetsegError(tr(_TURNED))
    found = canvas_place(layer, viewer.dims).to_pixels(canvas_place(shapes, viewer.dims).to_world(vertices))
    found = np.round(found, _EXACT)
    # Pixels whose centre lies within; to them a rectangle's edge may come as close as half a pixel.
    return _clipped(np.ceil(found.min(axis=0)), np.floor(found.max(axis=0)), layer, layer_axes, tr(_OUTSIDE))


def _only_rectangle(viewer: "ViewerModel") -> tuple[ShapesLike, NDArray[np.float64]]:
    layers = [layer for layer in viewer.layers if isinstance(layer, Shapes) and not is_result(layer)]
    every = [(layer, at) for layer in layers for at, kind in enumerate(layer.shape_type) if kind == "rectangle"]
    picked = [(layer, at) for layer, at in every if at in layer.selected_data]
    found = picked if len(picked) == 1 else every
    if len(found) != 1:
        raise UnetsegError(tr(_WHICH_RECTANGLE if found else _NO_RECTANGLE))
    shapes, at = found[0]
    return shapes, shapes.data[at]


def _clipped(
    first: NDArray[np.float64], last: NDArray[np.float64], layer: ImageLike, layer_axes: LayerAxes, empty: str
) -> Region:
    """Keep of a box, both ends included, what lies within the image."""
    shape: Sequence[int] = [full_resolution(layer).shape[axis] for axis in layer_axes.plane]
    start = np.maximum(np.floor(first), 0).astype(int)
    stop = np.minimum(np.ceil(last) + 1, shape).astype(int)
    if (start >= stop).any():
        raise UnetsegError(empty)
    return (int(start[0]), int(stop[0])), (int(start[1]), int(stop[1]))
