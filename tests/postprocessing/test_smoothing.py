import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_unetseg.postprocessing.smoothing import smooth

label_images = arrays(np.int32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3))
radii = st.integers(1, 4)


def discs_of(labels, radius):
    """By definition: for each label and pixel, whether the label covers more than half of the disc."""
    reach = np.arange(-radius, radius + 1)
    disc = (np.hypot(*np.meshgrid(reach, reach)) <= radius).astype(np.int64)
    counts = [ndimage.correlate((labels == k).astype(np.int64), disc, mode="nearest") for k in range(1, 4)]
    return [2 * count > disc.sum() for count in counts]


@given(label_images, radii)
@settings(deadline=None, max_examples=60)
def test_an_object_is_the_largest_piece_of_where_it_covers_most_of_the_disc(labels, radius):
    smoothed = smooth(labels, radius)
    assert smoothed.dtype == np.int32
    for value, covered in enumerate(discs_of(labels, radius), start=1):
        own = smoothed == value
        pieces, count = ndimage.label(covered)
        sizes = np.bincount(pieces.ravel(), minlength=1)[1:]
        assert own.sum() == sizes.max(initial=0)
        assert count == 0 or own[pieces == 1 + sizes.argmax()].all()


@given(label_images, radii)
@settings(deadline=None, max_examples=30)
def test_turning_the_image_turns_the_result(labels, radius):
    def areas(image):
        return np.bincount(smooth(image, radius).ravel(), minlength=4)

    np.testing.assert_array_equal(areas(labels), areas(np.rot90(labels).copy()))


def test_straight_outlines_stay_where_they_are():
    labels = np.zeros((40, 30), np.int32)
    labels[:20], labels[20:30] = 4, 9
    np.testing.assert_array_equal(smooth(labels, 5), labels)


@pytest.mark.parametrize(("radius", "left"), [(1, True), (2, False), (5, False)])
def test_a_spike_and_a_notch_of_one_pixel_go_from_radius_two(radius, left):
    labels = np.zeros((40, 60), np.int32)
    labels[:20] = 1
    labels[20:32, 15] = 1
    labels[8:20, 45] = 0
    smoothed = smooth(labels, radius)
    assert bool(smoothed[24, 15] == 1) is left
    assert bool(smoothed[16, 45] == 0) is left


def test_objects_across_a_narrow_gap_do_not_join():
    labels = np.zeros((30, 41), np.int32)
    labels[5:25, 5:20], labels[5:25, 21:36] = 1, 2
    smoothed = smooth(labels, 6)
    assert (smoothed[:, 20] == 0).all()
    assert (smoothed[10:20, 19] == 1).all()
    assert (smoothed[10:20, 21] == 2).all()


def test_an_object_that_falls_apart_keeps_its_larger_half():
    labels = np.zeros((30, 60), np.int32)
    labels[5:25, 5:25] = labels[10:20, 40:50] = labels[15, 25:40] = 3
    smoothed = smooth(labels, 3)
    assert smoothed[15, 15] == 3
    assert not smoothed[:, 30:].any()


def test_of_equal_halves_the_first_stays():
    labels = np.zeros((20, 41), np.int32)
    labels[4:16, 2:14] = labels[4:16, 27:39] = labels[10, 14:27] = 1
    smoothed = smooth(labels, 3)
    assert smoothed[10, 8] == 1
    assert not smoothed[:, 20:].any()


def test_nothing_gives_nothing():
    empty = np.zeros((5, 4), np.int32)
    np.testing.assert_array_equal(smooth(empty, 3), empty)
