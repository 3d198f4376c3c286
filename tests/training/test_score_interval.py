"""Intervals hold what they say, and are of what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_unetseg.training.score_interval import interval, object_shares, pixel_shares, ratio
from napari_unetseg.training.scores import average_precision, dice_score, iou_matrix

label_images = arrays(np.int32, (9, 11), elements=st.integers(0, 4))


@given(predicted=label_images, truth=label_images)
def test_shares_add_up_to_the_scores(predicted: NDArray[np.int32], truth: NDArray[np.int32]) -> None:
    assert ratio(object_shares(predicted, truth)) == pytest.approx(average_precision(iou_matrix(predicted, truth)))
    dice = ratio(pixel_shares(predicted > 0, truth > 0))
    assert dice == pytest.approx(dice_score(predicted > 0, truth > 0))


def shares(found: int, missed: int) -> NDArray[np.float64]:
    return np.array([(1, 1)] * found + [(0, 1)] * missed, float)


def test_of_few_images_objects_are_drawn() -> None:
    few = interval([shares(8, 2)])
    assert few[0] < 0.8 < few[1]
    many = interval([shares(800, 200)])
    # Ten times narrower, as the interval of a share is.
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(10, rel=0.2)
    assert interval([shares(10, 0)]) == (1.0, 1.0)


def test_of_enough_images_images_are_drawn() -> None:
    alike = interval([shares(80, 20)] * 6)
    assert alike == (pytest.approx(0.8), pytest.approx(0.8))
    low, high = interval([shares(80, 20)] * 3 + [shares(20, 80)] * 3)
    assert low < 0.35
    assert high > 0.65


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        found = int(random.binomial(60, 0.7))
        low, high = interval([shares(found, 60 - found)])
        hits += low <= 0.7 <= high
    assert 180 <= hits <= 200
