import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from napari_unetseg.training.scores import (
    IOU_THRESHOLDS,
    ObjectScore,
    Score,
    annotated_part,
    average_precision,
    count_matches,
    dice_score,
    found_objects,
    iou_matrix,
    mask_iou,
    mean_average_precision,
    measures,
    score,
    score_foreground,
    summarise_scores,
)

LABELS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 4))


def squares(*corners: tuple[int, int], side: int = 4) -> np.ndarray:
    labels = np.zeros((20, 20), np.int32)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + side, x : x + side] = number
    return labels


def test_where_nothing_is_annotated_nothing_counts() -> None:
    true = squares((0, 0), (0, 10))
    true[:, 8:] = -1
    found, known = annotated_part(squares((0, 0), (12, 12)), true)
    np.testing.assert_array_equal(found, squares((0, 0)))
    np.testing.assert_array_equal(known, squares((0, 0)))
    assert score(found, known, "a", "b").objects.ap50 == 1


def test_each_found_object_is_named() -> None:
    true, predicted = squares((0, 0), (0, 8), (8, 0), (8, 8)), squares((0, 0), (4, 14), (8, 1), (8, 11))
    np.testing.assert_array_equal(found_objects(iou_matrix(predicted, true)), [True, False, True, False])
    np.testing.assert_array_equal(found_objects(iou_matrix(squares(), true)), [False] * 4)


def test_dice_of_half_overlapping_masks() -> None:
    assert dice_score(squares((0, 0)) > 0, squares((0, 2)) > 0) == 0.5


def test_dice_of_empty_masks() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert dice_score(empty, empty) == 1
    assert dice_score(empty, full) == 0


def test_iou_of_half_overlapping_masks() -> None:
    assert mask_iou(squares((0, 0)) > 0, squares((0, 2)) > 0) == 8 / 24
    empty = np.zeros((3, 3), bool)
    assert mask_iou(empty, empty) == 1
    assert mask_iou(empty, ~empty) == 0


def test_iou_counts_pixels_of_each_pair() -> None:
    iou = iou_matrix(squares((0, 0), (10, 10)), squares((0, 2), (10, 10), (16, 0)))
    np.testing.assert_allclose(iou.toarray(), [[8 / 24, 0, 0], [0, 1, 0]])


def test_iou_does_not_mind_gaps_in_the_numbering() -> None:
    labels = squares((0, 0), (10, 10))
    np.testing.assert_array_equal(iou_matrix(labels * 70_000, labels).toarray(), np.eye(2))


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
    assert count_matches(iou, 0.5) == 1
    assert average_precision(iou) == 1 / 2


def test_matching_finds_the_most_pairs() -> None:
    # Taking the best pair first would leave the second row without a partner.
    assert count_matches(csr_array([[0.9, 0.8], [0.7, 0.0]]), 0.5) == 2


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


@given(LABELS, st.sampled_from(IOU_THRESHOLDS))
def test_matches_are_those_of_an_assignment(labels: np.ndarray, threshold: float) -> None:
    moved = np.roll(labels, 1, axis=1)
    iou = iou_matrix(moved, labels)
    allowed = iou.toarray() >= threshold
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    assert count_matches(iou, threshold) == allowed[rows, columns].sum()


def test_average_precision_is_averaged_over_nine_thresholds() -> None:
    assert IOU_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
    # Found to 0.7: at five thresholds of nine it is a match.
    assert mean_average_precision(csr_array([[0.7]])) == pytest.approx(5 / 9)


@given(LABELS)
def test_a_perfect_answer_scores_one(labels: np.ndarray) -> None:
    count = len(np.unique(labels[labels > 0]))
    perfect = ObjectScore(ap50=1, ap75=1, ap90=1, ap=1, precision=1, recall=1, predicted=count, true=count)
    assert score(labels, labels, "a", "k") == Score("a", "k", 1, 1, perfect)


@given(st.data())
@settings(deadline=None)
def test_scores_are_symmetric_and_bounded(data: st.DataObject) -> None:
    one = data.draw(LABELS)
    other = data.draw(arrays(np.int32, one.shape, elements=st.integers(0, 4)))
    forth, back = score(one, other, "a", "k"), score(other, one, "a", "k")
    assert (forth.dice, forth.iou, forth.objects.ap) == (back.dice, back.iou, back.objects.ap)
    assert (forth.objects.precision, forth.objects.count_bias) == (back.objects.recall, -back.objects.count_bias)
    assert 0 <= forth.objects.ap90 <= forth.objects.ap75 <= forth.objects.ap50 <= 1
    assert forth.objects.ap90 <= forth.objects.ap <= forth.objects.ap50
    assert forth.iou == pytest.approx(forth.dice / (2 - forth.dice))
    np.testing.assert_allclose(iou_matrix(one, other).toarray(), iou_matrix(other, one).toarray().T)


def test_precision_recall_and_counts_of_a_known_case() -> None:
    true = squares((0, 0), (0, 8), (8, 0), (8, 8))
    found = score(squares((0, 0), (0, 8), (16, 16)), true, "a", "k").objects
    assert (found.precision, found.recall) == (2 / 3, 2 / 4)
    assert (found.count_error, found.count_bias) == (1, -1)
    nothing = score(np.zeros_like(true), true, "a", "k").objects
    assert (nothing.precision, nothing.recall, nothing.count_bias) == (0, 0, -4)


def test_without_objects_only_the_foreground_is_measured() -> None:
    row = score_foreground(squares((0, 0)), squares((0, 2)), "a", "k")
    assert measures(row) == {"dice": 0.5, "iou": 8 / 24}
    assert summarise_scores([row]) == {
        "images": 1,
        "dice": 0.5,
        "iou": 0.3333,
        "per_kind": {"k": {"images": 1, "dice": 0.5, "iou": 0.3333}},
    }


def test_summary_averages_over_images_and_kinds() -> None:
    def row(stem: str, kind: str, dice_score: float, ap50: float, predicted: int) -> Score:
        objects = ObjectScore(ap50, ap50 / 2, ap50 / 4, ap50 / 2, 0.5, 0.25, predicted, true=4)
        return Score(stem, kind, dice_score, dice_score / 2, objects)

    summary = summarise_scores([row("a", "x", 0.5, 0.25, 3), row("b", "x", 1, 0.75, 7), row("c", "y", 0.75, 0.5, 4)])
    means = {"ap50": 0.5, "ap75": 0.25, "ap90": 0.125, "ap": 0.25, "precision": 0.5, "recall": 0.25}
    common = {"dice": 0.75, "iou": 0.375, **means}
    assert summary == {
        "images": 3,
        **common,
        "count_error": 1.3333,
        "count_bias": 0.6667,
        "per_kind": {
            "x": {"images": 2, **common, "count_error": 2, "count_bias": 1},
            "y": {"images": 1, **common, "count_error": 0, "count_bias": 0},
        },
    }
