"""The channels that can be chosen where an image layer is: along its axis, or in layers beside it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from napari.layers import Image as ImageLayer

from napari_unetseg.channels import ChannelChoice
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.plugin.layers.axes import LayerAxes
from napari_unetseg.plugin.layers.file_axes import channels_in_file
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerArray
from napari_unetseg.plugin.layers.plane import Plane, full_resolution, place_of, plane_at, stack_at

if TYPE_CHECKING:
    from napari.layers import Layer

_PLACED_BY = ("scale", "translate", "rotate", "shear")
# What readers put between the parts of the name of a layer, such as its file and its channel, and between words.
_PARTS = re.compile(r"\s*(?:::|\||,|:\s)\s*")
_WORDS = re.compile(r"\s+")


@dataclass(frozen=True)
class LayerChannels:
    """The channels of what is on display.

    Attributes
    ----------
    names
        What to call each, no two alike: its name where one is known, else its number, counted from 0.
    layers
        The layer of each, where readers made a layer of every channel; empty where they lie along an axis of one.
    """

    names: tuple[str, ...]
    layers: tuple[ImageLike, ...] = ()


def channels_of(layer: ImageLike, layer_axes: LayerAxes, layers: "Iterable[Layer]") -> LayerChannels:
    """List the channels that can be chosen instead of a layer as it is shown, or beside it.

    Parameters
    ----------
    layer, layer_axes
        The image, and what its axes mean.
    layers
        Of the viewer. Where the layer has no axis of channels, grey layers of the same shape at the same place are
        taken for the other channels of one image, since readers make a layer of each.
    """
    if layer.rgb:
        return LayerChannels(("0",))
    if (axis := layer_axes.channel) is not None:
        count = int(full_resolution(layer).shape[axis])
        return LayerChannels(_unlike(_names_of(layer, axis, count)))
    alike = layers_beside(layer, layers)
    if len(alike) < 2:
        return LayerChannels(("0",))
    return LayerChannels(_unlike(_without_common([str(one.name) for one in alike])), tuple(alike))


def layers_beside(layer: ImageLike, layers: "Iterable[Layer]") -> list[ImageLike]:
    """Return a layer and those that are other channels of the same image, in the order of the viewer."""
    return [other for other in layers if _is_channel_beside(layer, other)]


def plane_of_channels(plane: Plane, channels: LayerChannels, layer_axes: LayerAxes, choice: str) -> Plane:
    """Describe the same plane or stack with its channels, for a run that chooses among them by name.

    Parameters
    ----------
    plane
        Of one channel.
    channels
        Those of its layer.
    layer_axes
        What the axes of its layer mean.
    choice
        What is chosen, as `ChannelChoice` reads it, by the names of `channels`. No other channel is read.

    Raises
    ------
    UnetsegError
        If there is no such channel.
    """
    wanted = dict.fromkeys(ChannelChoice.parse(choice).names)
    if missing := [name for name in wanted if name not in channels.names]:
        text = tr("'{image}' has no channel {missing}; it has {channels}.")
        raise UnetsegError(
            text.format(image=plane.name, missing=", ".join(missing), channels=", ".join(channels.names))
        )
    numbers = [channels.names.index(name) for name in wanted]
    sources = [_channel_of(plane, channels, layer_axes, number) for number in numbers]
    names = tuple(channels.names[number] for number in numbers)

    def read() -> Image:
        return _joined([source.read() for source in sources], names)

    title = ", ".join(part.title for part in ChannelChoice.parse(choice).parts)
    description, place = place_of(plane, layer_axes, title)
    return replace(
        plane,
        read=read,
        place=place,
        description=description,
        channel_names=channels.names,
        channel_layers=tuple(str(layer.name) for layer in channels.layers),
        channel_axis=None if channels.layers else layer_axes.channel,
    )


def _channel_of(plane: Plane, channels: LayerChannels, layer_axes: LayerAxes, number: int) -> Plane:
    if channels.layers:
        layer, places = channels.layers[number], plane.index
    else:
        layer, places = plane.source, {**plane.index, cast("int", layer_axes.channel): number}
    if plane.placement.stack_axes:
        return stack_at(layer, places, layer_axes)
    return plane_at(layer, places, layer_axes, plane.region)


def _joined(images: Sequence[Image], names: tuple[str, ...]) -> Image:
    """Put images of one shape together along a new axis C before Y; what is not in memory stays where it is."""
    first = images[0]
    at = first.axes.index("Y")
    arrays = [image.array for image in images]
    dtype = np.result_type(*(array.dtype for array in arrays))
    key: tuple[Any, ...] = (*[slice(None)] * at, np.newaxis)

    def read(box: tuple[slice, ...]) -> LayerArray:
        inside = (*box[:at], *box[at + 1 :])
        return np.concatenate([np.asarray(array[inside])[key] for array in arrays[box[at]]], at).astype(dtype)

    shape = (*first.array.shape[:at], len(arrays), *first.array.shape[at:])
    is_plane = not first.stack_axes and all(isinstance(array, np.ndarray) for array in arrays)
    pixels = read(tuple(map(slice, (0,) * len(shape), shape))) if is_plane else LazyArray(read, shape, dtype)
    axes = f"{first.axes[:at]}C{first.axes[at:]}"
    return replace(first, array=cast("LayerArray", pixels), axes=axes, channels=names)


def _is_channel_beside(layer: ImageLike, other: "Layer") -> bool:
    """Tell whether a layer is the given one, or another channel of the same image."""
    if not isinstance(other, ImageLayer) or METADATA_KEY in other.metadata:
        return False
    if other == layer:
        return True
    return (
        not (other.rgb or layer.rgb)
        and full_resolution(other).shape == full_resolution(layer).shape
        and all(np.array_equal(getattr(other, name), getattr(layer, name)) for name in _PLACED_BY)
        and np.array_equal(other.affine.affine_matrix, layer.affine.affine_matrix)
    )


def _names_of(layer: ImageLike, axis: int, count: int) -> list[str]:
    """Return what the channels along the axis of a layer are called: by its metadata, else by its file."""
    omero = layer.metadata.get("omero")
    listed: list[Callable[[], object]] = [
        lambda: layer.metadata.get("channel_names"),
        lambda: layer.metadata.get("channels"),
        lambda: omero.get("channels") if isinstance(omero, Mapping) else None,
        lambda: _coordinates(layer, axis),
        lambda: channels_in_file(layer),
    ]
    for ask in listed:
        found = ask()
        if isinstance(found, Sequence) and not isinstance(found, str) and len(found) == count:
            return [_word(one) for one in found]
    return [""] * count


def _coordinates(layer: ImageLike, axis: int) -> object:
    """Return what an array of xarray, as nd2, bioio and others make, calls the places along an axis."""
    data: Any = layer.data[0] if layer.multiscale else layer.data
    dims, coords = getattr(data, "dims", None), getattr(data, "coords", None)
    if not isinstance(dims, tuple) or not isinstance(coords, Mapping) or len(dims) <= axis:
        return None
    return np.asarray(coords[dims[axis]]).tolist() if dims[axis] in coords else None


def _word(stated: object) -> str:
    """Return the name in what metadata say of a channel: text, or a mapping with one."""
    if isinstance(stated, Mapping):
        stated = next((stated[key] for key in ("label", "name", "Name") if stated.get(key)), "")
    return " ".join(str(stated).split()) if isinstance(stated, str) else ""


def _without_common(names: Sequence[str]) -> list[str]:
    """Leave out the parts, then the words, that all names begin and end with, such as that of their file."""
    parts = _unshared(names, _PARTS)
    words = _unshared(parts, _WORDS)
    # The 1 of "Channel 1" alone would be taken for a number counted from 0, and so for another channel of the file.
    return parts if any(word.isdecimal() for word in words) else words


def _unshared(names: Sequence[str], between: re.Pattern[str]) -> list[str]:
    pieces = [between.split(name.strip()) for name in names]
    for _ in range(2):
        shared = len(list(takewhile(lambda at: len(set(at)) == 1, zip(*pieces, strict=False))))
        pieces = [one[shared:][::-1] for one in pieces]
    short = [" ".join(one) for one in pieces]
    return short if all(short) else list(names)


def _unlike(names: Sequence[str]) -> tuple[str, ...]:
    """Put the number in place of a name that is missing or that several have."""
    found = tuple(name if name and names.count(name) == 1 else str(at) for at, name in enumerate(names))
    return found if len(set(found)) == len(found) else tuple(map(str, range(len(names))))
