"""The sample images are what they say, the same every time."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.samples import (
    SAMPLES,
    cells_with_truth,
    hand_with_truth,
    nuclei,
    nuclei_with_truth,
    spheroids_with_truth,
    tissue,
    tissue_with_truth,
)
from napari_unetseg.service import SegmentationService


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


def test_tissue_fits_its_truth():
    image, labels = tissue_with_truth()
    np.testing.assert_array_equal(image.array, tissue().array)
    assert (image.rgb, image.array.dtype, image.axes) == (True, np.uint8, "YXC")
    assert (image.scale, image.unit) == ((0.5, 0.5), "micrometer")
    count = labels.max()
    assert count > 200
    red = ndimage.mean(image.array[..., 0], labels, np.arange(count + 1))
    assert (red[1:] < 0.9 * red[0]).all()


@pytest.mark.parametrize(("draw", "fewest", "most"), [(nuclei_with_truth, 10, 40), (tissue_with_truth, 30, 110)])
def test_nuclei_are_whole_and_some_touch(draw, fewest, most):
    _, labels = draw()
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1
    pairs = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    touching = {tuple(sorted(pair)) for a, b in pairs for pair in zip(a[a != b], b[a != b], strict=True) if min(pair)}
    assert fewest <= len(touching) <= most


@pytest.mark.parametrize(
    ("model", "draw", "fewest", "overlap"),
    [
        ("nuclei", nuclei_with_truth, 90, 0.9),
        ("nuclei", tissue_with_truth, 200, 0.85),
        ("cells", cells_with_truth, 36, 0.9),
        ("spheroids", spheroids_with_truth, 6, 0.95),
        ("nails", hand_with_truth, 4, 0.93),
    ],
)
def test_each_bundled_model_does_well_on_its_sample(model, draw, fewest, overlap):
    image, labels = draw()
    found = SegmentationService(model, "cpu").segment(image).labels
    assert fewest <= found.max() <= labels.max() + 2
    both = np.count_nonzero((found > 0) & (labels > 0))
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(labels)) >= overlap
