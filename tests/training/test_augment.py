from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.training.augment import draw_crops
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.zoo.card import Percentile

CPU = torch.device("cpu")


@pytest.fixture
def samples(dataset: Path) -> list[Sample]:
    return load_samples(find_pairs(dataset), Percentile())


def test_crops_have_three_channels_and_all_targets(samples: list[Sample]) -> None:
    store = CropStore(samples, CPU)
    pixels, targets = draw_crops(store, np.arange(8), 32, Augmentation(), np.random.default_rng(0))
    assert pixels.shape == (8, 3, 32, 32)
    assert targets.shape == (8, 5, 32, 32)
    assert pixels.isfinite().all()
    assert targets[:, :3].min() >= 0
    assert targets.min() >= -1
    assert targets.max() <= 1


def test_pixels_show_the_objects_of_their_targets(samples: list[Sample]) -> None:
    calm = Augmentation(rotate=1, elastic=1, shear=0.1, invert=0, gamma=0, gain=0, offset=0, tint=0, blur=0.3, noise=0)
    store = CropStore(samples, CPU)
    # Even images are bright on dark.
    pixels, targets = draw_crops(store, np.array([0, 2, 4] * 4), 32, calm, np.random.default_rng(0))
    inside = targets[:, 0] > 0.9
    assert pixels[:, 0][inside].mean() > pixels[:, 0][targets[:, 0] == 0].mean() + 0.5


def test_a_crop_shows_the_objects_of_its_donor(samples: list[Sample]) -> None:
    empty = replace(samples[0], targets=torch.zeros_like(samples[0].targets))
    store = CropStore([empty, samples[2]], CPU)

    def draw(donors: np.ndarray | None) -> torch.Tensor:
        return draw_crops(store, np.array([0, 0]), 32, Augmentation(), np.random.default_rng(3), donors)[1]

    assert not draw(None).any()
    without, pasted = draw(np.array([-1, 1]))
    assert not without.any()
    assert pasted[0].any()


def test_the_same_seed_gives_the_same_crops(samples: list[Sample]) -> None:
    store = CropStore(samples, CPU)
    first, again, other = (
        draw_crops(store, np.array([0, 7]), 32, Augmentation(), np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_views_and_light_are_those_of_the_cpu_on_a_gpu(samples: list[Sample]) -> None:
    options = Augmentation(
        noise=0, elastic=2, shear=0.1, stretch=0.1, on_object=0.5, jpeg=0.3, stain=0.5, haze=0.2, sharpen=0.3, paste=0.5
    )
    chosen, donors = np.arange(8), np.array([2, -1, 0, 1, -1, -1, -1, -1])
    (pixels, targets), (there, truth) = (
        draw_crops(CropStore(samples, device), chosen, 64, options, np.random.default_rng(5), donors)
        for device in (CPU, torch.device("cuda"))
    )
    torch.testing.assert_close(truth.cpu(), targets, atol=1e-3, rtol=0)
    # A value between two steps of a JPEG file may be rounded to either.
    assert (there.cpu() - pixels).abs().mean() < 1e-3
