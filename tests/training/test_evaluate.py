from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.baseline import otsu_watershed
from napari_unetseg.training.dataset import Pair, find_pairs
from napari_unetseg.training.evaluate import Answer, evaluate, tune
from napari_unetseg.training.scores import dice
from napari_unetseg.zoo.registry import read_package

HEADS = ("foreground", "distance")


def test_a_model_that_knows_bright_from_dark_scores_by_kind(dataset: Path, bright_model: Path) -> None:
    scores = evaluate(read_package(bright_model, "path"), find_pairs(dataset), device="cpu")
    assert [score.stem for score in scores] == [f"field{number}" for number in range(8)]
    assert all(score.dice > 0.95 for score in scores if score.kind == "bright")
    assert all(score.dice < 0.5 for score in scores if score.kind == "dark")


def test_tuning_finds_the_parameters_that_give_the_annotation() -> None:
    # Objects are 0.5 sure and 16 pixels large; surer specks of 9 pixels are none.
    labels = np.zeros((32, 32), np.int32)
    probability = np.zeros((2, 32, 32), np.float32)
    for number, corner in enumerate((2, 12, 22), start=1):
        labels[corner : corner + 4, 4:8] = number
        probability[:, corner : corner + 4, 4:8] = 0.5
        probability[:, corner : corner + 3, 20:23] = 0.9
    answer = Answer(Pair("a", Path("a"), Path("a"), "k"), probability, labels)
    best = tune([answer], HEADS, DecodeParameters(threshold=0.9, min_size=0))
    assert best.threshold <= 0.5
    assert 9 < best.min_size <= 16


@pytest.mark.parametrize("invert", [False, True])
def test_otsu_finds_the_lesser_side_of_the_threshold(invert: bool) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :60]
    discs = ((y - 30) ** 2 + (x - 18) ** 2 < 144) | ((y - 30) ** 2 + (x - 40) ** 2 < 144)
    grey = np.where(discs, 200, 40) + rng.integers(0, 9, discs.shape)
    labels = otsu_watershed(Image((255 - grey if invert else grey).astype(np.uint8)))
    assert dice(labels > 0, discs) == 1
    assert labels.max() == 2  # they touch, and are divided


def test_otsu_finds_nothing_in_a_constant_image() -> None:
    assert otsu_watershed(Image(np.full((9, 9), 7, np.uint8))).max() == 0


def test_dice_chooses_the_threshold_alone() -> None:
    labels = np.zeros((16, 16), np.int32)
    labels[4:12, 4:12] = 1
    probability = np.where(labels, np.float32(0.9), np.float32(0.45))[np.newaxis]
    pair = Pair("a", Path("a.png"), Path("a.png"), "image")
    start = DecodeParameters(threshold=0.3, split=0, min_size=3)
    best = tune([Answer(pair, probability, labels)], ("foreground",), start, "dice")
    assert best == start.model_copy(update={"threshold": 0.5})
