import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.postprocessing.blocks import grow_block, relative_to

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
