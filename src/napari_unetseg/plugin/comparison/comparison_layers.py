"""The layers of a comparison: the second result and the differences, beside the image or on it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.comparison.comparison_job import Compared
from napari_unetseg.plugin.comparison.comparison_words import KINDS
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data, result_metadata
from napari_unetseg.plugin.layers.plane import Plane, full_resolution
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY, unwrapped
from napari_unetseg.postprocessing.layer_data import Output

if TYPE_CHECKING:
    from napari.components import ViewerModel

_GAP = 0.04  # between images that lie side by side, as a part of their width
_OPACITY = 0.7  # of differences beside the first result, under which the image is seen
_ON_TOP = 0.9  # and on it, where they are to be told from its labels
_OUTLINE = 2  # pixels

LayerTuple = tuple[Any, dict[str, Any], str]


def make_layers(compared: Compared, image: LayerTuple | None) -> dict[str, Layer]:
    """Make the layers; call it in a worker.

    Parameters
    ----------
    compared
        What was found.
    image
        Data, attributes and type of the image layer; None if it is gone. The copies share its pixels.

    Returns
    -------
    dict
        By place in the stack, from the bottom: copies of the image, the second result, the differences.
    """
    plane, segmentation = compared.job.plane, compared.segmentation
    record = result_metadata(segmentation, plane)
    layers: dict[str, Layer] = {}
    if image is not None:
        values, attributes, kind = image
        for number in (1, 2):
            # With the record of a result, so that the copies are not offered as images to run on.
            own = {"name": f"{plane.name} [{number + 1}]", "metadata": {METADATA_KEY: record}, "visible": True}
            layers[f"image {number}"] = Layer.create(values, {**attributes, **own}, kind)
    outputs: tuple[Output, ...] = ("labels",)
    second = build_layers(layer_data(segmentation, plane, outputs))["labels"]
    second.name = tr("{image} labels of {model}").format(
        image=plane.name, model=tr(compared.job.package.card.display_name)
    )
    layers["second"] = second
    layers["differences"] = _differences(compared, plane)
    return layers


def _differences(compared: Compared, plane: Plane) -> Labels:
    counts = compared.differences.counts
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours.update({int(kind): look.colour for kind, look in KINDS.items()})
    table = {
        "index": [int(kind) for kind in KINDS],
        "difference": [tr(kind.words) for kind in KINDS.values()],
        "places": [counts[kind] for kind in KINDS],
    }
    return Labels(
        plane.placement.expand(compared.differences.kinds),
        name=tr("{image} differences").format(image=plane.name),
        colormap=DirectLabelColormap(color_dict=colours),
        features=table,
        opacity=_OPACITY,
        **plane.placement.transform,
    )


def in_plane(data: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """Return the pixels (..., Y, X) of a layer of a plane's results, with the axes of a stack first; a view."""
    placement = plane.placement
    axes = (*placement.stack_axes, *placement.plane_axes)
    own = data[tuple(slice(None) if axis in axes else 0 for axis in range(data.ndim))]
    return own.transpose([sorted(axes).index(axis) for axis in axes])


class ComparisonLayers:
    """Shows the layers of one comparison at a time.

    napari's grid would give every other layer of the viewer a place of its own, hidden ones too, and stays on for
    all that is opened later. So the layers are moved instead: their pixels are the same, and so is everything else
    in the viewer.

    Parameters
    ----------
    viewer
        Gets the layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = viewer
        self._layers: dict[str, Layer] = {}
        self._step: NDArray[np.float64] | None = None
        self._places: dict[str, NDArray[np.float64]] = {}

    @property
    def differences(self) -> Labels | None:
        """The layer of differences, if it is there."""
        layer = self._layers.get("differences")
        return layer if layer in self._viewer.layers else None

    def own(self, layer: Layer) -> bool:
        """Whether a layer is one of these."""
        return any(unwrapped(layer) is one for one in self._layers.values())

    def show(self, layers: Mapping[str, Layer], plane: Plane, *, beside: bool) -> None:
        """Show layers in place of those of the comparison before."""
        self.remove()
        active = self._viewer.layers.selection.active
        self._layers = dict(layers)
        self._places = {name: np.array(layer.translate) for name, layer in layers.items()}
        self._step = step_aside(plane)
        self._move(beside)
        for layer in layers.values():
            self._viewer.add_layer(layer)
        if active in self._viewer.layers:
            self._viewer.layers.selection.active = active
        if beside:
            self._viewer.reset_view()

    def put_beside(self, beside: bool) -> None:
        """Move the layers beside the image, or back on it, and show all of them."""
        if self._layers:
            self._move(beside)
            self._viewer.reset_view()

    def remove(self) -> None:
        """Take the layers away, but for one that was edited by hand."""
        for layer in self._layers.values():
            if layer in self._viewer.layers and EDITED_KEY not in layer.metadata.get(METADATA_KEY, {}):
                self._viewer.layers.remove(layer)
        self._layers = {}

    def _move(self, beside: bool) -> None:
        steps = {"image 1": 1, "second": 1, "image 2": 2, "differences": 2}
        for name, layer in self._layers.items():
            if self._step is not None:
                layer.translate = self._places[name] + (steps[name] * self._step if beside else 0)
            if name.startswith("image"):
                layer.visible = beside
        # On top of the first result a second one would hide it.
        self._layers["second"].contour = 0 if beside else _OUTLINE
        self._layers["differences"].opacity = _OPACITY if beside else _ON_TOP


def step_aside(plane: Plane) -> NDArray[np.float64]:
    """Return by how much `translate` changes to put a layer to the right of the image of a plane."""
    source = plane.source
    axes = plane.placement.plane_axes
    shape = full_resolution(source).shape
    corners = np.zeros((4, source.ndim))
    corners[:, axes[0]] = [-0.5, -0.5, shape[axes[0]] - 0.5, shape[axes[0]] - 0.5]
    corners[:, axes[1]] = [-0.5, shape[axes[1]] - 0.5, -0.5, shape[axes[1]] - 0.5]
    across = np.array([source.data_to_world(corner) for corner in corners])[:, axes[1]]
    step = np.zeros(source.ndim)
    step[axes[1]] = (1 + _GAP) * (across.max() - across.min())
    # What comes after `translate` turns and stretches it, too.
    after = np.asarray(source.affine.affine_matrix)[: source.ndim, : source.ndim]
    return np.asarray(np.linalg.solve(after, step), np.float64)
