from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.training import crop_store
from napari_unetseg.training.crop_store import CropStore, send_numbers
from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.targets import TARGETS
from napari_unetseg.zoo.card import Percentile

CPU = torch.device("cpu")


@pytest.fixture
def samples(dataset: Path) -> list[Sample]:
    return load_samples(find_pairs(dataset), Percentile())


def test_windows_are_the_parts_asked_for(samples: list[Sample]) -> None:
    store = CropStore(samples, CPU)
    grey, colour = store.cut(np.array([0, 7]), np.array([[3, 5], [0, 0]]), np.array([[20, 40], [64, 64]]))
    assert torch.equal(grey, torch.cat([samples[0].pixels, samples[0].targets])[:, 5:40, 3:20])
    assert torch.equal(colour, torch.cat([samples[7].pixels, samples[7].targets]))


def test_of_equal_channels_one_is_kept() -> None:
    pixels = torch.rand(1, 9, 8).half()
    targets = torch.zeros(len(TARGETS), 9, 8).half()
    labels = np.zeros((9, 8), np.int32)
    three = Sample("a", "k", pixels.expand(3, -1, -1), targets, labels, np.zeros(0))
    coloured = Sample("b", "k", torch.rand(3, 9, 8).half(), targets, labels, np.array([2.0, 3.0]))
    store = CropStore([three, coloured], CPU)
    assert store.colourless.tolist() == [True, False]
    assert store.shapes.tolist() == [[8, 9]] * 2
    assert np.isnan(store.medians[0])
    assert store.medians[1] == 2.5
    whole = np.array([[0, 0]]), np.array([[8, 9]])
    assert torch.equal(store.cut(np.array([0]), *whole)[0][:1], pixels)
    assert len(store.cut(np.array([1]), *whole)[0]) == 3 + len(TARGETS)


def test_object_pixels_are_those_of_objects_and_not_too_many(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = samples[0].labels
    x, y = CropStore(samples, CPU).object_pixels(0).T
    assert np.array_equal(np.sort(y * labels.shape[1] + x), np.flatnonzero(labels > 0))
    monkeypatch.setattr(crop_store, "OBJECT_PIXELS", 50)
    store = CropStore(samples, CPU)
    some = store.object_pixels(0)
    assert len({tuple(pixel) for pixel in some.tolist()}) == 50
    assert (labels[some[:, 1], some[:, 0]] > 0).all()
    assert np.array_equal(some, CropStore(samples, CPU).object_pixels(0))


def test_numbers_arrive_in_their_shapes() -> None:
    arrays = [np.arange(6).reshape(2, 3), np.zeros((0, 4)), np.array([2.5])]
    sent = send_numbers(arrays, CPU)
    assert all(np.array_equal(number.numpy(), array) for number, array in zip(sent, arrays, strict=True))
    assert {number.dtype for number in sent} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_does_not_fit_is_cut_on_the_host(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    places = np.array([0, 7]), np.array([[3, 5], [0, 0]]), np.array([[20, 40], [64, 64]])
    there = CropStore(samples, device).cut(*places)
    monkeypatch.setattr(crop_store, "SHARE_OF_FREE_MEMORY", 0)
    assert not crop_store.fits(samples, device)
    here = CropStore(samples, device).cut(*places)
    assert all(map(torch.equal, there, here))
    assert here[0].device.type == "cuda"
