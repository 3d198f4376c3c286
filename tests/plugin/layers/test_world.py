"""Between pixels and the world: what a viewer shows is what is found, in whatever units, directions and dimensions."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.plane import shown_plane
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes
from napari_unetseg.plugin.layers.world import (
    axes_on_canvas,
    is_converted,
    layer_place,
    pixel_offset,
    world_place,
)

NANOMETRES = {"nm": 1, "um": 1e3, "mm": 1e6}
units = st.sampled_from(list(NANOMETRES))
signs = st.sampled_from([1, -1])
angles = st.floats(0, 360).map(lambda angle: round(angle, 2))


@st.composite
def placed_stacks(draw: Any) -> ImageLayer:
    """A numbered stack of 5 planes of 12 x 16 pixels, turned in its plane, flipped and moved, some nanometres large."""
    unit = draw(units)
    sizes = [draw(signs) * draw(st.floats(0.5, 4)) / NANOMETRES[unit] for _ in range(3)]
    turn = np.deg2rad(draw(angles))
    rotate = np.eye(3)
    rotate[1:, 1:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    places = [draw(st.floats(-20, 20)) / NANOMETRES[unit] for _ in range(3)]
    data = np.arange(5 * 12 * 16, dtype=np.int32).reshape(5, 12, 16)
    return ImageLayer(data, scale=sizes, translate=places, rotate=rotate, units=unit)


def canvas_points(layer: ImageLayer, pixels: np.ndarray) -> np.ndarray:
    """Where pixels (N, 3) of a layer lie in nanometres, by napari's own transform of the layer."""
    length = NANOMETRES[{"nanometer": "nm", "micrometer": "um", "millimeter": "mm"}[str(layer.units[0])]]
    return np.array([np.asarray(layer.data_to_world(pixel)) * length for pixel in pixels])


@given(first=placed_stacks(), second=placed_stacks(), step=st.integers(0, 40))
@settings(deadline=None, max_examples=25)
def test_the_plane_on_display_is_the_one_that_is_segmented(first: ImageLayer, second: ImageLayer, step: int) -> None:
    viewer = ViewerModel()
    for layer in (first, second):
        viewer.add_layer(layer)
    viewer.dims.set_current_step(0, step % viewer.dims.nsteps[0])
    for layer in (first, second):
        if not layer._slice.empty:
            shown = np.asarray(layer._slice.image.raw)
            np.testing.assert_array_equal(shown_plane(layer, viewer.dims).read().array, shown)


@given(image=placed_stacks(), data=st.data())
@settings(deadline=None, max_examples=10)
def test_a_rectangle_cuts_out_what_it_covers_on_the_canvas(image: ImageLayer, data: Any) -> None:
    rows = sorted(data.draw(st.tuples(st.integers(0, 11), st.integers(0, 11))))
    columns = sorted(data.draw(st.tuples(st.integers(0, 15), st.integers(0, 15))))
    viewer = ViewerModel()
    viewer.add_layer(image)
    viewer.add_image(np.zeros((5, 12, 16)), units="nm", scale=(1, 1, 1))
    # Round the pixels, a little wider than their centres, and drawn in another unit than the image has.
    (top, bottom), (left, right) = ((low - 0.2, high + 0.2) for low, high in (rows, columns))
    corners = np.array([(0, top, left), (0, top, right), (0, bottom, right), (0, bottom, left)])
    places = canvas_points(image, corners)[:, 1:]
    unit = data.draw(units)
    viewer.add_shapes([places / NANOMETRES[unit]], shape_type="rectangle", units=(unit, unit))
    (plane,) = choose_planes(RunOn.RECTANGLE, image, viewer, AxisChoices())
    assert plane.region is not None
    assert plane.region == ((rows[0], rows[1] + 1), (columns[0], columns[1] + 1))


@pytest.mark.parametrize("multiscale", [False, True])
def test_the_visible_region_is_right_where_napari_converts_units(multiscale: bool) -> None:
    data = np.arange(40 * 60).reshape(40, 60)
    viewer = ViewerModel()
    image = viewer.add_image(
        [data, data[::2, ::2]] if multiscale else data,
        multiscale=multiscale,
        scale=(-0.5, 0.25),
        translate=(10, 0),
        units="um",
    )
    viewer.add_image(np.zeros((40, 60)), units="nm")
    assert is_converted(image, viewer.dims)
    # Rows 8 to 12 and columns 20 to 28: the world runs against the rows.
    camera = getattr(viewer, "scene", viewer).camera
    camera.center = (0, *(1000 * np.asarray(image.data_to_world((10, 24)))))
    viewer.canvas.size = (200, 200)
    camera.zoom = 200 / 2000
    (plane,) = choose_planes(RunOn.VISIBLE, image, viewer, AxisChoices())
    assert plane.region == ((8, 13), (20, 29))
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.shape = (1, 2)
    (plane,) = choose_planes(RunOn.VISIBLE, image, viewer, AxisChoices())
    assert plane.region == ((8, 13), (22, 27))


def test_there_and_back_through_the_world_of_a_viewer() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5, 12, 16)), scale=(2, -0.5, 0.25), translate=(1, 2, 3), units="um")
    viewer.add_image(np.zeros((4, 5, 12, 16)), units=("s", "nm", "nm", "nm"))
    np.testing.assert_allclose(world_place(image, (1, 2, 4), viewer.dims), (3000, 1000, 4000))
    np.testing.assert_allclose(layer_place(image, (7, 3000, 1000, 4000), viewer.dims), (1, 2, 4))


def test_pixels_and_micrometres_are_not_converted() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((12, 16)), scale=(0.5, 0.25), units="um")
    viewer.add_image(np.zeros((12, 16)))
    np.testing.assert_allclose(world_place(image, (2, 4), viewer.dims), (1, 1))
    assert not is_converted(image, viewer.dims)


@pytest.mark.parametrize("ndim", [2, 3, 4])
def test_axes_on_the_canvas_are_those_that_napari_shows(ndim: int) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 3, 4, 5)))
    layer = viewer.add_image(np.zeros((2, 3, 4, 5)[-ndim:]))
    for order in permutations(range(4)):
        viewer.dims.order = order
        assert list(axes_on_canvas(layer, viewer.dims)) == layer._slice_input.displayed


def test_a_part_of_an_image_has_an_offset_in_it_in_any_unit() -> None:
    turn = {"rotate": 30, "axis_labels": ("y", "x")}
    image = ImageLayer(np.zeros((30, 40)), scale=(-0.5, 0.25), translate=(3, 4), units="um", **turn)
    corner = 1000 * np.asarray(image.data_to_world((7, 11)))
    part = Labels(np.zeros((5, 6), int), scale=(-500, 250), translate=corner, units="nm", **turn)
    assert pixel_offset(part, image) == (7, 11)
    assert pixel_offset(image, part) == (-7, -11)
    assert pixel_offset(image, image) == (0, 0)
    for change in ({"scale": (-500, 251)}, {"scale": (500, 250)}, {"translate": corner + 100}, {"units": "s"}):
        arguments = {"scale": (-500, 250), "translate": corner, "units": "nm", **turn, **change}
        assert pixel_offset(Labels(np.zeros((5, 6), int), **arguments), image) is None
    assert pixel_offset(Labels(np.zeros((2, 5, 6), int)), image) is None
