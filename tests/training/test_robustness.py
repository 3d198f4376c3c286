from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.training.corruptions import CORRUPTIONS, Corruption
from napari_unetseg.training.dataset import find_pairs
from napari_unetseg.training.evaluate import Failed, Method
from napari_unetseg.training.robustness import CorruptionTrial, score_corruptions, tabulate
from napari_unetseg.training.scores import ObjectScore, Score

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


def above_half(image: Image) -> np.ndarray:
    planes = image.channels_first[0].astype(float)
    return (planes > (planes.min() + planes.max()) / 2).astype(np.int32)


HALF = Method("half", above_half, divides=False)


def row(dice: float, ap: float, kind: str = "x") -> Score:
    return Score("a", kind, dice, dice / 2, ObjectScore(ap, ap, ap, ap, ap, ap, predicted=3, true=2))


def test_a_model_that_knows_bright_from_dark_fails_on_inverted_images(dataset: Path) -> None:
    pairs = [pair for pair in find_pairs(dataset) if pair.kind == "bright"]
    chosen = [BY_NAME[name] for name in ("inverted", "16 bits", "rotated by 90 degrees")]
    trials = [trial for trials in score_corruptions(HALF, pairs, "foreground", chosen, seed=0) for trial in trials]
    table = tabulate(trials)
    assert list(table) == ["inverted", "16 bits", "rotated by 90 degrees"]
    assert table["inverted"]["of_clean"]["dice"] < 0.5
    assert table["16 bits"]["of_clean"] == {"dice": 1, "iou": 1}
    assert table["rotated by 90 degrees"]["of_clean"] == {"dice": 1, "iou": 1}


def test_an_image_counts_only_where_a_corruption_concerns_it(dataset: Path) -> None:
    pairs = find_pairs(dataset)
    trials = list(score_corruptions(HALF, pairs, "foreground", [BY_NAME["channels swapped"]], seed=0))
    assert [len(found) for found in trials] == [0] * 6 + [1] * 2  # the last two are in colour


def test_a_pair_that_fails_does_not_stop_the_others(dataset: Path) -> None:
    pairs = find_pairs(dataset)
    pairs[0].mask.write_bytes(b"no image")
    first, *others = score_corruptions(HALF, pairs, "foreground", [BY_NAME["inverted"]], seed=0)
    assert isinstance(first, Failed)
    assert first.stem == "field0"
    assert all(len(found) == 1 for found in others)


def test_parts_of_a_mask_stay_apart_when_it_shrinks(tmp_path: Path) -> None:
    # Two squares one pixel apart: binned, their masks would touch.
    mask = np.zeros((16, 16), np.uint8)
    mask[2:8, 2:7] = mask[2:8, 8:14] = 255
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        iio.imwrite(tmp_path / name / "a.png", mask)
    half = Corruption("half", BY_NAME["half the size"].apply)
    (trials,) = score_corruptions(HALF, find_pairs(tmp_path), "parts", [half], seed=0)
    assert trials[0].clean.objects.true == 2
    assert trials[0].corrupted.objects.true == 2


def test_ratios_are_those_of_the_means() -> None:
    trials = [
        CorruptionTrial("blur", row(0.8, 0.5), row(0.4, 0.5, "x")),
        CorruptionTrial("blur", row(0.4, 0.5), row(0.2, 0)),
    ]
    figures = tabulate(trials)["blur"]
    assert figures["images"] == 2
    assert figures["dice"] == pytest.approx(0.3)
    assert figures["of_clean"]["dice"] == 0.5
    assert figures["of_clean"]["ap50"] == 0.5
    assert "count_error" not in figures["of_clean"]
    assert tabulate([CorruptionTrial("blur", row(0, 0), row(0.5, 0.5))])["blur"]["of_clean"]["dice"] is None
