from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.learning.labelled_planes import labelled_planes
from napari_unetseg.plugin.learning.regions import (
    KIND,
    MarkedRegion,
    RegionKind,
    annotated,
    draw_region,
    marked_regions,
    region_layer,
)
from napari_unetseg.plugin.learning.training_request import Lesson, preview_part


def square(kind: RegionKind, top: float, left: float, side: float) -> MarkedRegion:
    corners = np.array([(top, left), (top, left + side), (top + side, left + side), (top + side, left)])
    return MarkedRegion(kind, corners)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(Image(np.arange(64 * 48, dtype=np.uint16).reshape(64, 48), name="cells"))
    viewer.add_layer(Labels(np.ones((64, 48), np.int32), name="truth"))
    return viewer


def test_only_corrected_regions_are_annotated_where_there_are_some() -> None:
    inside = annotated([square(RegionKind.CORRECTED, 1.5, 1.5, 4)], (10, 10), (0, 0))
    expected = np.zeros((10, 10), bool)
    expected[2:6, 2:6] = True
    np.testing.assert_array_equal(inside, expected)


def test_what_is_excluded_is_taken_off_whatever_was_drawn_first() -> None:
    regions = [square(RegionKind.NOT_ANNOTATED, 1.5, 1.5, 4), square(RegionKind.CORRECTED, -0.5, -0.5, 20)]
    inside = annotated(regions, (10, 10), (0, 0))
    assert inside.sum() == 100 - 16
    assert not inside[2:6, 2:6].any()


def test_without_a_corrected_region_all_but_what_is_excluded_is_annotated() -> None:
    assert annotated([square(RegionKind.NOT_ANNOTATED, 1.5, 1.5, 4)], (10, 10), (0, 0)).sum() == 100 - 16


def test_a_part_counts_from_its_own_first_pixel() -> None:
    inside = annotated([square(RegionKind.CORRECTED, 4.5, 4.5, 2)], (4, 4), (4, 4))
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(inside, expected)


def test_drawing_makes_one_layer_that_knows_the_kind_of_each_shape(viewer: ViewerModel) -> None:
    layer = draw_region(viewer, viewer.layers["truth"], RegionKind.CORRECTED)
    layer.add_rectangles([[2, 2], [10, 10]])
    assert draw_region(viewer, viewer.layers["truth"], RegionKind.NOT_ANNOTATED) is layer
    layer.add_rectangles([[4, 4], [6, 6]])
    assert list(layer.features[KIND]) == ["corrected", "not annotated"]
    assert layer.mode == "add_rectangle"
    assert viewer.layers.selection.active is layer
    assert not np.allclose(layer.edge_color[0], layer.edge_color[1])


def test_a_layer_of_another_use_is_left_alone(viewer: ViewerModel) -> None:
    viewer.add_layer(Shapes([np.array([[0, 0], [5, 5]])], shape_type="line"))
    assert region_layer(viewer) is None


def test_regions_are_found_in_pixels_of_labels_that_lie_elsewhere_in_the_world() -> None:
    viewer = ViewerModel()
    place: dict[str, Any] = {"scale": (0.5, 0.5), "translate": (10, 20)}
    viewer.add_layer(Image(np.zeros((40, 40)), name="cells", **place))
    viewer.add_layer(Labels(np.zeros((40, 40), int), name="truth", **place))
    layer = draw_region(viewer, None, RegionKind.CORRECTED)
    layer.add_rectangles([[12, 22], [15, 25]])
    (plane,) = labelled_planes(viewer)
    (region,) = marked_regions(viewer, [plane])[plane]
    assert region.box(plane.size) == ((4, 11), (4, 11))


def test_a_region_beside_the_labels_is_none_of_theirs(viewer: ViewerModel) -> None:
    layer = draw_region(viewer, viewer.layers["truth"], RegionKind.CORRECTED)
    layer.add_rectangles([[100, 100], [120, 120]])
    assert not marked_regions(viewer, labelled_planes(viewer))


def test_a_lesson_has_the_image_and_minus_one_outside_of_its_regions(viewer: ViewerModel) -> None:
    layer = draw_region(viewer, viewer.layers["truth"], RegionKind.CORRECTED)
    layer.add_rectangles([[9.5, 9.5], [19.5, 19.5]])
    (plane,) = labelled_planes(viewer)
    read = Lesson(plane, tuple(marked_regions(viewer, [plane])[plane])).read()
    np.testing.assert_array_equal(read.image.array, viewer.layers["cells"].data)
    assert set(np.unique(read.labels)) == {-1, 1}
    assert (read.labels == 1).sum() == 100


def test_of_a_large_image_only_what_is_around_the_regions_is_read() -> None:
    viewer = ViewerModel()
    pixels = np.zeros((3000, 3000), np.uint8)
    pixels[1500, 1500] = 7
    viewer.add_layer(Image(pixels, name="slide"))
    viewer.add_layer(Labels(np.zeros((3000, 3000), np.int32), name="truth"))
    layer = draw_region(viewer, viewer.layers["truth"], RegionKind.CORRECTED)
    layer.add_rectangles([[1400, 1400], [1600, 1600]])
    (plane,) = labelled_planes(viewer)
    read = Lesson(plane, tuple(marked_regions(viewer, [plane])[plane])).read()
    assert read.labels.shape == (713, 713)
    assert read.image.origin == (1144, 1144)
    assert read.image.array[1500 - 1144, 1500 - 1144] == 7
    assert (read.labels == 0).sum() == 201 * 201


def test_labels_of_a_stack_are_those_of_the_plane_on_display() -> None:
    viewer = ViewerModel()
    stack = np.arange(5 * 8 * 8, dtype=np.uint16).reshape(5, 8, 8)
    viewer.add_layer(Image(stack, name="stack", axis_labels=("z", "y", "x")))
    labels = np.zeros((5, 8, 8), np.int32)
    labels[3] = 4
    viewer.add_layer(Labels(labels, name="truth", axis_labels=("z", "y", "x")))
    viewer.dims.set_current_step(0, 3)
    (plane,) = labelled_planes(viewer)
    read = Lesson(plane).read()
    np.testing.assert_array_equal(read.image.array, stack[3])
    assert (read.labels == 4).all()
    assert plane.name == "stack Z 4"


def test_labels_of_a_region_lie_on_that_part_of_the_image(viewer: ViewerModel) -> None:
    viewer.layers.remove("truth")
    viewer.add_layer(Labels(np.ones((10, 12), np.int32), name="part", translate=(20, 30)))
    (plane,) = labelled_planes(viewer)
    np.testing.assert_array_equal(plane.read_image().array, viewer.layers["cells"].data[20:30, 30:42])


def test_the_channel_that_was_segmented_is_learnt_from() -> None:
    viewer = ViewerModel()
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 1] = 9
    viewer.add_layer(Image(pixels, name="colours", rgb=True))
    record = {METADATA_KEY: {"image": "colours", "channel": 1}}
    layer = Labels(np.ones((8, 8), np.int32), metadata=record, features={"index": [0, 1]})
    viewer.add_layer(layer)
    (plane,) = labelled_planes(viewer)
    assert plane.read_image().axes == "YX"
    assert (plane.read_image().array == 9).all()


@pytest.mark.parametrize(
    "labels",
    [
        Labels(np.ones((64, 47), np.int32), translate=(0, 5)),
        Labels(np.ones((64, 48), np.int32), scale=(2, 2)),
        Labels(np.ones((2, 64, 48), np.int32)),
        Labels([np.ones((64, 48), np.int32), np.ones((32, 24), np.int32)], multiscale=True),
        Labels(np.ones((64, 48), np.int32), metadata={METADATA_KEY: {"image": "cells"}}),
    ],
    ids=["beyond the image", "other pixels", "other axes", "several resolutions", "outlines"],
)
def test_labels_that_belong_to_no_pixels_of_an_image_are_not_offered(viewer: ViewerModel, labels: Labels) -> None:
    viewer.layers.remove("truth")
    viewer.add_layer(labels)
    assert labelled_planes(viewer) == []


def test_the_preview_of_a_large_image_is_a_part_around_what_is_corrected() -> None:
    viewer = ViewerModel()
    viewer.add_layer(Image(np.zeros((3000, 500), np.uint8)))
    viewer.add_layer(Labels(np.zeros((3000, 500), np.int32)))
    (plane,) = labelled_planes(viewer)
    assert preview_part(plane, (100, 250)) == ((0, 1024), (0, 500))
    assert preview_part(plane, (1500, 250)) == ((988, 2012), (0, 500))
    assert preview_part(plane, (2990, 250)) == ((1976, 3000), (0, 500))
