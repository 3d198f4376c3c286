"""Arrays that are read where somebody needs them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unetseg import lazy_array
from napari_unetseg.image import Image
from napari_unetseg.lazy_array import LazyArray

SOURCE = np.arange(7 * 11 * 13, dtype=np.int32).reshape(7, 11, 13)


class Reader:
    """Reads a source, and keeps which boxes of it were asked for."""

    def __init__(self, source: NDArray[Any] = SOURCE) -> None:
        self.source = source
        self.boxes: list[tuple[slice, ...]] = []

    def __call__(self, box: tuple[slice, ...]) -> NDArray[Any]:
        assert all(side.step in (None, 1) and 0 <= side.start < side.stop for side in box)
        self.boxes.append(box)
        return self.source[box]

    def array(self, chunks: tuple[int, ...] | None = None) -> Any:
        return LazyArray(self, self.source.shape, self.source.dtype, chunks)


def a_part(length: int) -> st.SearchStrategy[Any]:
    bound = st.none() | st.integers(-length - 2, length + 2)
    steps = st.none() | st.integers(-5, 5).filter(bool)
    return st.builds(slice, bound, bound, steps) | st.integers(-length, length - 1)


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    parts: list[Any] = [draw(a_part(length)) for length in shape[: draw(st.integers(0, len(shape)))]]
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_whatever_is_taken_of_it_is_what_numpy_takes(data: st.DataObject) -> None:
    lazy, eager = Reader().array((3, 4, 5)), SOURCE
    for _ in range(data.draw(st.integers(1, 3))):
        if eager.ndim and min(eager.shape):
            key = data.draw(keys(eager.shape))
            lazy, eager = lazy[key], np.asarray(eager[key])
        order = data.draw(st.permutations(range(eager.ndim)))
        lazy, eager = lazy.transpose(order), eager.transpose(order)
    assert (lazy.shape, lazy.ndim, lazy.size) == (eager.shape, eager.ndim, eager.size)
    np.testing.assert_array_equal(np.asarray(lazy), eager)


def test_only_the_box_that_is_needed_is_read() -> None:
    reader = Reader()
    np.testing.assert_array_equal(np.asarray(reader.array()[2, ::-1, 3:9][4:6]), SOURCE[2, ::-1, 3:9][4:6])
    assert reader.boxes == [(slice(2, 3), slice(5, 7), slice(3, 9))]


def test_turning_it_reads_nothing_and_keeps_what_it_is() -> None:
    reader = Reader()
    lazy = np.swapaxes(np.moveaxis(reader.array((3, 4, 5)), -1, 0)[np.newaxis], 1, 2)
    assert isinstance(lazy, LazyArray)
    assert (lazy.shape, lazy.chunks) == ((1, 7, 13, 11), (1, 3, 5, 4))
    assert (lazy.nbytes, len(lazy), reader.boxes) == (SOURCE.nbytes, 1, [])
    np.testing.assert_array_equal(lazy, SOURCE.transpose(0, 2, 1)[np.newaxis])


def test_every_so_many_pixels_are_read_in_pieces_along_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_array, "_PIECE", 4 * 4 * 5 * SOURCE.itemsize)
    reader = Reader()
    np.testing.assert_array_equal(reader.array((1, 4, 5))[3, ::3, ::2], SOURCE[3, ::3, ::2])
    assert len(reader.boxes) > 1
    assert max(SOURCE[box].size for box in reader.boxes) <= 4 * 4 * 5
    # No two of them read of one chunk.
    ends = {(box[1].start // 4, box[1].stop // 4 * 4, box[2].start // 5) for box in reader.boxes}
    assert len(ends) == len(reader.boxes)


def test_what_it_cannot_do_is_said() -> None:
    lazy = Reader().array()
    with pytest.raises(IndexError, match="whole numbers, slices"):
        lazy[[0, 1]]
    with pytest.raises(IndexError, match="out of range"):
        lazy[7]
    with pytest.raises(IndexError, match="too many"):
        lazy[0, 0, 0, 0]
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(lazy, copy=False)
    with pytest.raises(TypeError, match="unsized"):
        len(lazy[0, 0, 0])


def test_planes_and_channels_of_an_image_stay_where_they_are() -> None:
    reader = Reader()
    image = Image(reader.array(), "ZYX")
    plane = image.plane((3,))
    assert isinstance(plane.channels_first, LazyArray)
    assert isinstance(Image(reader.array(), "CYX").take_channel(2).channels_first, LazyArray)
    assert isinstance(Image(reader.array(), "YXC").channels_first, LazyArray)
    assert reader.boxes == []
    np.testing.assert_array_equal(plane.array, SOURCE[3])
    assert image.varies
