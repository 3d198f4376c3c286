import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.postprocessing import blocks
from napari_unetseg.postprocessing.blocks import strips
from napari_unetseg.postprocessing.numbering import (
    area_weighted_size,
    count_objects,
    number_objects,
    object_sizes,
    renumber,
)

label_images = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 5))


@given(label_images, st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_sizes_and_first_pixels_do_not_depend_on_the_strips(labels, pixels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "STRIP", pixels)
        assert sum(rows.stop - rows.start for rows in strips(labels.shape)) == len(labels)
        sizes, first = count_objects(labels)
        everything = object_sizes(labels)
    assert sizes.tolist() == [0, *(int((labels == k).sum()) for k in range(1, labels.max() + 1))]
    assert everything.tolist() == [int((labels == k).sum()) for k in range(labels.max() + 1)]
    for label in np.unique(labels[labels > 0]):
        assert first[label] == np.flatnonzero(labels == label)[0]


def test_small_objects_go_and_the_others_count_in_raster_order():
    labels = np.array([[0, 7, 7, 0], [3, 0, 5, 5], [3, 3, 0, 5]], np.int32)
    before = labels.copy()
    assert number_objects(labels, 3).tolist() == [[0, 0, 0, 0], [1, 0, 2, 2], [1, 1, 0, 2]]
    np.testing.assert_array_equal(labels, before)


def test_renumbering_happens_in_place():
    labels = np.array([[0, 1], [2, 1]], np.int32)
    assert renumber(labels, np.array([0, 5, 0], np.int32)) is labels
    assert labels.tolist() == [[0, 5], [0, 5]]


def test_many_specks_hardly_change_what_size_covers_half():
    sizes = np.array([1] * 50 + [100, 100, 120])
    assert area_weighted_size(sizes) == 100


def test_the_covering_size_covers_half():
    assert area_weighted_size(np.array([1, 2, 3, 6])) == 3
    assert area_weighted_size(np.array([], np.int64)) == 0
