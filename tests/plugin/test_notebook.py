"""A viewer that a notebook makes: results are added to it, and the widget docks in it."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg import Image, SegmentationService, layer_style
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.exports import read_axes
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import shown_plane, shown_stack
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.layer_data import OUTPUTS
from napari_unetseg.service import Segmentation


def holed(squares: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Give the largest of the three squares a hole: three objects, four rings."""
    image = squares.copy()
    image[6:9, 6:9] = 0
    return image


def attributes(layer: Layer) -> dict[str, Any]:
    """Return all that a layer is, but for its name."""
    data, arguments, kind = layer.as_layer_data_tuple()
    features = arguments.pop("features").to_dict("list") if kind != "image" else {}
    values = [np.asarray(one).tolist() for one in data] if kind == "shapes" else np.asarray(data).tolist()
    rest = {key: str(value) for key, value in arguments.items() if key != "name"}
    return {"kind": kind, "data": values, "features": features, "contour": getattr(layer, "contour", 0), **rest}


@pytest.mark.parametrize("limit", [5000, 4, 3, 2])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX"])
def test_layers_are_those_of_the_window(
    service: SegmentationService, squares: NDArray[np.uint16], axes: str, limit: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(layer_style, "MAX_CONTOURS", limit)
    pixels = holed(squares)
    if axes != "YX":
        pixels = np.stack([pixels, 0 * pixels])
    viewer = ViewerModel()
    # In a notebook nobody names the axes of a layer: as napari numbers them.
    image = viewer.add_image(pixels, name="cells", scale=(1, 0.5, 0.25)[-len(axes) :], metadata={"axes": axes})
    image.units = ("pixel", "um", "um")[-len(axes) :]
    plane = shown_plane(image, viewer.dims) if axes == "YX" else shown_stack(image, viewer.dims)
    result = service.segment(plane.read(), augment=True, fill_holes=False)
    made = build_layers(layer_data(result, plane, OUTPUTS))
    added = result.add_to(viewer, confidence=True)
    assert [layer.name for layer in added] == [f"cells {output}" for output in made]
    assert len(made) == 4
    for layer, expected in zip(added, made.values(), strict=True):
        assert attributes(layer) == attributes(expected)
    assert isinstance(made["contours"], Shapes) == (limit >= 4)


def test_a_stack_in_a_notebook_knows_its_axes(service: SegmentationService, squares: NDArray[np.uint16]) -> None:
    viewer = ViewerModel()
    for axes, letters in (("TYX", "T"), ("ZYX", "Z"), ("PYX", "Z")):
        (labels,) = service.segment(Image(np.stack([squares] * 2), axes)).add_to(viewer, contours=False)
        assert read_axes(3, labels.as_layer_data_tuple()[1]).letters == letters


def test_a_part_of_an_image_is_added_where_it_lies(service: SegmentationService, squares: NDArray[np.uint16]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(squares, scale=(0.5, 0.25), units="um")
    plane = shown_plane(image, viewer.dims, region=((16, 48), (24, 64)))
    part = Image(squares[16:, 24:], scale=(0.5, 0.25), unit="micrometer", origin=(16, 24))
    result = service.segment(part)
    made = build_layers(layer_data(service.segment(plane.read()), plane, ("labels", "contours")))
    for layer, expected in zip(result.add_to(viewer), made.values(), strict=True):
        np.testing.assert_allclose(layer.data_to_world((0, 0)), expected.data_to_world((0, 0)))
        assert layer.metadata["napari_unetseg"]["region"] == [[16, 48], [24, 64]]
    assert result.measurements["centroid_y_px"].tolist() == [22.5, 41.5]


def test_painting_on_the_labels_changes_no_result(segmentation: Segmentation) -> None:
    labels, _ = segmentation.add_to(ViewerModel())
    before = segmentation.labels.copy()
    labels.fill((6, 6), 0)
    np.testing.assert_array_equal(segmentation.labels, before)


def test_a_result_adds_its_layers(
    make_napari_viewer: Any, service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer(show=False)
    result = service.segment(Image(squares, scale=(0.5, 0.25), unit="micrometer", name="cells"))
    layers = result.add_to(viewer, confidence=True)
    assert [layer.name for layer in viewer.layers] == ["cells confidence", "cells labels", "cells contours"]
    assert layers == list(viewer.layers)
    labels, contours = viewer.layers[1:]
    np.testing.assert_array_equal(labels.data, result.labels)
    assert list(labels.features["index"]) == [1, 2, 3]
    assert len(contours.data) == 3
    for layer in layers:
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
        assert layer.metadata[METADATA_KEY]["model"] == "bright"


def test_a_stack_adds_its_layers(
    make_napari_viewer: Any, service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer(show=False)
    stack = Image(np.stack([squares, squares * 0, squares]), "ZYX", scale=(0.5, 0.5), unit="micrometer", name="cells")
    service.segment(stack).add_to(viewer)
    labels, contours = viewer.layers
    assert labels.data.shape == stack.array.shape
    assert sorted({float(ring[0, 0]) for ring in contours.data}) == [0, 2]


def test_the_steps_of_a_stack_are_those_of_its_layers(
    service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    steps = {"T": (30.0, "second"), "Z": (2.5, "micrometer")}
    stack = Image(np.stack([[squares] * 3] * 2), "TZYX", scale=(0.5, 0.25), unit="nanometer", steps=steps)
    (labels,) = service.segment(stack).add_to(ViewerModel(), contours=False)
    np.testing.assert_array_equal(labels.scale, (30, 2.5, 0.5, 0.25))
    assert [str(unit) for unit in labels.units] == ["second", "micrometer", "nanometer", "nanometer"]


def test_nothing_and_too_much_can_be_added(
    make_napari_viewer: Any, segmentation: Segmentation, service: SegmentationService, monkeypatch: Any
) -> None:
    viewer = make_napari_viewer(show=False)
    service.segment(np.zeros((40, 40), np.uint8)).add_to(viewer)
    assert viewer.layers["image contours"].data == []
    monkeypatch.setattr(layer_style, "MAX_CONTOURS", 2)
    labels, outlines = segmentation.add_to(viewer)
    assert isinstance(labels, Labels)
    assert isinstance(outlines, Labels)
    assert labels.contour == 0
    assert 0 < np.count_nonzero(outlines.data) < np.count_nonzero(labels.data)


def test_the_widget_docks_by_the_name_of_the_plugin(
    make_napari_viewer: Any, qtbot: Any, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net Segmentation")
    assert isinstance(widget, SegmentationWidget)
    viewer.add_image(squares, name="cells")
    assert widget.inputs.image.currentText() == "cells"
