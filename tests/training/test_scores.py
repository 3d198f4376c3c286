import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unetseg.training.scores import Score, average_precision, dice, iou_matrix, match, score, summarise

LABELS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 4))


def squares(*corners: tuple[int, int], side: int = 4) -> np.ndarray:
    labels = np.zeros((20, 20), np.int32)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + side, x : x + side] = number
    return labels


def test_dice_of_half_overlapping_masks() -> None:
    assert dice(squares((0, 0)) > 0, squares((0, 2)) > 0) == 0.5


def test_dice_of_empty_masks() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == 0


def test_iou_counts_pixels_of_each_pair() -> None:
    iou = iou_matrix(squares((0, 0), (10, 10)), squares((0, 2), (10, 10), (16, 0)))
    np.testing.assert_allclose(iou, [[8 / 24, 0, 0], [0, 1, 0]])


def test_iou_does_not_mind_gaps_in_the_numbering() -> None:
    labels = squares((0, 0), (10, 10))
    np.testing.assert_array_equal(iou_matrix(labels * 70_000, labels), np.eye(2))


def test_an_iou_of_exactly_one_half_counts_as_a_match() -> None:
    true = squares((0, 0))
    predicted = np.where(np.arange(20)[:, None] < 2, true, 0)
    assert average_precision(iou_matrix(predicted, true), 0.5) == 1
    assert average_precision(iou_matrix(predicted, true), 0.51) == 0


def test_objects_match_one_to_one() -> None:
    # Both halves of a square have an IoU of 0.5 with it; only one of them may count.
    true = squares((0, 0))
    predicted = true.copy()
    predicted[2:4][predicted[2:4] > 0] = 2
    iou = iou_matrix(predicted, true)
    assert match(iou, 0.5) == 1
    assert average_precision(iou) == 1 / 2


def test_matching_finds_the_most_pairs() -> None:
    # Taking the best pair first would leave the second row without a partner.
    assert match(np.array([[0.9, 0.8], [0.7, 0.0]]), 0.5) == 2


def test_average_precision_of_a_known_case() -> None:
    true = squares((0, 0), (0, 8), (8, 0), (8, 8))
    predicted = squares((0, 0), (0, 8), (16, 16))
    # Two found, one invented, two missed.
    assert average_precision(iou_matrix(predicted, true)) == 2 / 5


def test_average_precision_without_objects() -> None:
    nothing = np.zeros((20, 20), np.int32)
    assert average_precision(iou_matrix(nothing, nothing)) == 1
    assert average_precision(iou_matrix(nothing, squares((0, 0)))) == 0
    assert average_precision(iou_matrix(squares((0, 0)), nothing)) == 0


@given(LABELS)
def test_a_perfect_answer_scores_one(labels: np.ndarray) -> None:
    assert score(labels, labels, "a", "k") == Score("a", "k", 1, 1, 1)


@given(st.data())
def test_scores_are_symmetric_and_bounded(data: st.DataObject) -> None:
    one = data.draw(LABELS)
    other = data.draw(arrays(np.int32, one.shape, elements=st.integers(0, 4)))
    forth, back = score(one, other, "a", "k"), score(other, one, "a", "k")
    assert forth == back
    assert 0 <= forth.ap75 <= forth.ap50 <= 1
    np.testing.assert_allclose(iou_matrix(one, other), iou_matrix(other, one).T)


def test_summary_averages_over_images_and_kinds() -> None:
    rows = [Score("a", "x", 0.5, 0.25, 0), Score("b", "x", 1, 0.75, 0.5), Score("c", "y", 0.75, 0.5, 0.25)]
    summary = summarise(rows)
    assert summary["images"] == 3
    assert summary["dice"] == pytest.approx(0.75)
    assert summary["ap50"] == pytest.approx(0.5)
    assert summary["per_kind"] == {
        "x": {"images": 2, "dice": 0.75, "ap50": 0.5, "ap75": 0.25},
        "y": {"images": 1, "dice": 0.75, "ap50": 0.5, "ap75": 0.25},
    }
