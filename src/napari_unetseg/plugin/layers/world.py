"""The one way between the pixels of layers and the world of a viewer, which may count in another unit than a layer.

Since napari 0.7 a viewer with layers in micrometres and nanometres shows both in the smaller unit, and its sliders and
its camera stand in that unit; `Layer.world_to_data` and `Layer.data_to_world` know the layer's own alone. Of a layer
that is turned against the axes of the viewer, napari shows what is left without the turn out of the plane, and so it is
read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unetseg.plugin.layers.napari_types import LayerLike


class ViewerDims(Protocol):
    """As much of napari's `Dims` as places are found by; its `units`, where it has them, are those of the world."""

    @property
    def point(self) -> Sequence[float]:
        """Where the sliders stand, in the coordinates of the world."""

    @property
    def order(self) -> Sequence[int]:
        """The axes of the viewer, those on display last."""


@dataclass(frozen=True, eq=False)
class CanvasPlace:
    """Where a layer lies on a 2-D canvas.

    Attributes
    ----------
    axes
        The axes of the layer along the rows and the columns of the canvas.
    matrix, offset
        float64 (2, 2) and (2,): pixels along `axes`, times the matrix, plus the offset, are coordinates of the world.
    """

    axes: tuple[int, int]
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def to_world(self, points: ArrayLike) -> NDArray[np.float64]:
        """Take (N, ndim) points of the layer to (N, 2) places on the canvas."""
        pixels = np.asarray(points, np.float64)[:, list(self.axes)]
        return np.asarray(pixels @ self.matrix.T + self.offset, np.float64)

    def to_pixels(self, places: ArrayLike) -> NDArray[np.float64]:
        """Take (N, 2) places on the canvas to (N, 2) pixels along the rising axes of the layer."""
        pixels = np.asarray(np.linalg.solve(self.matrix, (np.asarray(places) - self.offset).T).T, dtype=np.float64)
        return pixels if self.axes[0] < self.axes[1] else pixels[:, ::-1]


def world_place(layer: LayerLike, pixel: ArrayLike, dims: ViewerDims) -> NDArray[np.float64]:
    """Return where in the world of a viewer a pixel of a layer lies, float64 (ndim,): the last axes of the world."""
    return np.asarray(layer.data_to_world(np.asarray(pixel, float)), np.float64) * _unit_lengths(layer, dims)


def layer_place(layer: LayerLike, place: ArrayLike, dims: ViewerDims) -> NDArray[np.float64]:
    """Return which pixel of a layer, float64 (ndim,), lies at a place in the world of a viewer."""
    return np.asarray(layer.world_to_data(own_place(layer, place, dims)), float)


def own_place(layer: LayerLike, place: ArrayLike, dims: ViewerDims) -> NDArray[np.float64]:
    """Return a place in the world of a viewer as a layer alone counts it, float64 (ndim,): its own units and axes."""
    place = np.asarray(place, float)
    own = np.zeros(layer.ndim)
    count = min(len(place), layer.ndim)
    own[layer.ndim - count :] = place[len(place) - count :]
    return np.asarray(own / _unit_lengths(layer, dims), np.float64)


def slider_place(layer: LayerLike, dims: ViewerDims, plane_axes: tuple[int, int]) -> NDArray[np.float64]:
    """Return which pixel of a layer the sliders of a viewer are at, float64 (ndim,).

    Along the axes of the plane it means nothing: where in its plane a viewer stands does not decide which one it shows.
    """
    point = np.zeros(layer.ndim)
    given = np.asarray(dims.point, float)[-layer.ndim :]
    point[layer.ndim - len(given) :] = given
    point[list(plane_axes)] = 0
    return layer_place(layer, point, dims)


def canvas_place(layer: LayerLike, dims: ViewerDims) -> CanvasPlace:
    """Return where a layer lies on the canvas of a viewer in 2-D."""
    first, second = axes_on_canvas(layer, dims)
    origin = world_place(layer, np.zeros(layer.ndim), dims)
    steps = np.stack([world_place(layer, step, dims) - origin for step in np.eye(layer.ndim)], axis=1)
    axes = [first, second]
    return CanvasPlace((first, second), steps[np.ix_(axes, axes)], origin[axes])


def axes_on_canvas(layer: LayerLike, dims: ViewerDims) -> tuple[int, int]:
    """Return the axes of a layer along the rows and columns of the canvas.

    A layer has the last axes of the viewer, in the order that the viewer shows them.
    """
    missing = len(dims.order) - layer.ndim
    order = [axis - missing for axis in dims.order if axis >= missing]
    first, second = order[-2:]
    return first, second


def is_converted(layer: LayerLike, dims: ViewerDims) -> bool:
    """Tell whether the world of a viewer has other units than a layer."""
    return bool((_unit_lengths(layer, dims) != 1).any())


def pixel_offset(layer: LayerLike, other: LayerLike) -> tuple[int, ...] | None:
    """Return which pixel of another layer the first pixel of a layer is; None unless each is a pixel of the other.

    A result of a region or a plane lies so in its image, whatever units both are in.
    """
    if layer.ndim != other.ndim:
        return None
    lengths = [_length(own, to) for own, to in zip(layer.units, other.units, strict=True)]
    if None in lengths:
        return None
    corners = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    worlds = [np.asarray(layer.data_to_world(corner)) * np.array(lengths, float) for corner in corners]
    places = np.array([other.world_to_data(world) for world in worlds], float)
    first = np.rint(places[0])
    steps = places[1:] - places[0]
    fits = np.allclose(places[0], first, atol=1e-3) and np.allclose(steps, np.eye(layer.ndim), atol=1e-5)
    return tuple(int(value) for value in first) if fits else None


def _unit_lengths(layer: LayerLike, dims: ViewerDims) -> NDArray[np.float64]:
    """Return how long the unit of each axis of a layer is in that of the world.

    napari before 0.7 converts nothing, and none does where an axis has units of different kinds, such as pixels
    and micrometres.
    """
    world: Sequence[Any] | None = getattr(dims, "units", None)
    if world is None or len(world) < layer.ndim:
        return np.ones(layer.ndim)
    pairs = zip(layer.units, world[len(world) - layer.ndim :], strict=True)
    return np.array([_length(own, to) or 1.0 for own, to in pairs])


def _length(unit: Any, other: Any) -> float | None:
    """Return how many of another unit a unit is; None where they measure different things."""
    if str(unit) == str(other):
        return 1.0
    if unit.dimensionality != other.dimensionality:
        return None
    return float((1.0 * unit).to(str(other)).magnitude)
