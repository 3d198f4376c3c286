"""Labels to contours and back, and measuring again: functions of layers, and entries of menus."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari._app_model import get_app_model
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes

from napari_unetseg import layer_style
from napari_unetseg.errors import UnetsegError
from napari_unetseg.plugin import converting
from napari_unetseg.plugin.converting import (
    contours_from_labels,
    image_of,
    labels_from_contours,
    measured_again,
    reference_layer,
)
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]

PLACED: dict[str, Any] = {
    "scale": (0.5, 0.25),
    "translate": (3, 4),
    "rotate": 30,
    "units": ("um", "um"),
    "axis_labels": ("y", "x"),
}


@given(arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 4)))
@settings(deadline=None, max_examples=15)
def test_labels_come_back_from_their_contours_bit_for_bit(data: Any) -> None:
    layer = Labels(data, **PLACED)
    if not data.any():
        with pytest.raises(UnetsegError, match="no object"):
            contours_from_labels(layer)
        return
    contours = Layer.create(*contours_from_labels(layer))
    again = Layer.create(*labels_from_contours(contours, layer))
    np.testing.assert_array_equal(again.data, data)
    for made in (contours, again):
        assert converting.has_same_transform(made, layer)
        assert made.units == layer.units


def test_stacks_are_converted_and_measured_plane_by_plane() -> None:
    data = np.zeros((3, 20, 24), np.int32)
    data[0, 2:8, 2:8], data[2, 4:14, 10:20] = 1, 2
    layer = Labels(data, axis_labels=("z", "y", "x"))
    contours = Layer.create(*contours_from_labels(layer))
    assert sorted(polygon[0, 0] for polygon in contours.data) == [0, 2]
    again = Layer.create(*labels_from_contours(contours, layer))
    np.testing.assert_array_equal(again.data, data)
    table = measured_again(layer, ImageLayer(data.astype(float)))
    assert table["index"].tolist() == [1, 2]
    assert table["z"].tolist() == [0, 2]
    assert table["mean_intensity"].tolist() == [1, 2]


def test_drawn_areas_become_objects_of_their_own() -> None:
    drawn = Shapes([np.array([[2, 2], [2, 8], [8, 8], [8, 2.0]])], shape_type="rectangle")
    drawn.add_ellipses(np.array([[10, 10], [10, 18], [18, 18], [18, 10.0]]))
    drawn.add_lines(np.array([[0, 0], [20, 20.0]]))
    labels = Layer.create(*labels_from_contours(drawn, ImageLayer(np.zeros((24, 24))))).data
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[5, 5] == 1
    assert labels[14, 14] == 2
    assert (labels == 2).sum() == pytest.approx(np.pi * 16, abs=6)


def test_too_many_contours_are_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_style, "MAX_CONTOURS", 1)
    data = np.zeros((10, 12), np.int32)
    data[1:5, 1:5], data[6:9, 6:9] = 1, 2
    values, _, kind = contours_from_labels(Labels(data))
    assert kind == "labels"
    assert (values > 0).sum() == 12 + 8


def test_measurements_are_those_of_the_labels_as_they_are_now() -> None:
    data = np.zeros((10, 12), np.int32)
    data[1:5, 1:5] = 7
    layer = Labels(data, scale=(0.5, 0.5), units="um")
    image = ImageLayer(np.full((10, 12), 3.0), scale=(0.5, 0.5), units="um")
    assert measured_again(layer, image)["area_px"].tolist() == [16]
    layer.fill((0, 0), 9)
    table = measured_again(layer, image)
    assert table["index"].tolist() == [7, 9]
    assert table["area_px"].tolist() == [16, 104]
    assert table["area_um2"].tolist() == [4, 26]
    assert table["mean_intensity"].tolist() == [3, 3]


def test_the_layer_that_belongs_to_another_is_found() -> None:
    labels = Labels(np.zeros((10, 12), np.int32), name="labels", **PLACED)
    image = ImageLayer(np.zeros((10, 12)), name="image", **PLACED)
    elsewhere = ImageLayer(np.zeros((10, 12)), name="elsewhere")
    contours = Shapes(np.array([[0, 0], [0, 5], [5, 5.0]]), shape_type="polygon", **PLACED)
    assert image_of(labels, [labels, elsewhere, image]) is image
    assert reference_layer(contours, [elsewhere, image, labels]) is labels
    assert reference_layer(contours, [elsewhere, image]) is image
    with pytest.raises(UnetsegError, match="No image"):
        reference_layer(contours, [elsewhere])
    with pytest.raises(UnetsegError, match="No image"):
        image_of(labels, [elsewhere])


def region_of(stack: bool) -> tuple[ImageLayer, Labels]:
    """A flipped image in micrometres, and labels in nanometres of a part of it, or of a part of a plane of a stack."""
    pixels = np.arange(4 * 30 * 40, dtype=float).reshape(4, 30, 40)
    image = ImageLayer(
        pixels if stack else pixels[2], name="image", scale=(2, -0.5, 0.5)[-2 - stack :], units="um", rotate=0
    )
    corner = (2, 5, 7)[-2 - stack :]
    labels = np.zeros((1, 10, 12)[-2 - stack :], np.int32)
    labels[..., 2:5, 3:7] = 4
    placed = {"scale": 1000 * image.scale, "translate": 1000 * np.asarray(image.data_to_world(corner)), "units": "nm"}
    return image, Labels(labels, name="part", **placed)


@pytest.mark.parametrize("stack", [False, True])
def test_a_part_of_an_image_is_measured_in_the_pixels_of_the_image(stack: bool) -> None:
    image, part = region_of(stack)
    elsewhere = ImageLayer(image.data, name="elsewhere")
    assert image_of(part, [elsewhere, part, image]) is image
    table = measured_again(part, image)
    assert table["index"].tolist() == [4]
    assert table[["area_px", "centroid_y_px", "centroid_x_px"]].to_numpy().tolist() == [[12, 8, 11.5]]
    assert table["mean_intensity"].tolist() == [image.data[..., 7:10, 10:14][2 if stack else ...].mean()]
    assert ("z" in table) == stack
    assert not stack or table["z"].tolist() == [2]


@pytest.mark.parametrize("stack", [False, True])
def test_contours_of_a_part_of_an_image_are_drawn_into_the_image(stack: bool) -> None:
    image, part = region_of(stack)
    contours = Layer.create(*contours_from_labels(part))
    assert reference_layer(contours, [image, part]) is part
    assert reference_layer(contours, [image]) is image
    drawn = Layer.create(*labels_from_contours(contours, image))
    assert converting.has_same_transform(drawn, image)
    assert drawn.units == image.units
    expected = np.zeros(image.data.shape, np.int32)
    expected[(2, slice(7, 10), slice(10, 14))[-2 - stack :]] = 4
    np.testing.assert_array_equal(drawn.data, expected)


def test_labels_that_were_moved_away_are_still_of_their_image() -> None:
    record = {"image": "image", "region": [[5, 15], [7, 19]], "plane_size": [30, 40], "layer_axes": ["Y", "X"]}
    labels = Labels(np.ones((10, 12), np.int32), translate=(300, 300), metadata={layer_style.METADATA_KEY: record})
    image = ImageLayer(np.arange(1200.0).reshape(30, 40), name="image")
    assert image_of(labels, [image]) is image
    assert measured_again(labels, image)["mean_intensity"].tolist() == [image.data[5:15, 7:19].mean()]


def test_labels_that_reach_beyond_an_image_do_not_belong_to_it() -> None:
    with pytest.raises(UnetsegError, match="No image"):
        image_of(Labels(np.ones((10, 12), np.int32), translate=(25, 0)), [ImageLayer(np.zeros((30, 40)))])


def run(command: str) -> None:
    get_app_model().commands.execute_command(f"napari-unetseg.{command}").result()


def test_menu_entries_convert_and_measure_any_layer(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    data = np.zeros((20, 24), np.int32)
    data[2:8, 2:8] = 3
    viewer.add_image(np.ones((20, 24)), name="image")
    labels = viewer.add_labels(data, name="mine")
    run("measure_again")
    qtbot.waitUntil(lambda: "area_px" in labels.features, timeout=20_000)
    assert labels.features["area_px"].tolist() == [36]
    run("labels_to_contours")
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=20_000)
    contours = viewer.layers["mine as contours"]
    viewer.layers.selection.active = contours
    run("contours_to_labels")
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)
    np.testing.assert_array_equal(viewer.layers["mine as contours as labels"].data, data)


def test_of_the_last_result_they_bring_the_other_layer_in_line(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Any
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    layers = widget.viewer.layers
    layers["cells labels"].fill((6, 6), 0)
    layers.selection.active = layers["cells labels"]
    run("labels_to_contours")
    settle(widget)
    assert len(layers) == 3
    assert len(layers["cells contours"].data) == 2
    layers.selection.active = layers["cells contours"]
    layers["cells contours"].selected_data = {0}
    layers["cells contours"].remove_selected()
    run("contours_to_labels")
    settle(widget)
    assert layers["cells labels"].data.max() == 1
    assert len(layers["cells labels"].features) == 1


def test_labels_are_measured_on_the_image_they_were_made_of_whatever_it_is_called_now(
    make_widget: MakeWidget, press_run: Step, squares: Any
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    viewer = widget.viewer
    viewer.layers["cells"].name = "nuclei"
    viewer.add_image(squares * 0 + 3, name="cells")
    labels = viewer.layers["cells labels"]
    image = image_of(labels, list(viewer.layers))
    assert image.name == "nuclei"
    assert measured_again(labels, image)["mean_intensity"].tolist() == [1000, 1000, 1000]
    copy = Layer.create(*labels.as_layer_data_tuple())
    copy.translate = (300, 300)
    assert image_of(copy, list(viewer.layers)).name == "nuclei"
    viewer.layers.remove("nuclei")
    assert image_of(labels, list(viewer.layers)).name == "cells"
