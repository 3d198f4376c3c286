"""What a run is on, without a window."""

import re
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_unetseg.errors import UnetsegError
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes, why_not


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def chosen(choice: RunOn, layer: Any, viewer: ViewerModel) -> list[np.ndarray]:
    return [np.asarray(plane.read().array) for plane in choose_planes(choice, layer, viewer, AxisChoices())]


def reason(choice: RunOn, layer: Any, viewer: ViewerModel) -> str:
    return why_not(choice, layer, viewer, AxisChoices()) or ""


@pytest.mark.parametrize("choice", [choice for choice in RunOn if choice is not RunOn.FOLDER])
def test_nothing_can_be_chosen_without_an_image(choice: RunOn, viewer: ViewerModel) -> None:
    assert "Choose an image" in reason(choice, None, viewer)


def test_folders_need_no_image(viewer: ViewerModel) -> None:
    assert reason(RunOn.FOLDER, None, viewer) == ""


def test_a_plane_is_no_stack(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(1, 6, 8))
    assert "one plane" in reason(RunOn.STACK, layer, viewer)
    np.testing.assert_array_equal(chosen(RunOn.PLANE, layer, viewer)[0], layer.data[0])


def test_a_stack_is_all_of_it(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(5, 6, 8))
    np.testing.assert_array_equal(chosen(RunOn.STACK, layer, viewer)[0], layer.data)


def test_how_axes_were_chosen_to_be_read_decides(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(5, 6, 8))
    axis_choices = AxisChoices()
    axis_choices.choose(layer, ("C", "Y", "X"))
    assert "one plane" in (why_not(RunOn.STACK, layer, viewer, axis_choices) or "")
    axis_choices.choose(layer, ("Y", "X", "T"))
    assert choose_planes(RunOn.PLANE, layer, viewer, axis_choices)[0].read().shape == (5, 6)


def test_the_visible_region_is_what_the_canvas_shows(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(3, 20, 30))
    layer.corner_pixels = np.array([[0, 4, 7], [0, 9, 11]])
    np.testing.assert_array_equal(chosen(RunOn.VISIBLE, layer, viewer)[0], layer.data[1, 4:10, 7:12])


def test_the_visible_region_of_a_pyramid_is_at_full_resolution(viewer: ViewerModel) -> None:
    levels = [numbered(40, 60), numbered(40, 60)[::2, ::2]]
    layer = viewer.add_image(levels, multiscale=True)
    layer._data_level = 1
    layer.corner_pixels = np.array([[2, 3], [9, 14]])
    np.testing.assert_array_equal(chosen(RunOn.VISIBLE, layer, viewer)[0], levels[0][4:19, 6:29])


def test_no_region_is_visible_in_3d_or_of_other_axes(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(5, 6, 8))
    viewer.dims.ndisplay = 3
    assert "3-D" in reason(RunOn.VISIBLE, layer, viewer)
    viewer.dims.ndisplay = 2
    axis_choices = AxisChoices()
    axis_choices.choose(layer, ("Y", "X", "T"))
    assert "other axes" in (why_not(RunOn.VISIBLE, layer, viewer, axis_choices) or "")


def test_a_rectangle_cuts_out_the_pixels_whose_centres_lie_in_it(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(3, 20, 30), scale=(2, 0.5, 0.25), translate=(0, 1, 1))
    corners = [layer.data_to_world((0, y, x))[1:] for y, x in ((3.6, 5.6), (3.6, 10.4), (8.4, 10.4), (8.4, 5.6))]
    viewer.add_shapes([corners], shape_type="rectangle")
    np.testing.assert_array_equal(chosen(RunOn.RECTANGLE, layer, viewer)[0], layer.data[1, 4:9, 6:11])


def test_a_rectangle_that_reaches_beyond_the_image_is_cut(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(20, 30))
    viewer.add_shapes([[[-9, -9], [-9, 4], [4, 4], [4, -9]]], shape_type="rectangle")
    np.testing.assert_array_equal(chosen(RunOn.RECTANGLE, layer, viewer)[0], layer.data[:5, :5])


def test_of_several_rectangles_the_selected_one_counts(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(20, 30))
    assert "Draw" in reason(RunOn.RECTANGLE, layer, viewer)
    box = np.array([[0, 0], [0, 2], [2, 2], [2, 0]])
    shapes = viewer.add_shapes([box, box + 5, box + 100], shape_type="rectangle")
    assert "several" in reason(RunOn.RECTANGLE, layer, viewer)
    shapes.selected_data = {1}
    np.testing.assert_array_equal(chosen(RunOn.RECTANGLE, layer, viewer)[0], layer.data[5:8, 5:8])
    shapes.selected_data = {2}
    assert "outside" in reason(RunOn.RECTANGLE, layer, viewer)


def test_contours_of_earlier_runs_are_no_rectangles(viewer: ViewerModel) -> None:
    layer = viewer.add_image(numbered(20, 30))
    box = np.array([[0, 0], [0, 2], [2, 2], [2, 0]])
    viewer.add_shapes([box], shape_type="rectangle", metadata={METADATA_KEY: {}})
    assert "Draw" in reason(RunOn.RECTANGLE, layer, viewer)


def test_selected_images_are_taken_in_the_order_of_the_list(viewer: ViewerModel) -> None:
    layers = [viewer.add_image(numbered(4, 6) + at) for at in range(3)]
    viewer.add_labels(np.ones((4, 6), int))
    confidence = viewer.add_image(numbered(4, 6), metadata={METADATA_KEY: {}})
    viewer.layers.selection = {layers[0], confidence}
    assert "two or more" in reason(RunOn.SELECTED, layers[1], viewer)
    viewer.layers.selection = set(viewer.layers) - {layers[1]}
    found = chosen(RunOn.SELECTED, layers[1], viewer)
    assert [int(array[0, 0]) for array in found] == [0, 2]


def test_what_does_not_apply_is_refused_in_the_same_words(viewer: ViewerModel) -> None:
    layer = ImageLayer(numbered(6, 8))
    viewer.add_layer(layer)
    with pytest.raises(UnetsegError, match=re.escape(reason(RunOn.STACK, layer, viewer))):
        choose_planes(RunOn.STACK, layer, viewer, AxisChoices())
