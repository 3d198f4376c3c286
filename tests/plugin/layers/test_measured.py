"""Measurements on their way out are those of the objects as they are then."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.axes import LayerAxes
from napari_unetseg.plugin.layers.exports import contours_of_shapes, table_of_labels
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import plane_at, stack_at
from napari_unetseg.service import SegmentationService

PLANE = LayerAxes(("Y", "X"), ("Y", "X"))


@pytest.fixture
def made(service: SegmentationService, squares: NDArray[np.uint16]) -> dict[Any, Any]:
    plane = plane_at(ImageLayer(squares, scale=(0.5, 0.5), units="um"), {}, PLANE)
    return build_layers(layer_data(service.segment(plane.read()), plane, ("labels", "contours")))


def saved(layer: Labels) -> pd.DataFrame:
    data, meta, _ = layer.as_layer_data_tuple()
    return table_of_labels(data, meta).set_index("label")


def saved_shapes(layer: Shapes) -> pd.DataFrame:
    data, meta, _ = layer.as_layer_data_tuple()
    return pd.DataFrame(dict(contours_of_shapes(data, meta).measurements)).set_index("label")


def test_what_nobody_edited_is_saved_as_it_was_measured(made: dict[Any, Any]) -> None:
    before = made["labels"].features.set_index("index")
    pd.testing.assert_frame_equal(saved(made["labels"]), before, check_names=False)


def test_painted_erased_filled_and_deleted_objects_are_measured_as_they_are(made: dict[Any, Any]) -> None:
    layer, before = made["labels"], made["labels"].features.set_index("index")
    layer.data[4:12, 12:16] = 1  # grows from 64 to 96 pixels
    layer.data[20, 30:36] = 0  # shrinks from 36 to 30
    layer.fill((41, 51), 0)  # is deleted
    layer.data[30:33, 2:7] = 9  # is new
    table = saved(layer)
    assert list(table.index) == [1, 2, 9]
    assert list(table["area_px"]) == [96, 30, 15]
    assert list(table["area_um2"]) == [24, 7.5, 3.75]
    assert list(table["centroid_y_px"]) == [7.5, 23, 31]
    assert list(table["centroid_x_px"]) == [9.5, 32.5, 4]
    assert list(table["bbox_min_y_px"]) == [4, 21, 30]
    # What the network and the image said is not known of what was drawn since.
    assert table[["mean_intensity", "confidence"]].isna().all(axis=None)
    assert before["confidence"].notna().all()


def test_of_merged_objects_one_is_left_and_the_others_keep_theirs(made: dict[Any, Any]) -> None:
    layer, before = made["labels"], made["labels"].features.set_index("index")
    layer.data[layer.data == 3] = 2
    table = saved(layer)
    assert list(table.index) == [1, 2]
    assert table["area_px"][2] == 36 + 16
    assert table["confidence"][1] == before["confidence"][1]
    assert np.isnan(table["confidence"][2])


def test_an_object_that_was_moved_is_measured_where_it_is(made: dict[Any, Any]) -> None:
    layer = made["labels"]
    layer.data[4:12, 4:12], layer.data[4:12, 20:28] = 0, 1
    table = saved(layer)
    assert table["area_px"][1] == 64
    assert table["centroid_x_px"][1] == 23.5
    assert np.isnan(table["mean_intensity"][1])


def test_columns_of_users_stay_with_their_objects(made: dict[Any, Any]) -> None:
    layer = made["labels"]
    layer.features = layer.features.assign(treated=[1, 0, 1])
    layer.data[4:12, 12:16], layer.data[30:33, 2:7] = 1, 9
    assert saved(layer)["treated"].tolist()[:3] == [1, 0, 1]
    assert np.isnan(saved(layer)["treated"][9])


def test_tables_of_others_are_left_alone() -> None:
    layer = Labels(np.eye(4, dtype=int), features={"index": [1], "area": [7.0]})
    assert saved(layer)["area"].tolist() == [7]
    assert table_of_labels(np.eye(4, dtype=int), {}).empty


def test_stacks_are_measured_in_each_plane(service: SegmentationService, squares: NDArray[np.uint16]) -> None:
    image = ImageLayer(np.stack([squares, squares]))
    plane = stack_at(image, {}, LayerAxes(("Z", "Y", "X"), ("Z", "Y", "X")))
    layer = build_layers(layer_data(service.segment(plane.read(), link=True), plane, ("labels",)))["labels"]
    label = int(layer.data[1, 8, 8])
    layer.data = layer.data.copy()
    layer.data[1, 4:12, 12:14] = label
    table = saved(layer).loc[label]
    assert table["z"].tolist() == [0, 1]
    assert table["area_px"].tolist() == [64, 80]
    assert table["confidence"].isna().tolist() == [False, True]


def test_a_table_that_names_no_planes_is_measured_anew() -> None:
    data = np.zeros((2, 6, 6), int)
    data[0, :2, :3], data[1, :4, :3] = 1, 1
    layer = Labels(data, features={"index": [1], "area_px": [6], "confidence": [0.9]})
    table = saved(layer)
    assert table["z"].tolist() == [0, 1]
    assert table["area_px"].tolist() == [6, 12]
    assert "confidence" not in table


def test_outlines_that_nobody_edited_keep_their_numbers(made: dict[Any, Any]) -> None:
    table = saved_shapes(made["contours"])
    assert table["area"].tolist() == [64, 36, 16]
    assert table["confidence"].notna().all()


def test_outlines_that_were_moved_reshaped_drawn_or_deleted(made: dict[Any, Any]) -> None:
    layer = made["contours"]
    one, two, _ = layer.data
    stretched = np.where(one == one.max(axis=0), one + np.array([0, 2]), one)  # from 8 x 8 to 8 x 10
    layer.data = [stretched, two + 1]
    layer.add_polygons(np.array([[30, 2], [30, 7], [33, 7], [33, 2]]) - 0.5)
    layer.features = layer.features.assign(label=[1, 2, 0])
    table = saved_shapes(layer)
    assert list(table.index) == [1, 2, 3]
    assert table["area"].tolist() == [80, 36, 15]
    assert table["confidence"].isna().all()
