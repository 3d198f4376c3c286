"""Objects of two label images are told apart as a person would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_unetseg.postprocessing.label_differences import Difference, compare_labels
from napari_unetseg.training.scores import count_matches, dice_score, iou_matrix

label_images = arrays(np.int32, (8, 9), elements=st.integers(0, 5))


def boxes(*spans: tuple[slice, slice]) -> NDArray[np.int32]:
    labels = np.zeros((20, 40), np.int32)
    for number, span in enumerate(spans, 1):
        labels[span] = 3 * number  # numbers may have gaps
    return labels


WHOLE = (slice(2, 12), slice(2, 22))
LEFT, RIGHT = (slice(2, 12), slice(2, 12)), (slice(2, 12), slice(12, 22))
UPPER, LOWER = (slice(2, 7), slice(2, 22)), (slice(7, 12), slice(2, 22))
SMALLER = (slice(4, 10), slice(4, 18))
SHIFTED = (slice(2, 12), slice(3, 23))


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (boxes(WHOLE), boxes(WHOLE), Difference.SAME),
        (boxes(WHOLE), boxes(SHIFTED), Difference.SAME),
        (boxes(WHOLE), boxes(), Difference.ONLY_FIRST),
        (boxes(), boxes(WHOLE), Difference.ONLY_SECOND),
        (boxes(WHOLE), boxes(LEFT, RIGHT), Difference.SPLIT),
        (boxes(LEFT, RIGHT), boxes(WHOLE), Difference.MERGED),
        (boxes(WHOLE), boxes(SMALLER), Difference.OUTLINE),
    ],
)
def test_one_group_of_objects(first: NDArray[np.int32], second: NDArray[np.int32], kind: Difference) -> None:
    found = compare_labels(first, second)
    assert found.counts == {one: int(one is kind) for one in Difference}
    if kind is Difference.SAME:
        expected = np.zeros_like(first)
    elif kind is Difference.OUTLINE:
        expected = np.where((first > 0) != (second > 0), kind, 0)
    else:
        expected = np.where((first > 0) | (second > 0), kind, 0)
    np.testing.assert_array_equal(found.kinds, expected)


def test_objects_divided_along_another_line() -> None:
    found = compare_labels(
        boxes((slice(0, 8), slice(0, 10)), (slice(0, 8), slice(10, 30))),
        boxes((slice(0, 8), slice(0, 22)), (slice(0, 8), slice(22, 30))),
    )
    assert found.counts[Difference.DIVIDED] == 1
    assert (found.kinds[:8, :30] == Difference.DIVIDED).all()


def test_several_groups_and_the_planes_of_a_stack_add_up() -> None:
    first, second = boxes(LEFT, (slice(15, 19), slice(30, 38))), boxes(LEFT, RIGHT)
    found = compare_labels(np.stack([first, first]), np.stack([second, first]))
    assert (found.first, found.second, found.matches) == (4, 4, 3)
    assert found.counts[Difference.SAME] == 3
    assert found.counts[Difference.ONLY_FIRST] == found.counts[Difference.ONLY_SECOND] == 1
    assert found.average_precision == 3 / 5
    assert not found.kinds[1].any()


def test_pixels_below_zero_are_background() -> None:
    found = compare_labels(np.full((4, 4), -1, np.int32), np.zeros((4, 4), np.int32))
    assert (found.first, found.second, found.average_precision, found.dice) == (0, 0, 1.0, 1.0)


@given(first=label_images, second=label_images)
def test_figures_are_those_of_the_scores(first: NDArray[np.int32], second: NDArray[np.int32]) -> None:
    found = compare_labels(first, second)
    iou = iou_matrix(first, second)
    assert found.matches == count_matches(iou, np.nextafter(0.5, 1))
    assert (found.first, found.second) == iou.shape
    assert found.dice == pytest.approx(dice_score(first > 0, second > 0))


@given(first=label_images, second=label_images)
def test_the_other_way_round_it_is_the_same(first: NDArray[np.int32], second: NDArray[np.int32]) -> None:
    there, back = compare_labels(first, second), compare_labels(second, first)
    swapped = {
        Difference.ONLY_FIRST: Difference.ONLY_SECOND,
        Difference.ONLY_SECOND: Difference.ONLY_FIRST,
        Difference.SPLIT: Difference.MERGED,
        Difference.MERGED: Difference.SPLIT,
    }
    assert back.counts == {kind: there.counts[swapped.get(kind, kind)] for kind in Difference}
    assert there.average_precision == back.average_precision
    assert there.kinds[(first == 0) & (second == 0)].sum() == 0
