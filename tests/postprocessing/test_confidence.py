import numpy as np
import pytest

from napari_unetseg.postprocessing.confidence import measure_confidence


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
