"""From the result of a run to the layers of a viewer: their record, their names, and the layers themselves."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_unetseg.layer_style import AXES_KEY
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.sources import remember_source
from napari_unetseg.postprocessing.layer_data import LayerData, Output, make_layer_data

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation
    from napari_unetseg.service.provenance import Provenance


def layer_data(segmentation: "Segmentation", plane: Plane, outputs: Collection[Output]) -> dict[Output, LayerData]:
    """Turn what a run on a plane gave into the data of its layers; `make_layer_data` explains them."""
    return make_layer_data(segmentation, outputs, plane.placement, result_metadata(segmentation, plane))


def result_metadata(segmentation: "Segmentation", plane: Plane) -> dict[str, Any]:
    """Record how a result came about, of which plane or which region of it, and what the axes of its layers mean."""
    return result_record(segmentation.provenance, plane)


def result_record(provenance: "Provenance", plane: Plane) -> dict[str, Any]:
    """Record how labels came about; see `result_metadata`."""
    region: dict[str, Any] = {}
    if plane.region is not None:
        region = {"region": [list(span) for span in plane.region], "plane_size": list(plane.size)}
    channels: dict[str, Any] = {}
    if plane.channel_names:
        channels = {name: getattr(plane, name) for name in ("channel_names", "channel_layers", "channel_axis")}
    record = provenance.as_dict()
    remember_source(record, plane.source)
    return record | {"plane": dict(plane.index), AXES_KEY: list(plane.known_roles)} | region | channels


def fresh_names(image: str, outputs: Collection[Output], taken: Collection[str]) -> dict[Output, str]:
    """Name the layers of a run: ``<image> labels``, then ``<image> labels [2]``, all with one number.

    Parameters
    ----------
    image
        Name of the image layer.
    outputs
        Layers to name.
    taken
        Names that layers have already.
    """
    number = 1
    while True:
        suffix = f" [{number}]" if number > 1 else ""
        names = {output: f"{image} {output}{suffix}" for output in outputs}
        if not set(names.values()) & set(taken):
            return names
        number += 1


def build_layers(data: Mapping[Output, LayerData]) -> dict[Output, Layer]:
    """Construct the layers, which takes long for many outlines: call it in a worker."""
    return {output: Layer.create(*one) for output, one in data.items()}


def with_name(data: LayerData, name: str) -> LayerData:
    """Return layer data with a name."""
    values, arguments, kind = data
    return values, arguments | {"name": name}, kind
