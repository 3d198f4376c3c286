"""Where on a result somebody pointed, and why nothing can be fixed there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.fixing.fixer import Points
from napari_unetseg.plugin.fixing.gestures import Place
from napari_unetseg.plugin.layers.current_result import CurrentResult
from napari_unetseg.plugin.layers.editing import can_edit
from napari_unetseg.plugin.layers.world import axes_on_canvas, layer_place

if TYPE_CHECKING:
    from napari.components import ViewerModel

_NONE = mark(
    "There is no result to fix. Press Run, or select a layer of a result. One that is no longer adjustable has let "
    "go of what the model saw: press Run again."
)
_STACK = mark(
    "'{result}' is of a stack, whose objects are not fixed by clicks. Run on one plane, or paint on the labels."
)
_GONE = mark("The labels of '{result}' were removed. Tick Labels to get them back.")
_HIDDEN = mark("All layers of '{result}' are hidden. Show one to see what you do.")
_SPACE = mark("Objects are fixed in the flat view: press the cube below the layer list.")
_ELSEWHERE = mark("'{result}' is of another plane than the one on display. Move the slider back to it.")


def obstacle(result: CurrentResult | None, viewer: "ViewerModel") -> str | None:
    """Say why nothing of a result can be fixed now; None if something can be."""
    if result is None:
        return tr(_NONE)
    shown, words = result.shown, None
    labels = shown.layer("labels")
    if not can_edit(result.segmentation):
        words = _STACK
    elif not isinstance(labels, Labels):
        words = _GONE
    elif viewer.dims.ndisplay != 2:
        words = _SPACE
    elif not any(layer.visible for layer in shown.layers):
        words = _HIDDEN
    elif not _is_on_display(labels, shown.plane.placement.plane_axes, viewer):
        words = _ELSEWHERE
    return None if words is None else tr(words).format(result=shown.name)


def points_on(result: CurrentResult, places: Sequence[Place], viewer: "ViewerModel") -> Points:
    """Return which pixels of a result's plane lie at places of the world; none once its labels are gone."""
    labels, axes = result.shown.layer("labels"), list(result.shown.plane.placement.plane_axes)
    if labels is None:
        return ()
    pixels = [layer_place(labels, place, viewer.dims)[axes] for place in places]
    return tuple((float(row), float(column)) for row, column in pixels)


def object_at(result: CurrentResult, place: Place, viewer: "ViewerModel") -> int | None:
    """Return the label at a place of the world, 0 of the background; None beyond the image."""
    labels = result.shown.as_it_is
    if labels is None:
        return None
    row, column = (round(value) for value in points_on(result, [place], viewer)[0])
    inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
    return int(labels[row, column]) if inside else None


def _is_on_display(labels: Labels, axes: tuple[int, int], viewer: "ViewerModel") -> bool:
    """Tell whether the sliders stand at the plane that some axes of a layer span."""
    place = layer_place(labels, viewer.dims.point, viewer.dims)
    hidden = [axis for axis in range(labels.ndim) if axis not in axes]
    return set(axes_on_canvas(labels, viewer.dims)) == set(axes) and bool((np.abs(place[hidden]) <= 0.5).all())
