"""Mended masks: exactly what was asked for changes, once and for all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unetseg.training.mask_faults import find_faults
from napari_unetseg.training.mask_repair import REPAIRS, Repair, mend

Mask = NDArray[np.int64]


def square(mask: Mask, row: int, column: int, side: int, number: int) -> Mask:
    mask[row : row + side, column : column + side] = number
    return mask


@pytest.fixture
def two() -> Mask:
    """Two squares of 10 x 10 pixels."""
    return square(square(np.zeros((20, 40), np.int64), 4, 4, 10, 1), 4, 20, 10, 2)


def test_a_sound_mask_stays_as_it_is(two: Mask) -> None:
    result = mend(two, REPAIRS)
    np.testing.assert_array_equal(result.mask, two)
    assert result.pixels == {}


def test_what_is_not_asked_for_stays(two: Mask) -> None:
    two[0, 0], two[8, 8] = 1, 0
    np.testing.assert_array_equal(mend(two, ()).mask, two)


def test_a_speck_by_itself_becomes_background_and_one_within_another_object_its_part(two: Mask) -> None:
    expected = two.copy()
    two[0, 0], two[8, 25] = 1, 1
    result = mend(two, ["specks"])
    np.testing.assert_array_equal(result.mask, expected)
    assert result.pixels == {"specks": 2}


def test_a_speck_at_the_border_goes_by_what_lies_beside_it(two: Mask) -> None:
    two = square(two, 0, 20, 4, 2)
    expected = two.copy()
    two[0, 22] = 1
    np.testing.assert_array_equal(mend(two, ["specks"]).mask, expected)


def test_further_pieces_become_objects_with_new_numbers(two: Mask) -> None:
    three = square(two.copy(), 4, 33, 5, 1)
    result = mend(three, ["pieces"])
    assert result.pixels == {"pieces": 25}
    np.testing.assert_array_equal(result.mask, square(two, 4, 33, 5, 3))


def test_pieces_that_hang_at_corners_go_together() -> None:
    mask = square(np.zeros((30, 30), np.int64), 2, 2, 8, 1)
    apart = square(square(mask.copy(), 14, 14, 5, 1), 19, 19, 4, 1)
    result = mend(apart, ["pieces"]).mask
    assert result[3, 3] == 1
    assert result[15, 15] == result[20, 20] == 2


def test_holes_are_filled(two: Mask) -> None:
    expected = two.copy()
    two[8, 8] = two[9, 25] = 0
    result = mend(two, ["holes"])
    np.testing.assert_array_equal(result.mask, expected)
    assert result.pixels == {"holes": 2}


def test_tiny_objects_go() -> None:
    mask = np.zeros((20, 90), np.int64)
    for at in range(6):
        square(mask, 4, 4 + 14 * at, 10, at + 1)
    expected = mask.copy()
    mask[0, 0] = 9
    np.testing.assert_array_equal(mend(mask, ["tiny"]).mask, expected)


def test_numbers_are_counted_anew_in_their_order(two: Mask) -> None:
    two[two == 1], two[two == 2] = 80000, 7
    result = mend(two, ["numbers"]).mask
    assert result[5, 5] == 2
    assert result[5, 25] == 1


def test_one_number_becomes_a_number_a_piece(two: Mask) -> None:
    result = mend((two > 0) * np.int64(255), ["unnumbered"])
    np.testing.assert_array_equal(result.mask, two)


def test_blended_edges_end_at_half() -> None:
    mask = square(square(np.zeros((30, 60), np.int64), 5, 5, 20, 200), 5, 35, 20, 200)
    for step, value in enumerate((30, 60, 90, 120, 150, 170)):
        mask[5:25, 5 + step // 2] = value
        mask[5 + step, 54] = value
        mask[24 - step, 35] = value + 1
    result = mend(mask, ["edges"]).mask
    assert set(np.unique(result)) == {0, 1, 2}
    np.testing.assert_array_equal(result > 0, mask >= 100)


def test_a_numbered_background_becomes_0_and_zeros_objects(two: Mask) -> None:
    inverted = np.where(two > 0, 0, 1)
    np.testing.assert_array_equal(mend(inverted, ["background"]).mask, two)
    several = two + 1
    np.testing.assert_array_equal(mend(several, ["background", "numbers"]).mask, two)


def test_what_is_not_annotated_stays(two: Mask) -> None:
    two[:, -3:] = -1
    two[0, 0] = 1
    assert (mend(two, REPAIRS).mask[:, -3:] == -1).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-1, 4), min_size=80, max_size=80),
    st.sets(st.sampled_from(("specks", "pieces", "tiny", "holes", "numbers"))),
)
def test_a_mended_mask_has_nothing_left_to_mend(values: list[int], repairs: set[Repair]) -> None:
    mask = np.array(values, np.int64).reshape(8, 10)
    result = mend(mask, repairs)
    again = mend(result.mask, repairs)
    assert again.pixels == {}
    np.testing.assert_array_equal(again.mask, result.mask)
    faults = {fault.kind for fault in find_faults(result.mask)}
    assert not faults & (repairs - {"numbers"})
    np.testing.assert_array_equal(result.mask[mask < 0], mask[mask < 0])
