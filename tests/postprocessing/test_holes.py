import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import euler_number
from skimage.measure import label as connected_components

from napari_unetseg.postprocessing import holes
from napari_unetseg.postprocessing.holes import euler_numbers, fill_holes

# Objects of one piece each: pixels that are alike and 4-connected.
label_images = arrays(
    np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 1, 1, 2])
).map(lambda values: connected_components(values, background=0, connectivity=1).astype(np.int32))


@pytest.mark.parametrize("hole_pixels", [0, 10**6], ids=["one object after the other", "the whole image"])
@pytest.mark.parametrize("few", [0, 99])
@given(labels=label_images)
@settings(deadline=None, max_examples=80)
def test_a_hole_is_background_that_one_object_alone_encloses(labels, hole_pixels, few):
    expected = labels.copy()
    # Framed, so that what reaches the border is connected to the outside.
    gaps, count = ndimage.label(np.pad(labels, 1) == 0, np.ones((3, 3)))
    for gap in range(2, count + 1):
        around = ndimage.binary_dilation(gaps == gap)[1:-1, 1:-1]
        owners = set(labels[around & (labels > 0)])
        if len(owners) == 1:
            expected[gaps[1:-1, 1:-1] == gap] = owners.pop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holes, "PIXELS_OF_A_HOLE", hole_pixels)
        patch.setattr(holes, "FEW_OBJECTS", few)
        np.testing.assert_array_equal(fill_holes(labels.copy()), expected)


def test_a_hole_of_which_a_corner_touches_another_object_is_filled():
    labels = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 2, 2], [1, 1, 2, 2]], np.int32)
    assert fill_holes(labels).tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 2, 2], [1, 1, 2, 2]]


@given(
    arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)), st.integers(1, 50)
)
@settings(deadline=None, max_examples=80)
def test_euler_numbers_are_those_of_each_label_whatever_the_strips(labels, pixels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holes, "EULER_STRIP", pixels)
        numbers = euler_numbers(labels)
    expected = [euler_number(labels == label, connectivity=2) for label in range(1, labels.max() + 1)]
    assert numbers[1:].tolist() == expected
