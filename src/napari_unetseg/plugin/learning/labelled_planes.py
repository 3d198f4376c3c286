"""Labels of a viewer with the image that they lie on: what a model can learn from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unetseg.channel_selection import recorded_channels
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.language import tr
from napari_unetseg.layer_style import AXES_KEY, METADATA_KEY, PREVIEW_KEY
from napari_unetseg.plugin.layers.axes import LayerAxes, guess, is_complete, names_of_axes
from napari_unetseg.plugin.layers.layer_channels import LayerChannels, channels_of, plane_of_channels
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerArray
from napari_unetseg.plugin.layers.plane import Plane, Region, full_resolution, plane_at, shown_axes
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY, unwrapped
from napari_unetseg.plugin.layers.run_areas import is_result
from napari_unetseg.plugin.layers.sources import source_among
from napari_unetseg.plugin.layers.world import pixel_offset, slider_place

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True, eq=False)
class LabelledPlane:
    """Labels of one plane, or of a region of one, and what of an image lies under them; neither is read yet.

    Attributes
    ----------
    labels
        The layer of the labels.
    image
        The image layer.
    axes
        What the axes of the image mean.
    places
        Position of the plane by axis of the image.
    region
        First and last pixel, the last excluded, of the labels along the two axes of the plane.
    key
        Which of the labels lie in the plane.
    place
        Which plane of several it is, for people; empty where there is one.
    channels
        Those among which the run that made the labels chose by name; None where it did not, or they are gone.
    """

    labels: Labels
    image: ImageLike
    axes: LayerAxes
    places: Mapping[int, int]
    region: Region
    key: tuple[int | slice, ...]
    place: str
    channels: LayerChannels | None = None

    @property
    def record(self) -> Mapping[str, Any]:
        """How the labels came about; empty where this plugin did not make them."""
        record: Mapping[str, Any] = self.labels.metadata.get(METADATA_KEY, {})
        return record

    @property
    def changed(self) -> int:
        """How many objects were changed by hand, as far as it is known; 1 for any number in a stack."""
        return int(self.record.get(EDITED_KEY, 0))

    @property
    def name(self) -> str:
        """What to call it by: the image, and which plane of it."""
        return f"{self.image.name} {self.place}".strip()

    def plane(self, part: Region | None = None) -> Plane:
        """Describe the plane under the labels, or a part of it, given in pixels of the labels."""
        (top, _), (left, _) = self.region
        region = self.region
        if part is not None:
            (first, last), (west, east) = part
            region = ((top + first, top + last), (left + west, left + east))
        plane, choice = plane_at(self.image, self.places, self.axes, region), self.record.get("channels")
        if choice is None:
            return plane
        if self.channels is None:
            raise UnetsegError(
                tr("The layers of the channels {channels} are gone. Open them again, or choose other labels.").format(
                    channels=choice
                )
            )
        whole = plane_of_channels(plane, self.channels, self.axes, choice)
        return replace(whole, read=lambda: recorded_channels(whole.read(), None, choice))

    @property
    def channel(self) -> int | None:
        """The channel that was segmented; None for all there are."""
        channel = self.record.get("channel")
        return None if channel is None else int(channel)

    def read_image(self, part: Region | None = None) -> Image:
        """Read the pixels under the labels, or a part of them; call it in a worker."""
        image = self.plane(part).read()
        return image if self.channel is None or "C" not in image.axes else image.take_channel(self.channel)

    def read_labels(self, part: Region | None = None) -> NDArray[np.int32]:
        """Copy the labels, (Y, X), or a part of them; call it in a worker."""
        spans = ((0, None), (0, None)) if part is None else part
        plane = self.labels.data[self.key][tuple(slice(*span) for span in spans)]
        return np.array(plane, dtype=np.int32)

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of the labels along the two axes of the plane."""
        (top, bottom), (left, right) = self.region
        return bottom - top, right - left


def labelled_planes(viewer: "ViewerModel") -> list[LabelledPlane]:
    """Return the labels of a viewer that lie on an image pixel by pixel, those of stacks at the plane on display.

    The newest stand first. Labels of several resolutions, and outlines that are shown as labels, are left out.
    """
    layers = [unwrapped(layer) for layer in reversed(viewer.layers)]
    found = (_labelled_plane(layer, viewer) for layer in layers if isinstance(layer, Labels))
    return [plane for plane in found if plane is not None]


def _labelled_plane(layer: Labels, viewer: "ViewerModel") -> LabelledPlane | None:
    record = layer.metadata.get(METADATA_KEY, {})
    if layer.multiscale or PREVIEW_KEY in layer.metadata or (record and "index" not in layer.features):
        return None
    image = _image_under(layer, record, viewer)
    if image is None:
        return None
    offset = pixel_offset(layer, image)
    roles = tuple(str(role) for role in record.get(AXES_KEY, ()))
    axes = guess(image, shown_axes(image, viewer.dims))
    if len(roles) == image.ndim and is_complete(roles):
        axes = LayerAxes(roles, tuple(names_of_axes(image.axis_labels, image.metadata, image.ndim)))
    if offset is None:
        return None
    shape = layer.data.shape
    point = np.rint(slider_place(layer, viewer.dims, axes.plane)).astype(int)
    others = [axis for axis in range(layer.ndim) if axis not in axes.plane]
    index = {axis: int(np.clip(point[axis], 0, shape[axis] - 1)) for axis in others}
    first, second = axes.plane
    region = ((offset[first], offset[first] + shape[first]), (offset[second], offset[second] + shape[second]))
    return LabelledPlane(
        labels=layer,
        image=image,
        axes=axes,
        places={axis: offset[axis] + at for axis, at in index.items()},
        region=region,
        key=tuple(index.get(axis, slice(None)) for axis in range(layer.ndim)),
        channels=_channels(image, axes, record, viewer),
        place=" ".join(_places(axes, others, image, {axis: offset[axis] + at for axis, at in index.items()})),
    )


def _channels(
    image: ImageLike, axes: LayerAxes, record: Mapping[str, Any], viewer: "ViewerModel"
) -> LayerChannels | None:
    """Return the channels among which a run chose; None where it did not, or they are gone."""
    if record.get("channels") is None:
        return None
    names = record.get("channel_layers", ())
    if not names:
        return channels_of(image, axes, ())
    images: dict[str, Any] = {
        str(layer.name): unwrapped(layer) for layer in viewer.layers if isinstance(layer, ImageLayer)
    }
    if not set(names) <= set(images):
        return None
    return LayerChannels(tuple(record["channel_names"]), tuple(images[name] for name in names))


def _places(axes: LayerAxes, others: Sequence[int], image: ImageLike, at: Mapping[int, int]) -> Iterator[str]:
    for axis in others:
        if full_resolution(image).shape[axis] > 1:
            yield f"{axes.names[axis] or axes.roles[axis] or axis} {at[axis] + 1}"


def _image_under(labels: Labels, record: Mapping[str, Any], viewer: "ViewerModel") -> ImageLike | None:
    """Return the image that labels were made of or lie on: of several the one that they name, else the topmost."""
    layers = [unwrapped(layer) for layer in reversed(viewer.layers)]
    images = [layer for layer in layers if isinstance(layer, ImageLayer) and not is_result(layer)]
    fitting: list[ImageLike] = [image for image in images if _lies_within(labels, image)]
    source = source_among(record, fitting)
    named = next((image for image in fitting if str(image.name) == record.get("image")), None)
    return source or named or next(iter(fitting), None)


def _lies_within(labels: Labels, image: ImageLike) -> bool:
    offset = pixel_offset(labels, image)
    if offset is None:
        return False
    pixels: LayerArray = full_resolution(image)
    ends = zip(offset, labels.data.shape, pixels.shape, strict=False)
    return all(first >= 0 and first + length <= whole for first, length, whole in ends)
