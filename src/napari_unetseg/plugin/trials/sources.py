"""What models can be tried on: the channels of an image layer, or the layers that are channels of one image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetseg.image import TRIAL_SIDE, Image
from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.axes import LayerAxes
from napari_unetseg.plugin.layers.layer_channels import channels_of, layers_beside
from napari_unetseg.plugin.layers.napari_types import ImageLike
from napari_unetseg.plugin.layers.plane import Plane, Region, full_resolution
from napari_unetseg.postprocessing.blocks import middle_span

if TYPE_CHECKING:
    from napari.layers import Layer


@dataclass(frozen=True, eq=False)
class ChannelSource:
    """One channel of what is on display.

    Attributes
    ----------
    name
        What to call it; empty where there is nothing to choose.
    layer
        Whose pixels they are.
    axis, place
        The layer's axis of channels and the position along it; None where it has none.
    index
        Position along every axis but those of the plane.
    region
        The part of the plane.
    axes
        The two axes of the plane.
    """

    name: str
    layer: ImageLike
    axis: int | None
    place: int | None
    index: Mapping[int, int]
    region: Region
    axes: tuple[int, int]

    def read(self) -> Image:
        """Read the pixels, from disk where need be; call it in a worker."""
        spans = {axis: slice(*span) for axis, span in zip(self.axes, self.region, strict=True)}
        key = tuple(spans.get(axis, self.index.get(axis, 0)) for axis in range(self.layer.ndim))
        pixels = np.asarray(full_resolution(self.layer)[key])
        rgb = bool(self.layer.rgb)
        return Image(pixels, "YXC" if rgb else "YX", rgb=rgb, name=str(self.layer.name))


def sources_of(plane: Plane, layer_axes: LayerAxes, layers: "Iterable[Layer]") -> list[ChannelSource]:
    """List what can be tried instead of a plane, itself included.

    Parameters
    ----------
    plane
        What a run would be on; the middle of it is tried.
    layer_axes
        What the axes of its layer mean.
    layers
        Of the viewer. Where the layer has no axis of channels, grey layers of the same shape at the same place are
        taken for the other channels of one image, since readers make a layer of each.

    Returns
    -------
    list of ChannelSource
        One for each channel, in their order.
    """
    layer, axes = plane.source, layer_axes.plane
    shape = full_resolution(layer).shape
    whole = tuple((0, int(shape[axis])) for axis in axes)
    rows, columns = (_middle(span) for span in plane.region or whole)
    region = rows, columns
    channel = layer_axes.channel
    if channel is not None and shape[channel] > 1:
        names = channels_of(layer, layer_axes, ()).names
        return [
            ChannelSource(
                tr("channel {number}").format(number=place + 1) if names[place] == str(place) else names[place],
                layer,
                channel,
                place,
                {**plane.index, channel: place},
                region,
                axes,
            )
            for place in range(shape[channel])
        ]
    alike = layers_beside(layer, layers)
    every: list[ImageLike] = alike if len(alike) > 1 else [layer]
    return [
        ChannelSource(str(one.name) * (len(every) > 1), one, None, None, plane.index, region, axes) for one in every
    ]


def is_source(source: ChannelSource, plane: Plane) -> bool:
    """Tell whether a plane shows this channel."""
    return source.layer == plane.source and (source.axis is None or plane.index.get(source.axis) == source.place)


def _middle(span: tuple[int, int]) -> tuple[int, int]:
    first, last = span
    part = middle_span(last - first, TRIAL_SIDE)
    return first + part.start, first + part.stop
