from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.training.contact_sheet import (
    ANNOTATED,
    BOTH,
    CASE_SIDE,
    FOUND,
    Case,
    caption,
    choose_cases,
    choose_crop,
    draw_case,
    write_contact_sheet,
)
from napari_unetseg.training.scores import ObjectScore, Score, score, score_foreground


def scored(number: int, ap: float) -> Score:
    return Score(f"image{number:02}", "fluo", 0.9, 0.8, ObjectScore(ap, ap, ap, ap, ap, ap, predicted=3, true=4))


def square(top: int, left: int, side: int = 12, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    labels[top : top + side, left : left + side] = 1
    return labels


def case(annotated: np.ndarray, found: np.ndarray) -> Case:
    return Case(Image(np.zeros(annotated.shape, np.uint8)), annotated, found, score(found, annotated, "a", "fluo"))


def colours_of(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(value) for value in colour) for colour in np.unique(picture.reshape(-1, 3), axis=0)}


def test_worst_median_and_best_are_chosen_by_average_precision() -> None:
    rows = [scored(number, number / 20) for number in range(20)]
    worst, median, best = choose_cases(rows[::-1], worst=3, others=2)
    assert (worst.heading, median.heading, best.heading) == ("Worst", "Median", "Best")
    assert [row.stem for row in worst.scores] == ["image00", "image01", "image02"]
    assert [row.stem for row in median.scores] == ["image09", "image10"]
    assert [row.stem for row in best.scores] == ["image18", "image19"]


@pytest.mark.parametrize("worst", range(1, 20))
def test_no_case_is_shown_twice(worst: int) -> None:
    chosen = choose_cases([scored(number, number / 20) for number in range(20)], worst=worst, others=4)
    stems = [row.stem for choice in chosen for row in choice.scores]
    assert len(stems) == len(set(stems)) == min(worst + 8, 20)


def test_few_cases_stand_in_one_row_of_ranks() -> None:
    (choice,) = choose_cases([scored(1, 0.9), scored(2, 0.1)], worst=3)
    assert choice.heading == "From worst to best"
    assert [row.stem for row in choice.scores] == ["image02", "image01"]


def test_without_objects_dice_decides() -> None:
    good, bad = (score_foreground(square(2, 2), square(2, left), f"at{left}", "k") for left in (2, 9))
    assert [row.stem for row in choose_cases([good, bad], worst=1)[0].scores] == ["at9", "at2"]
    assert caption(bad) == ("at9 (k)", "Dice 0.42, IoU 0.26")


def test_outlines_have_their_colours() -> None:
    whole = (slice(0, 64), slice(0, 64))
    missed = np.asarray(draw_case(case(square(4, 4), np.zeros((64, 64), np.int32)), whole))
    assert colours_of(missed) == {(0, 0, 0), ANNOTATED}
    invented = np.asarray(draw_case(case(np.zeros((64, 64), np.int32), square(4, 4)), whole))
    assert colours_of(invented) == {(0, 0, 0), FOUND}
    right = np.asarray(draw_case(case(square(4, 4), square(4, 4)), whole))
    assert colours_of(right) == {(0, 0, 0), BOTH}
    # The outline lies where the object does, enlarged to the side of a picture.
    rows, columns = np.nonzero((right == BOTH).all(axis=-1))
    scale = CASE_SIDE / 64
    assert abs(rows.min() - 4 * scale) <= 1
    assert abs(columns.max() - 16 * scale) <= 1


def test_a_large_image_is_shown_where_outlines_differ() -> None:
    annotated = square(100, 300, shape=(512, 512)) + 2 * square(400, 20, shape=(512, 512))
    rows, columns = choose_crop(annotated, np.where(annotated == 2, annotated, 0))
    assert rows.stop - rows.start == columns.stop - columns.start < 512
    assert rows.start <= 100
    assert rows.stop >= 112
    assert columns.start <= 300
    assert columns.stop >= 312


def test_a_small_image_and_one_without_objects_are_shown_whole() -> None:
    nothing = np.zeros((30, 50), np.int32)
    assert choose_crop(nothing, nothing) == (slice(0, 30), slice(0, 50))


def test_the_sheet_is_a_picture_with_a_row_for_each_four(tmp_path: Path) -> None:
    one = case(square(4, 4), square(4, 6))
    write_contact_sheet(tmp_path / "new" / "sheet.png", "nuclei", [("Worst", [one] * 5), ("Best", [one])])
    sheet = iio.imread(tmp_path / "new" / "sheet.png")
    assert sheet.shape[1] > 4 * CASE_SIDE
    assert sheet.shape[0] > 3 * CASE_SIDE
    # Each outline's colour is there, and the legend's lines are drawn with them.
    for colour in (ANNOTATED, FOUND, BOTH):
        assert (sheet[:60] == colour).all(axis=-1).any()
        assert (sheet[60:] == colour).all(axis=-1).any()
