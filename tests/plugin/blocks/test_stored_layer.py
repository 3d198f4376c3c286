"""A label image on disk has the dimensions of its image's layer, and is read where it is looked at."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.blocks.stored_layer import PlacedLevel, Redrawing, is_stored, make_layer
from napari_unetseg.postprocessing.layer_data import Placement


class Recorded:
    """An array that notes what is read of it."""

    def __init__(self, pixels: Any) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.boxes: list[Any] = []
        self.on_read: Callable[[], None] = lambda: None

    def __getitem__(self, box: Any) -> Any:
        self.boxes.append(box)
        self.on_read()
        return self.pixels[box]


@pytest.mark.parametrize(
    ("axes", "layer_axes", "ndim"),
    [
        ("YX", [1, 2], 3),
        ("ZYX", [0, 2, 3], 4),
        ("ZYX", [2, 0, 1], 3),
        ("TZYX", [None, 1, 2, 3], 4),
        ("ZYX", [None, 0, 2], 3),
    ],
)
@pytest.mark.parametrize("key", ["all", "plane", "box"])
def test_a_level_is_read_as_if_it_had_the_axes_of_the_layer(
    axes: str, layer_axes: list[int | None], ndim: int, key: str
) -> None:
    lengths: dict[int | None, int] = {None: 1} | {axis: 4 + axis for axis in range(5)}
    shape = tuple(lengths[axis] for axis in layer_axes)
    pixels = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    own = [axis for axis in layer_axes if axis is not None]
    squeezed = pixels[tuple(0 if axis is None else slice(None) for axis in layer_axes)]
    # Moved axis by axis, another way than the code does it.
    expected = np.zeros([lengths[axis] if axis in own else 1 for axis in range(ndim)], np.int32)
    for place in np.ndindex(expected.shape):
        expected[place] = squeezed[tuple(place[axis] for axis in own)]
    source: Any = Recorded(pixels)
    level = PlacedLevel(source, layer_axes, ndim)
    assert (level.shape, level.ndim, level.dtype) == (expected.shape, ndim, np.dtype(np.int32))
    wanted: Any = {
        "all": ...,
        "plane": (0, ...),
        "box": tuple(slice(1, 3) if length > 1 else slice(None) for length in expected.shape),
    }[key]
    np.testing.assert_array_equal(level[wanted], expected[wanted])
    read = squeezed[...] if key == "all" else source.pixels[source.boxes[-1]]
    assert read.size == expected[wanted].size


def test_the_layer_lies_where_its_image_lies_and_is_known_to_be_on_disk() -> None:
    levels = [np.zeros((2, 64, 48), np.int32), np.zeros((2, 32, 24), np.int32)]
    transform = {"scale": np.array([1, 3.0, 0.5, 0.5]), "translate": np.array([0, 1.0, 2, 3])}
    sources: list[Any] = [Recorded(level) for level in levels]
    layer = make_layer(sources, "ZYX", "ZYX", Placement(4, (2, 3), transform, (1,)), "cells labels")
    assert layer.multiscale
    assert [tuple(level.shape) for level in layer.data] == [(1, 2, 64, 48), (1, 2, 32, 24)]
    np.testing.assert_array_equal(layer.scale, transform["scale"])
    np.testing.assert_array_equal(layer.downsample_factors, [[1, 1, 1, 1], [1, 1, 2, 2]])
    assert is_stored(layer)


def test_labels_in_memory_and_those_of_others_are_not_on_disk() -> None:
    pixels = np.zeros((8, 8), np.int32)
    assert not is_stored(Labels(pixels, metadata={METADATA_KEY: {}}))
    assert not is_stored(Labels(Recorded(pixels).pixels))
    assert not is_stored(None)


def test_what_is_requested_while_it_waits_is_read_in_a_worker_and_drawn_once(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[Any] = [Recorded(np.zeros((32, 32), np.int32)), Recorded(np.zeros((16, 16), np.int32))]
    layer = make_layer(levels, "YX", "YX", Placement(2, (0, 1), {}), "labels")
    shown = layer.data[0]
    before = shown[2:4, :]
    readers: list[threading.Thread] = []
    drawn: list[Any] = []
    monkeypatch.setattr(levels[0], "on_read", lambda: readers.append(threading.current_thread()))
    monkeypatch.setattr(layer, "refresh", lambda **_: drawn.append(shown[2:4, :]))
    levels[0].pixels = levels[0].pixels + 7
    drawing = Redrawing(layer)
    for _ in range(5):
        drawing.request()
    qtbot.waitUntil(lambda: not drawing.busy)
    (now,) = drawn
    assert not before.any()
    assert (now == 7).all()
    assert readers
    assert threading.main_thread() not in readers


def test_what_was_read_ahead_is_had_at_once_and_read_again_after_a_change() -> None:
    source: Any = Recorded(np.zeros((32, 32), np.int32))
    level = PlacedLevel(source, [0, 1], 2)
    level[0, :]
    level.read_ahead()
    source.boxes.clear()
    level[0, :]
    assert source.boxes == []
    source.pixels = source.pixels + 7
    assert (level[1, :] == 7).all()
    level.read_ahead()
    assert (level[0, :] == 7).all()


def test_the_viewer_cannot_paint_into_the_file() -> None:
    pixels = np.zeros((32, 32), np.int32)
    layer = make_layer([pixels], "YX", "YX", Placement(2, (0, 1), {}), "labels")
    assert not layer.multiscale
    assert not layer.editable
    with pytest.raises(TypeError):
        layer.data[0, 0] = 1
    assert not pixels.any()


def test_a_new_label_image_is_not_read_before_a_block_came_in() -> None:
    source: Any = Recorded(np.full((32, 32), 7, np.int32))
    level = PlacedLevel(source, [1, 2], 3, empty=True)
    shown = level[0, 2:5]
    assert shown.shape == (3, 32)
    assert not shown.any()
    assert source.boxes == []
    level.read_ahead()
    assert (level[0, 2:5] == 7).all()


def test_zoomed_out_to_the_smallest_level_a_viewer_shows_what_came_in_later(qtbot: Any) -> None:
    levels: list[Any] = [Recorded(np.zeros((side, side), np.int32)) for side in (512, 256, 128)]
    layer = make_layer(levels, "YX", "YX", Placement(2, (0, 1), {}), "labels", empty=True)
    ViewerModel().add_layer(layer)
    assert layer.data_level == 2
    before = layer.thumbnail[..., :3].max()
    for level in levels:
        level.pixels[:] = 7
    drawing = Redrawing(layer)
    drawing.request()
    qtbot.waitUntil(lambda: not drawing.busy)
    assert before == 0
    assert layer.thumbnail[..., :3].max() > 0
    assert (np.asarray(layer._slice.image.raw) == 7).all()


@pytest.mark.parametrize("torn", [1, 6])
def test_a_block_that_is_written_while_it_is_read_is_read_again(torn: int) -> None:
    source = Recorded(np.full((4, 4), 3, np.int32))

    def tear() -> None:
        if len(source.boxes) <= torn:
            raise RuntimeError("these bytes are of two shards")

    source.on_read = tear
    level = PlacedLevel(source, [0, 1], 2)
    if torn == 1:
        assert (level[0:2, 0:2] == 3).all()
    else:  # they are damaged
        with pytest.raises(RuntimeError, match="two shards"):
            level[0:2, 0:2]
