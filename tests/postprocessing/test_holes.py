import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_unetseg.postprocessing.holes import fill_holes

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 1, 1, 2])
)


@given(label_images)
@settings(deadline=None, max_examples=150)
def test_a_hole_is_background_that_one_object_alone_encloses(labels):
    expected = labels.copy()
    # Framed, so that what reaches the border is connected to the outside.
    gaps, count = ndimage.label(np.pad(labels, 1) == 0, np.ones((3, 3)))
    for gap in range(2, count + 1):
        around = ndimage.binary_dilation(gaps == gap)[1:-1, 1:-1]
        owners = set(labels[around & (labels > 0)])
        if len(owners) == 1:
            expected[gaps[1:-1, 1:-1] == gap] = owners.pop()
    np.testing.assert_array_equal(fill_holes(labels.copy()), expected)
