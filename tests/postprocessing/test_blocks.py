import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.postprocessing.blocks import blocks, grow_block, relative_to

IMAGE = np.arange(12 * 15).reshape(12, 15)


def spans(length):
    """Starts and stops of a part of an axis that holds a pixel at least."""
    return st.integers(0, length - 1).flatmap(
        lambda start: st.integers(start + 1, length).map(lambda stop: slice(start, stop))
    )


@pytest.mark.parametrize(
    ("by", "expected"), [(0, np.s_[3:5, 1:4]), (1, np.s_[2:6, 0:5]), (4, np.s_[0:9, 0:8]), (99, np.s_[0:12, 0:15])]
)
def test_a_block_grows_as_far_as_the_image_goes(by, expected):
    assert grow_block(np.s_[3:5, 1:4], by, IMAGE.shape) == expected


@given(st.tuples(spans(12), spans(15)), st.integers(0, 6))
def test_a_block_within_another_holds_the_same_pixels(block, by):
    outer = grow_block(block, by, IMAGE.shape)
    np.testing.assert_array_equal(IMAGE[outer][relative_to(block, outer)], IMAGE[block])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30))
def test_blocks_are_few_of_about_one_size_and_hold_every_pixel_once(height, width, side):
    seen = np.zeros((height, width), int)
    sizes = []
    for block in blocks(seen.shape, side):
        assert not seen[block].any()
        seen[block] += 1
        sizes.append(seen[block].shape)
    assert seen.all()
    assert max(max(size) for size in sizes) <= side
    assert len(sizes) <= -(-height // side) * -(-width // side)
    assert sizes[0] == tuple(-(-length // -(-length // side)) for length in seen.shape)
