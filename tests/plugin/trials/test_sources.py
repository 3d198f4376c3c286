"""What Try all tries: channels of an axis, or layers that are channels of one image."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_unetseg.image import TRIAL_SIDE
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.axes import guess
from napari_unetseg.plugin.layers.plane import Region, shown_axes, shown_plane
from napari_unetseg.plugin.trials.sources import ChannelSource, is_source, sources_of


def sources(viewer: ViewerModel, layer: ImageLayer, region: Region | None = None) -> list[ChannelSource]:
    layer_axes = guess(layer, shown_axes(layer, viewer.dims))
    return sources_of(shown_plane(layer, viewer.dims, layer_axes, region), layer_axes, viewer.layers)


def test_each_channel_of_an_axis_at_the_place_of_the_sliders() -> None:
    pixels = np.arange(5 * 3 * 20 * 30).reshape(5, 3, 20, 30)
    viewer = ViewerModel()
    layer = viewer.add_image(pixels, axis_labels=("z", "c", "y", "x"))
    viewer.dims.set_current_step(0, 4)
    viewer.dims.set_current_step(1, 1)
    found = sources(viewer, layer)
    assert [(one.name, one.place) for one in found] == [("channel 1", 0), ("channel 2", 1), ("channel 3", 2)]
    for place, one in enumerate(found):
        np.testing.assert_array_equal(one.read().array, pixels[4, place])
    plane = shown_plane(layer, viewer.dims)
    assert [is_source(one, plane) for one in found] == [False, True, False]


def test_channels_behind_the_plane_are_read_as_well() -> None:
    pixels = np.arange(20 * 30 * 2).reshape(20, 30, 2)
    viewer = ViewerModel()
    layer = viewer.add_image(pixels, axis_labels=("y", "x", "c"))
    viewer.dims.order = (2, 0, 1)
    found = sources(viewer, layer)
    assert [one.place for one in found] == [0, 1]
    np.testing.assert_array_equal(found[1].read().array, pixels[..., 1])


@pytest.mark.parametrize("rgb", [True, False])
def test_a_picture_and_a_grey_image_are_tried_as_they_are(rgb: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, *[3] * rgb), np.uint8)
    viewer = ViewerModel()
    (one,) = sources(viewer, viewer.add_image(pixels, rgb=rgb))
    assert (one.name, one.axis, one.place) == ("", None, None)
    assert one.read().rgb is rgb
    np.testing.assert_array_equal(one.read().array, pixels)


def test_layers_of_one_shape_at_one_place_are_channels_of_one_image() -> None:
    viewer = ViewerModel()
    first = viewer.add_image(np.zeros((20, 30)), name="dapi", scale=(2, 2))
    viewer.add_image(np.ones((20, 30)), name="gfp", scale=(2, 2))
    viewer.add_image(np.zeros((20, 30)), name="elsewhere", scale=(2, 2), translate=(5, 0))
    viewer.add_image(np.zeros((20, 31)), name="larger", scale=(2, 2))
    viewer.add_image(np.zeros((20, 30)), name="a result", scale=(2, 2), metadata={METADATA_KEY: {}})
    viewer.add_image(np.zeros((20, 30, 3), np.uint8), name="picture", scale=(2, 2))
    viewer.add_labels(np.zeros((20, 30), int), name="labels", scale=(2, 2))
    found = sources(viewer, first)
    assert [one.name for one in found] == ["dapi", "gfp"]
    assert [float(one.read().array.mean()) for one in found] == [0, 1]


def test_the_middle_of_a_large_image_or_of_the_region_is_read_and_nothing_else() -> None:
    read: list[Any] = []

    class Watched:
        shape, ndim, dtype = (4000, 3000), 2, np.dtype(np.uint8)

        def __getitem__(self, key: Any) -> Any:
            read.append(key)
            return np.zeros([len(range(length)[at]) for at, length in zip(key, self.shape, strict=True)], np.uint8)

        def __array__(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("all of it is read")

    layer = ImageLayer(Watched(), contrast_limits=(0, 1), multiscale=False)
    viewer = ViewerModel()
    viewer.add_layer(layer)
    read.clear()
    (whole,) = sources(viewer, layer)
    (part,) = sources(viewer, layer, ((100, 300), (0, 2000)))
    assert whole.region == ((1744, 2256), (1244, 1756))
    assert part.region == ((100, 300), (1000 - TRIAL_SIDE // 2, 1000 + TRIAL_SIDE // 2))
    assert part.read().shape == (200, TRIAL_SIDE)
    assert read == [(slice(100, 300), slice(744, 1256))]


def test_full_resolution_of_a_pyramid_is_tried() -> None:
    viewer = ViewerModel()
    pixels = np.arange(80 * 60).reshape(80, 60)
    (one,) = sources(viewer, viewer.add_image([pixels, pixels[::2, ::2]], multiscale=True))
    np.testing.assert_array_equal(one.read().array, pixels)
