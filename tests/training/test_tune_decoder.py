import itertools
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import yaml
from scipy import ndimage

from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import SegmentationService
from napari_unetseg.training.dataset import Pair
from napari_unetseg.training.scores import (
    annotated_part,
    average_precision,
    dice_score,
    iou_matrix,
    mean_average_precision,
)
from napari_unetseg.training.training_recipe import Metric
from napari_unetseg.training.tune_decoder import ImageScores, PredictedPair, predict_pairs, tune_decoder
from napari_unetseg.zoo.registry import read_package

HEADS = ("foreground", "distance")
PAIR = Pair("a", Path("a.png"), Path("a.png"), "image")


@pytest.mark.parametrize("metric", ["ap50", "ap"])
def test_tuning_finds_the_parameters_that_give_the_annotation(metric: Metric) -> None:
    # Objects are 0.5 sure and 16 pixels large; surer specks of 9 pixels are none.
    labels = np.zeros((32, 32), np.int32)
    probability = np.zeros((2, 32, 32), np.float32)
    for number, corner in enumerate((2, 12, 22), start=1):
        labels[corner : corner + 4, 4:8] = number
        probability[:, corner : corner + 4, 4:8] = 0.5
        probability[:, corner : corner + 3, 20:23] = 0.9
    best = tune_decoder(
        [PredictedPair(PAIR, probability, labels)], HEADS, DecodeParameters(threshold=0.9, min_size=0), metric
    )
    assert best.threshold <= 0.5
    assert 9 < best.min_size <= 16


def test_the_mean_over_thresholds_also_chooses_outlines() -> None:
    # From 0.3 on the object is found at IoU 0.5; from 0.6 on its outline is right.
    labels = np.zeros((32, 32), np.int32)
    labels[8:24, 8:24] = 1
    probability = np.where(labels, np.float32(0.9), np.float32(0))[np.newaxis]
    probability[0, 6:26, 6:26][labels[6:26, 6:26] == 0] = 0.55
    start = DecodeParameters(threshold=0.3, split=0, min_size=3)
    assert tune_decoder([PredictedPair(PAIR, probability, labels)], ("foreground",), start, "ap50").threshold == 0.3
    assert tune_decoder([PredictedPair(PAIR, probability, labels)], ("foreground",), start, "ap").threshold == 0.6


def test_dice_leaves_split_and_size_alone() -> None:
    labels = np.zeros((16, 16), np.int32)
    labels[4:12, 4:12] = 1
    probability = np.where(labels, np.float32(0.9), np.float32(0.45))[np.newaxis]
    start = DecodeParameters(threshold=0.3, split=0, min_size=3)
    best = tune_decoder([PredictedPair(PAIR, probability, labels)], ("foreground",), start, "dice")
    assert best == start.model_copy(update={"threshold": 0.5})


def test_what_the_model_half_believes_in_is_taken_out_by_its_confidence() -> None:
    # The rim of the object is as unsure as the false one, which no threshold can tell.
    labels = np.zeros((32, 32), np.int32)
    labels[4:16, 4:16] = 1
    probability = np.where(labels, np.float32(0.55), np.float32(0))[np.newaxis]
    probability[0, 6:14, 6:14] = 1
    probability[0, 20:28, 20:28] = 0.55
    start = DecodeParameters(threshold=0.5, split=0, min_size=3)
    best = tune_decoder([PredictedPair(PAIR, probability, labels)], ("foreground",), start, "dice")
    assert best.threshold <= 0.55 < best.min_confidence


@pytest.mark.parametrize("width", [11, 30])
def test_a_model_answers_as_it_will_for_its_users(bright_model: Path, tmp_path: Path, width: int) -> None:
    # Squares of 30 pixels are of a size that the model looks at again.
    folder = shutil.copytree(bright_model, tmp_path / "choosy")
    card = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    (folder / "model.yaml").write_text(yaml.safe_dump(card | {"object_sizes": [8, 18]}), encoding="utf-8")
    picture = np.zeros((90, 120), np.uint8)
    picture[20 : 20 + width, 10 : 10 + width] = picture[40 : 40 + width, 60 : 60 + width] = 200
    iio.imwrite(tmp_path / "squares.png", picture)
    iio.imwrite(tmp_path / "mask.png", picture)
    pair = Pair("squares", tmp_path / "squares.png", tmp_path / "mask.png", "image")
    [found] = predict_pairs(read_package(folder, "path"), [pair], "cpu")
    with SegmentationService(folder, device="cpu") as service:
        result = service.segment(picture)
    assert (result.provenance.resized_to is None) == (width == 11)
    assert found.probability.tobytes() == result.probability.tobytes()


@pytest.mark.parametrize("metric", ["ap50", "ap", "dice"])
def test_whatever_the_confidence_an_image_scores_as_what_is_decoded_does(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    probability = ndimage.gaussian_filter(rng.random((2, 96, 96)), (0, 3, 3)).astype(np.float32)
    probability = (probability - probability.min()) / np.ptp(probability)
    labels = ndimage.label(probability[0] > 0.55)[0].astype(np.int32)
    labels[:, 80:] = -1
    scores = ImageScores(lambda: PredictedPair(PAIR, probability, labels), HEADS, metric)
    seen = set()
    for threshold, least in itertools.product((0.4, 0.6), (0.0, 0.55, 0.6, 0.65)):
        parameters = DecodeParameters(threshold=threshold, min_size=4, split=0.4, min_confidence=least)
        found, true = annotated_part(decode(probability, HEADS, parameters), labels)
        iou = iou_matrix(found, true)
        expected = {
            "ap50": average_precision(iou),
            "ap": mean_average_precision(iou),
            "dice": dice_score(found > 0, true > 0),
        }
        assert scores(parameters) == pytest.approx(expected[metric], abs=1e-12)
        seen.add(round(expected[metric], 6))
    assert len(seen) > 2
