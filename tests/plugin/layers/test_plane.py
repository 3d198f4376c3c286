"""Planes of layers, without a window."""

from typing import Any, ClassVar, cast

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.plugin.layers import plane as plane_module
from napari_unetseg.plugin.layers.plane import Plane, shown_plane, shown_stack


def plane_of(layer: ImageLayer, *, step: tuple[int, ...] = (), order: tuple[int, ...] = ()) -> Plane:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    for axis, position in enumerate(step):
        viewer.dims.set_current_step(axis, position)
    if order:
        viewer.dims.order = order
    return shown_plane(layer, viewer.dims)


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def test_a_grey_image_is_read_as_it_is() -> None:
    data = numbered(6, 8)
    image = plane_of(ImageLayer(data, name="cells")).read()
    np.testing.assert_array_equal(image.array, data)
    assert (image.axes, image.rgb, image.name) == ("YX", False, "cells")
    assert (image.scale, image.unit) == (None, None)


def test_colours_are_channels_and_not_an_axis() -> None:
    plane = plane_of(ImageLayer(np.zeros((4, 6, 8, 3), np.uint8), rgb=True), step=(2,))
    image = plane.read()
    assert (image.array.shape, image.axes, image.rgb) == ((6, 8, 3), "YXC", True)
    assert plane.description == "Z 3 of 4 · Y X RGB · uint8 · 6 x 8"
    assert plane.placement.expand(np.zeros((6, 8))).shape == (1, 6, 8)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_the_plane_on_display_is_read_whichever_axes_it_spans(order: tuple[int, ...]) -> None:
    data = numbered(5, 6, 7)
    plane = plane_of(ImageLayer(data), step=(1, 2, 3), order=order)
    hidden, shown = order[0], tuple(sorted(order[1:]))
    assert plane.index == {hidden: hidden + 1}
    image = plane.read()
    np.testing.assert_array_equal(image.array, data.take(hidden + 1, axis=hidden))
    assert plane.placement.plane_axes == shown
    expanded = plane.placement.expand(image.array)
    assert expanded.shape == tuple(1 if axis == hidden else size for axis, size in enumerate(data.shape))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_results_lie_where_their_plane_lies() -> None:
    layer = ImageLayer(
        np.zeros((4, 5, 6, 7)),
        scale=(2, 3, 0.5, 0.25),
        translate=(1, 2, 3, 4),
        rotate=[[1, 0, 0, 0], [0, 0.6, -0.8, 0], [0, 0.8, 0.6, 0], [0, 0, 0, 1]],
        affine=np.diag([1, 2, 1, 1, 1.0]) + np.eye(5, k=1) * 0.1 * np.array([1, 1, 1, 1, 0])[:, None],
        units=("s", "um", "um", "um"),
        axis_labels=("t", "z", "y", "x"),
    )
    plane = plane_of(layer, step=(3, 0))
    result = ImageLayer(plane.placement.expand(np.zeros((6, 7))), **plane.placement.transform)
    offset = [plane.index[0], plane.index[1], 0, 0]
    for point in ([0, 0, 0, 0], [0, 0, 5, 6], [0, 0, 2, 3]):
        np.testing.assert_allclose(result.data_to_world(point), layer.data_to_world(np.add(point, offset)))
    assert result.units == layer.units
    assert result.axis_labels == layer.axis_labels


def test_a_smaller_layer_beside_a_stack_is_read_whole() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((9, 6, 8)))
    layer = viewer.add_image(numbered(6, 8))
    viewer.dims.set_current_step(0, 7)
    assert shown_plane(layer, viewer.dims).index == {}
    assert shown_plane(layer, viewer.dims).read().array.shape == (6, 8)


def test_sliders_beyond_a_layer_give_its_nearest_plane() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((20, 6, 8)))
    layer = viewer.add_image(numbered(5, 6, 8))
    viewer.dims.set_current_step(0, 19)
    assert shown_plane(layer, viewer.dims).index == {0: 4}


def test_multiscale_images_are_read_at_full_resolution() -> None:
    levels = [numbered(3, 8, 12), numbered(3, 8, 12)[:, ::2, ::2]]
    plane = plane_of(ImageLayer(levels, multiscale=True, scale=(1, 0.5, 0.5)), step=(2,))
    np.testing.assert_array_equal(plane.read().array, levels[0][2])
    assert "8 x 12" in plane.description


def test_lazy_images_are_computed_only_when_read_and_only_that_plane() -> None:
    computed: list[Any] = []

    def load(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            computed.append(block_info[0]["chunk-location"])
        return block

    lazy = da.zeros((4, 6, 8), chunks=(1, 6, 8)).map_blocks(load, dtype=float, meta=np.zeros((0, 0, 0)))
    layer = ImageLayer(lazy, contrast_limits=(0, 1))
    computed.clear()
    viewer = ViewerModel()
    plane = shown_plane(layer, viewer.dims.__class__(ndim=3))
    assert computed == []
    plane.read()
    assert computed == [(0, 0, 0)]


@pytest.mark.parametrize(
    ("arguments", "scale", "unit", "words"),
    [
        ({}, None, None, "Y X · 6 x 8 · int32"),
        ({"scale": (2, 2)}, None, None, "Y X · 6 x 8 · int32"),
        ({"scale": (0.32, 0.32), "units": "um"}, (0.32, 0.32), "micrometer", "Y X · 6 x 8 · int32 · 0.32 µm"),
        ({"scale": (2, 1), "units": "nm"}, (2, 1), "nanometer", "Y X · 6 x 8 · int32 · 2 x 1 nm"),
        ({"units": ("um", "nm")}, None, None, "Y X · 6 x 8 · int32"),
        ({"axis_labels": ("row", "c")}, None, None, "Y C · 6 x 8 · int32"),
    ],
)
def test_axes_and_pixel_size_are_told_as_far_as_they_are_known(
    arguments: dict[str, Any], scale: Any, unit: str | None, words: str
) -> None:
    plane = plane_of(ImageLayer(numbered(6, 8), **arguments))
    image = plane.read()
    assert (image.scale, image.unit) == (scale, unit)
    assert plane.description == words
    assert (plane.pixel_area is None) == (scale is None)


def test_the_pixels_are_those_of_the_moment_the_plane_was_taken() -> None:
    layer = ImageLayer(numbered(6, 8))
    plane = plane_of(layer)
    layer.data = np.zeros((6, 8))
    np.testing.assert_array_equal(plane.read().array, numbered(6, 8))


def stack_of(layer: ImageLayer, *step: int) -> Plane:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    for axis, position in enumerate(step):
        viewer.dims.set_current_step(axis, position)
    return shown_stack(layer, viewer.dims)


def test_a_stack_has_all_planes_of_the_channel_on_display() -> None:
    data = numbered(6, 3, 5, 7, 8)
    stack = stack_of(ImageLayer(data, axis_labels=("t", "c", "z", "y", "x")), 4, 1, 2)
    image = stack.read()
    assert (image.axes, image.stack_shape, stack.index) == ("TZYX", (6, 5), {1: 1})
    np.testing.assert_array_equal(image.array, data[:, 1])
    assert stack.description == "T 6 · Z 5 · channel 2 of 3 · Y X · int32 · 7 x 8"
    result = stack.placement.expand(np.asarray(image.array))
    assert result.shape == (6, 1, 5, 7, 8)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_a_stack_runs_along_whichever_axis_is_not_on_display(order: tuple[int, ...]) -> None:
    data = numbered(5, 6, 7)
    viewer = ViewerModel()
    layer = viewer.add_image(data)
    viewer.dims.order = order
    stack = shown_stack(layer, viewer.dims)
    image = stack.read()
    planes = np.stack([plane.array for _, plane in image.planes()])
    np.testing.assert_array_equal(planes, np.moveaxis(data, order[0], 0))
    np.testing.assert_array_equal(stack.placement.expand(planes), data)
    points = stack.placement.vertices(np.array([[2, 3]]), (4,))[0]
    assert [points[axis] for axis in order] == [4, 2, 3]


def test_a_part_of_a_plane_lies_where_it_was_cut_out() -> None:
    data = numbered(4, 6, 8)
    layer = ImageLayer(data, scale=(5, 0.5, 0.25), translate=(1, 2, 3))
    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(0, 3)
    part = shown_plane(layer, viewer.dims, region=((1, 4), (2, 7)))
    np.testing.assert_array_equal(part.read().array, data[3, 1:4, 2:7])
    result = ImageLayer(part.placement.expand(np.zeros((3, 5))), **part.placement.transform)
    np.testing.assert_allclose(result.data_to_world((0, 1, 1)), layer.data_to_world((3, 2, 3)))


def test_a_zarr_stack_is_read_plane_by_plane() -> None:
    class Slow:
        """Reads whatever it is indexed with, as a zarr array does."""

        shape, ndim, dtype, size, chunks = (4, 3, 6, 8), 4, np.dtype(np.uint16), 576, (1, 1, 6, 8)
        read: ClassVar[list[Any]] = []

        def __getitem__(self, key: Any) -> np.ndarray:
            self.read.append(key)
            return np.zeros(self.shape, self.dtype)[key]

    layer = ImageLayer(Slow(), contrast_limits=(0, 1), rgb=False, axis_labels=("z", "c", "y", "x"))
    image = stack_of(layer).read()
    Slow.read.clear()
    assert np.asarray(image.plane((2,)).array).shape == (6, 8)
    assert len(Slow.read) == 1
    first, channel = (range(length)[at] for length, at in zip(Slow.shape, Slow.read[0][:2], strict=False))
    assert (list(np.atleast_1d(first)), list(np.atleast_1d(channel))) == ([2], [1])


def test_a_tile_of_a_large_layer_reads_the_chunks_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_module, "READ_AT_ONCE", 100)
    read = []

    def load(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            read.append(block_info[0]["chunk-location"])
        return block

    pixels = da.from_array(numbered(40, 40), chunks=10).map_blocks(
        load, dtype=np.int32, meta=np.zeros((0, 0), np.int32)
    )
    array = plane_of(ImageLayer(pixels, contrast_limits=(0, 1))).read().array
    read.clear()
    np.testing.assert_array_equal(np.asarray(array[12:18, 8:12]), numbered(40, 40)[12:18, 8:12])
    assert sorted(read) == [(1, 0), (1, 1)]
    assert cast("LazyArray", array).chunks == (10, 10)


@pytest.mark.parametrize(("limit", "lazy"), [(4 * 6 * 8 * 3, False), (4 * 6 * 8 * 3 - 1, True)])
def test_a_plane_too_large_to_be_read_at_once_stays_where_it_is(
    limit: int, lazy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "READ_AT_ONCE", limit)
    colours = da.from_array(numbered(2, 6, 8, 3))
    image = plane_of(ImageLayer(colours, rgb=True, contrast_limits=(0, 1)), step=(1,)).read()
    assert isinstance(image.array, LazyArray) == lazy
    np.testing.assert_array_equal(np.asarray(image.array), numbered(2, 6, 8, 3)[1])


def test_a_multiscale_stack_is_read_at_full_resolution() -> None:
    levels = [numbered(3, 8, 12), numbered(3, 8, 12)[:, ::2, ::2]]
    image = stack_of(ImageLayer(levels, multiscale=True, axis_labels=("z", "y", "x"))).read()
    np.testing.assert_array_equal(image.plane((1,)).array, levels[0][1])
