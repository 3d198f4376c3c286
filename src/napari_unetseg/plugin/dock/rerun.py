"""Repeat the run that made a result: which image it is of, and what is to be run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.layers import Layer

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.axes import OTHER, LayerAxes
from napari_unetseg.plugin.layers.layer_channels import LayerChannels, channels_of, plane_of_channels
from napari_unetseg.plugin.layers.plane import Plane, full_resolution, plane_at, stack_at
from napari_unetseg.plugin.layers.sources import source_among

if TYPE_CHECKING:
    from napari_unetseg.service import RunRecipe


def plan_rerun(
    record: Mapping[str, Any], layers: Iterable[Layer], chosen: ImageLayer | None
) -> tuple["RunRecipe", Plane]:
    """Find out how to repeat the run that made a result; nothing is read.

    Parameters
    ----------
    record
        How it came about, as its layers have it.
    layers
        Those of the viewer. The image is the very layer that was segmented; where that is gone, the one of the same
        file or, where it has none, of the same name.
    chosen
        The image to take where that is gone.

    Raises
    ------
    UnetsegError
        If there is no image, it does not have the plane, or the record does not say enough.
    """
    from napari_unetseg.service import RunRecipe

    recipe = RunRecipe.of(record)
    images = [layer for layer in layers if isinstance(layer, ImageLayer)]
    layer = source_among(record, images) or _source_layer(recipe, images, chosen)
    plane, layer_axes = _plane(recipe, layer)
    if recipe.channels is None:
        return recipe, plane
    return recipe, plane_of_channels(plane, _channels(recipe, layer, layer_axes, images), layer_axes, recipe.channels)


def device_of(recipe: "RunRecipe") -> str:
    """Return the device on which a run is repeated: the server that made the result, or one of this machine."""
    server = recipe.run.server
    return recipe.run.device if server is None else server.address


def show_recipe(rows: Rows, recipe: "RunRecipe", plane: Plane) -> None:
    """Let the rows show what is being run again; the sliders show it with the result."""
    rows.inputs.choose_layer(plane.source)
    rows.inputs.choose_model(recipe.model.name)
    rows.object_size.diameter.setValue(recipe.diameter or 0)
    rows.object_size.augment.setChecked(recipe.augment)
    rows.inputs.link.setChecked(recipe.link)
    rows.inputs.channels.want(recipe.channels or "", by_role=rows.inputs.channels.by_role)


def _source_layer(recipe: "RunRecipe", images: Sequence[ImageLayer], chosen: ImageLayer | None) -> ImageLayer:
    source = recipe.source
    named = [layer for layer in images if str(layer.name) == source.image]
    same_file = [layer for layer in images if source.path is not None and layer.source.path == source.path]
    both = [layer for layer in named if layer in same_file]
    layer = next(iter([*both, *same_file, *named]), chosen)
    if layer is None:
        raise UnetsegError(
            tr("The image '{image}' is gone. Open it again, or choose another.").format(image=source.image)
        )
    return layer


def _channels(
    recipe: "RunRecipe", layer: ImageLayer, layer_axes: LayerAxes, images: Sequence[ImageLayer]
) -> LayerChannels:
    """Return the channels among which the run chose."""
    source = recipe.source
    if not source.channel_layers:
        return channels_of(layer, layer_axes, images)
    found = [next((image for image in images if str(image.name) == name), None) for name in source.channel_layers]
    there = tuple(image for image in found if image is not None)
    if len(there) < len(found):
        gone = ", ".join(name for name, image in zip(source.channel_layers, found, strict=True) if image is None)
        raise UnetsegError(tr("The image '{image}' is gone. Open it again, or choose another.").format(image=gone))
    return LayerChannels(source.channel_names, there)


def _plane(recipe: "RunRecipe", layer: ImageLayer) -> tuple[Plane, LayerAxes]:
    source = recipe.source
    letters = source.axes.removesuffix("C") if source.rgb else source.axes
    # Which channels were chosen is said by name; the place of the slider among them is in `source.plane`.
    letters = letters if recipe.channels is None else letters.replace("C", "")
    shape = full_resolution(layer).shape
    fits = layer.ndim == len(letters) + len(source.plane) and layer.rgb == source.rgb
    if not fits or any(at >= shape[axis] for axis, at in source.plane.items()):
        raise UnetsegError(
            tr("'{image}' has other axes than the image of the result. Choose one like it.").format(image=layer.name)
        )
    rest = iter(letters)
    stack = len(letters) > 2
    # The one axis beside a stack is that of its channels; beside a plane nothing depends on what axes mean.
    extra_axis = "C" if stack else OTHER
    roles = [extra_axis if axis in source.plane else next(rest) for axis in range(layer.ndim)]
    if source.channel_axis in source.plane:
        roles[source.channel_axis] = "C"
    known = tuple(role if role in "TZCYX" else OTHER for role in roles)
    layer_axes = LayerAxes(known, tuple(role or f"axis {axis}" for axis, role in enumerate(known)))
    if stack:
        return stack_at(layer, source.plane, layer_axes), layer_axes
    return plane_at(layer, source.plane, layer_axes, source.region), layer_axes
