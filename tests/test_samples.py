"""The sample images are what they say, the same every time."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.samples import SAMPLES, nuclei, nuclei_with_truth


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_the_same_every_time(name):
    first, second = SAMPLES[name](), SAMPLES[name]()
    assert first.name == name
    assert first.shape == (512, 512)
    np.testing.assert_array_equal(first.array, second.array)


def test_nuclei_fit_their_truth():
    image, labels = nuclei_with_truth()
    np.testing.assert_array_equal(image.array, nuclei().array)
    assert image.array.dtype == np.uint16
    assert (image.scale, image.unit) == ((0.32, 0.32), "micrometer")
    count = labels.max()
    assert count > 80
    means = ndimage.mean(image.array, labels, np.arange(count + 1))
    assert (means[1:] > 1.5 * means[0]).all()


def test_nuclei_are_whole_and_some_touch():
    _, labels = nuclei_with_truth()
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1
    pairs = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    touching = {
        tuple(sorted(pair)) for a, b in pairs for pair in zip(a[(a != b)], b[(a != b)], strict=True) if min(pair)
    }
    assert 10 <= len(touching) <= 40


def test_tissue_is_a_picture():
    image = SAMPLES["tissue"]()
    assert image.rgb
    assert image.array.dtype == np.uint8
