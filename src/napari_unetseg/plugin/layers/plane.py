"""From an image layer to the `Image` that is segmented: which planes, and where they lie in the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from napari.utils.transforms import CompositeAffine

from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.language import tr
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.plugin.layers.axes import LayerAxes, guess, pixel_size
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerArray, LayerMeta, PixelLayer
from napari_unetseg.plugin.layers.world import ViewerDims, axes_on_canvas, slider_place
from napari_unetseg.postprocessing.layer_data import Placement

Region = tuple[tuple[int, int], tuple[int, int]]
"""First and last pixel, the last excluded, along the two axes of a plane."""


@dataclass(frozen=True)
class Plane:
    """What of an image layer is to be segmented, not yet read: a plane, a part of it, or a stack of planes.

    Attributes
    ----------
    name
        Name of the layer.
    index
        Position along each axis that neither the plane nor the stack spans, by axis.
    description
        How the axes were read, for the user's eyes.
    pixel_area
        Area of a pixel in physical units with its unit, such as ``(0.1, "µm²")``; None if not known.
    read
        Reads the pixels, from disk or by a lazy computation where it must; the planes of a lazy stack are
        read when they are taken from the image. Call it in a worker.
    source
        The layer itself.
    in_memory
        Whether reading costs next to nothing.
    region
        The part of the plane; None for all of it.
    size
        Pixels of the whole plane along its two axes.
    known_roles
        What each axis of the layer means, as `LayerAxes.roles`; empty where only its length suggests it, unless a stack
        was read that way.
    place
        Which plane of several and which region of it, for the user's eyes; empty where the image is no more than that.
    channel_names
        What all channels are called, where it is read with some of them; see `layer_channels`.
    channel_layers
        Names of the layers that hold one each; empty where they lie along an axis of the layer.
    channel_axis
        That axis; None where there is none.
    """

    name: str
    index: Mapping[int, int]
    placement: Placement
    description: str
    pixel_area: tuple[float, str] | None
    read: Callable[[], Image]
    source: ImageLike
    in_memory: bool = False
    region: Region | None = None
    size: tuple[int, int] = (0, 0)
    known_roles: tuple[str, ...] = ()
    place: str = ""
    channel_names: tuple[str, ...] = ()
    channel_layers: tuple[str, ...] = ()
    channel_axis: int | None = None


def shown_plane(
    layer: ImageLike, dims: ViewerDims, layer_axes: LayerAxes | None = None, region: Region | None = None
) -> Plane:
    """Describe the plane of a layer that the viewer's sliders now show, or a part of it.

    A multiscale layer gives that plane at full resolution. In a 3-D view the plane is the one
    spanned by the last two axes in the viewer's order.

    Parameters
    ----------
    layer
        Any image layer: grey or RGB, n-D, multiscale, lazy.
    dims
        The viewer's dims.
    layer_axes
        What the axes mean; None for `guess`.
    region
        The part; None for all.
    """
    layer_axes = layer_axes or guess(layer, shown_axes(layer, dims))
    return plane_at(layer, _shown_places(layer, dims, layer_axes), layer_axes, region)


def shown_stack(layer: ImageLike, dims: ViewerDims, layer_axes: LayerAxes | None = None) -> Plane:
    """Describe all planes of a layer, of the channel that the viewer's sliders now show.

    A multiscale layer gives them at full resolution, a lazy one stays lazy.

    Parameters
    ----------
    layer, dims, layer_axes
        As of `shown_plane`.
    """
    layer_axes = layer_axes or guess(layer, shown_axes(layer, dims))
    return stack_at(layer, _shown_places(layer, dims, layer_axes), layer_axes)


def plane_at(layer: ImageLike, places: Mapping[int, int], layer_axes: LayerAxes, region: Region | None = None) -> Plane:
    """Describe the plane at these places along the other axes of a layer, or a part of it.

    Parameters
    ----------
    layer, layer_axes, region
        As of `shown_plane`.
    places
        Position by axis, 0 where there is none.
    """
    return _select(layer, places, layer_axes, (), region)


def stack_at(layer: ImageLike, places: Mapping[int, int], layer_axes: LayerAxes) -> Plane:
    """Describe all planes of a layer, of the channel at its place among `places`; see `plane_at`."""
    return _select(layer, places, layer_axes, layer_axes.stack, None)


def place_of(plane: Plane, layer_axes: LayerAxes, channels: str) -> tuple[str, str]:
    """Return how a plane is read and where it lies, as of `Plane`, in which these words say which channels it has."""
    layer, data = plane.source, full_resolution(plane.source)
    index = {axis: at for axis, at in plane.index.items() if axis != layer_axes.channel}
    scale, _ = pixel_size(_transform(layer, {}, layer_axes.plane, None), layer_axes.plane)
    symbol = f"{layer.units[layer_axes.plane[0]]:~P}" if scale else ""
    description = _describe(layer, data, layer_axes, index, scale, symbol)
    place = _place(data, layer_axes, index, plane.region)
    return f"{channels} · {description}", ", ".join(filter(None, (channels, place)))


def shown_axes(layer: ImageLike, dims: ViewerDims) -> tuple[int, int]:
    """Return the two axes of the layer on display, ascending."""
    first, second = sorted(axes_on_canvas(layer, dims))
    return first, second


def full_resolution(layer: PixelLayer) -> LayerArray:
    """Return the data of a layer, of a multiscale one those of its largest level."""
    pixels: LayerArray = layer.data[0] if layer.multiscale else layer.data
    return pixels


def _shown_places(layer: ImageLike, dims: ViewerDims, layer_axes: LayerAxes) -> dict[int, int]:
    """Return where along each axis of a layer the sliders stand, at its end where they are beyond it."""
    point = np.rint(slider_place(layer, dims, layer_axes.plane)).astype(int)
    shape = full_resolution(layer).shape
    return {axis: int(np.clip(point[axis], 0, shape[axis] - 1)) for axis in range(layer.ndim)}


def _select(
    layer: ImageLike,
    places: Mapping[int, int],
    layer_axes: LayerAxes,
    stack: tuple[int, ...],
    region: Region | None,
) -> Plane:
    data = full_resolution(layer)
    axes = layer_axes.plane
    fixed = [axis for axis in range(layer.ndim) if axis not in (*axes, *stack)]
    index = {axis: places.get(axis, 0) for axis in fixed}
    spans = {axis: slice(*span) for axis, span in zip(axes, region or (), strict=False)}
    key = tuple(index.get(axis, spans.get(axis, slice(None))) for axis in range(layer.ndim))
    letters = layer_axes.letters([axis for axis in range(layer.ndim) if axis not in index]) + "C" * layer.rgb
    scale, unit = pixel_size(_transform(layer, {}, axes, None), axes)
    symbol = f"{layer.units[axes[0]]:~P}" if scale else ""
    name, rgb, path = str(layer.name), bool(layer.rgb), layer.source.path
    origin = (0, 0) if region is None else (region[0][0], region[1][0])

    def read() -> Image:
        pixels = _lazily(data)[key] if stack else _read_plane(data, key)
        return Image(pixels, letters, rgb=rgb, scale=scale, unit=unit, name=name, path=path, origin=origin)

    return Plane(
        name=name,
        index=index,
        placement=Placement(layer.ndim, axes, _transform(layer, index, axes, region), stack),
        description=_describe(layer, data, layer_axes, index, scale, symbol),
        pixel_area=(scale[0] * scale[1], f"{symbol}²") if scale else None,
        read=read,
        in_memory=isinstance(data, np.ndarray) and not isinstance(data, np.memmap),
        region=region,
        size=(int(data.shape[axes[0]]), int(data.shape[axes[1]])),
        source=layer,
        known_roles=layer_axes.roles if stack else layer_axes.known_roles,
        place=_place(data, layer_axes, index, region),
    )


def _read_plane(data: LayerArray, key: tuple[int | slice, ...]) -> LayerArray:
    """Read a plane; one that is too large to be read at once is left where it is, to be read in tiles."""
    spans = [range(length)[at] for length, at in zip(data.shape, key, strict=False) if isinstance(at, slice)]
    values = prod(map(len, spans)) * prod(data.shape[len(key) :])  # which are the colours
    if isinstance(data, np.ndarray) or values * data.dtype.itemsize <= READ_AT_ONCE:
        return np.asarray(data[key])
    return _lazily(data)[key]


def _lazily(data: LayerArray) -> LayerArray:
    """Keep what is not in memory, such as arrays of dask and zarr, from being read before it is needed, and then whole.

    A part is read as the array gives it: of its chunks those that lie under it.
    """
    if isinstance(data, np.ndarray):
        return data
    stored_in = [max(length) if isinstance(length, tuple) else length for length in getattr(data, "chunks", None) or ()]
    chunks = tuple(map(int, stored_in)) if len(stored_in) == data.ndim else None
    lazy = LazyArray(lambda box: np.asarray(data[box]), tuple(data.shape), np.dtype(data.dtype), chunks)
    return cast("LayerArray", lazy)


def _transform(layer: ImageLike, index: Mapping[int, int], axes: tuple[int, int], region: Region | None) -> LayerMeta:
    origin = np.zeros(layer.ndim)
    origin[list(index)] = list(index.values())
    if region is not None:
        origin[list(axes)] = [first for first, _ in region]
    to_physical = CompositeAffine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear, ndim=layer.ndim
    )
    return {
        "scale": np.array(layer.scale),
        "translate": np.asarray(to_physical(origin)),
        "rotate": np.array(layer.rotate),
        "shear": np.array(layer.shear),
        "affine": np.array(layer.affine.affine_matrix),
        "units": tuple(str(unit) for unit in layer.units),
        "axis_labels": tuple(layer.axis_labels),
    }


def _describe(
    layer: ImageLike,
    data: LayerArray,
    layer_axes: LayerAxes,
    index: Mapping[int, int],
    scale: tuple[float, float] | None,
    symbol: str,
) -> str:
    whole = [f"{layer_axes.names[axis]} {data.shape[axis]}" for axis in layer_axes.stack if axis not in index]
    words = [*whole, *_position(data, layer_axes, index).values()]
    words.append(" ".join([*(layer_axes.names[axis] for axis in layer_axes.plane), *(["RGB"] if layer.rgb else [])]))
    values = [str(data.dtype)]
    if scale:
        sizes = dict.fromkeys(f"{size:.3g}" for size in scale)
        values.append(f"{' x '.join(sizes)} {symbol}")
    size = " x ".join(str(data.shape[axis]) for axis in layer_axes.plane)
    # The line is short: with more axes to tell, its end is what can be missed.
    words += [*values, size] if layer.ndim > 2 else [size, *values]
    return " · ".join(words)


def _position(data: LayerArray, layer_axes: LayerAxes, index: Mapping[int, int]) -> dict[int, str]:
    """Say which of its planes and channels a place is, by axis."""
    words = {}
    for axis in layer_axes.stack:
        if axis in index:
            place = tr("{axis} {number} of {count}")
            name, count = layer_axes.names[axis], data.shape[axis]
            words[axis] = place.format(axis=name, number=index[axis] + 1, count=count)
    if (channel := layer_axes.channel) is not None and channel in index:
        place = tr("channel {number} of {count}")
        words[channel] = place.format(number=index[channel] + 1, count=data.shape[channel])
    return words


def _place(data: LayerArray, layer_axes: LayerAxes, index: Mapping[int, int], region: Region | None) -> str:
    words = [word for axis, word in _position(data, layer_axes, index).items() if data.shape[axis] > 1]
    if region is not None:
        words.append(tr("region of {size} px").format(size=" x ".join(str(last - first) for first, last in region)))
    return ", ".join(words)
