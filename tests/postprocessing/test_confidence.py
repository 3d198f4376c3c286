import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.postprocessing import blocks, exact_sums
from napari_unetseg.postprocessing.confidence import mean_of_objects, measure_confidence


def test_means_over_image_objects_and_background():
    labels = np.array([[0, 1, 1], [0, 0, 4]], dtype=np.int32)
    foreground = np.array([[0.1, 0.8, 0.6], [0.2, 0.0, 1.0]], dtype=np.float32)
    confidence = measure_confidence(labels, foreground)
    assert confidence.overall_mean == pytest.approx(2.7 / 6)
    assert confidence.mask_mean == pytest.approx(0.8)
    assert confidence.background_mean == pytest.approx(0.1)
    np.testing.assert_allclose(confidence.objects, [0.7, 1.0], rtol=1e-6)
    assert confidence.objects.dtype == np.float32


def test_an_empty_mask_has_no_mean():
    confidence = measure_confidence(np.zeros((2, 3), np.int32), np.full((2, 3), 0.25, np.float32))
    assert (confidence.overall_mean, confidence.mask_mean, confidence.background_mean) == (0.25, None, 0.25)
    assert confidence.objects.shape == (0,)


def test_a_full_mask_leaves_no_background():
    confidence = measure_confidence(np.ones((2, 3), np.int32), np.full((2, 3), 0.75, np.float32))
    assert (confidence.mask_mean, confidence.background_mean) == (0.75, None)


def test_means_agree_with_numpy():
    rng = np.random.default_rng(0)
    labels, foreground = rng.integers(0, 9, (40, 50)), rng.random((40, 50), dtype=np.float32)
    confidence = measure_confidence(labels, foreground)
    assert confidence.overall_mean == pytest.approx(foreground.mean(dtype=np.float64))
    assert confidence.mask_mean == pytest.approx(foreground[labels > 0].mean(dtype=np.float64))
    assert confidence.background_mean == pytest.approx(foreground[labels == 0].mean(dtype=np.float64))
    np.testing.assert_allclose(confidence.objects, [foreground[labels == i].mean() for i in range(1, 9)], rtol=1e-5)


@given(
    arrays(np.int32, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=60)
def test_neither_strips_nor_the_order_of_pixels_change_a_bit(labels, strip, cached_strip, seed):
    rng = np.random.default_rng(seed)
    foreground = rng.random(labels.shape, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "STRIP", strip)
        patch.setattr(exact_sums, "CACHED_STRIP", cached_strip)
        everything = measure_confidence(labels, foreground)
        sizes, means = mean_of_objects(labels, foreground)
    order = rng.permutation(labels.size)
    shuffled = measure_confidence(
        labels.ravel()[order].reshape(labels.shape), foreground.ravel()[order].reshape(labels.shape)
    )
    assert means.tobytes() == everything.objects.tobytes() == shuffled.objects.tobytes()
    assert everything.overall_mean == shuffled.overall_mean
    assert (everything.mask_mean, everything.background_mean) == (shuffled.mask_mean, shuffled.background_mean)
    present = np.unique(labels[labels > 0])
    assert sizes.tolist() == [np.count_nonzero(labels == label) for label in present]
    exact = [math.fsum(foreground[labels == label]) / np.count_nonzero(labels == label) for label in present]
    np.testing.assert_allclose(means, exact, rtol=1e-7)
