"""Faults that are drawn into masks are found, with their figures, and sound masks have none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unetseg.training.mask_faults import MaskFault, find_faults, find_pieces, holes_in

Mask = NDArray[np.int64]


def discs(count: int = 9, radius: int = 6) -> Mask:
    """Draw as many discs as asked for in rows of five, numbered from 1."""
    mask = np.zeros((20 * -(-count // 5) + 4, 104), np.int64)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    for at in range(count):
        row, column = 12 + 20 * (at // 5), 12 + 20 * (at % 5)
        mask[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = at + 1
    return mask


def by_kind(mask: Mask) -> dict[str, MaskFault]:
    return {fault.kind: fault for fault in find_faults(mask)}


def test_a_sound_mask_has_no_fault() -> None:
    assert find_faults(discs()) == ()


def test_nor_has_one_without_objects_or_with_parts_that_are_not_annotated() -> None:
    assert find_faults(np.zeros((20, 30), np.int64)) == ()
    mask = discs()
    mask[:, :3] = -1
    assert find_faults(mask) == ()


def test_specks_are_counted_with_their_pixels_objects_and_place() -> None:
    mask = discs()
    mask[1, 50:52] = 3
    mask[3, 80] = 3
    mask[22, 30] = 7
    assert list(by_kind(mask)) == ["specks"]
    fault = by_kind(mask)["specks"]
    assert (fault.count, fault.pixels, fault.objects, fault.place) == (3, 4, (3, 7), (1, 50))


def test_pieces_of_some_size_are_no_specks() -> None:
    mask = discs()
    mask[mask == 9] = 2
    fault = by_kind(mask)["pieces"]
    assert (fault.count, fault.objects) == (1, (2,))
    assert fault.pixels == np.count_nonzero(mask == 2) // 2


def test_pieces_that_meet_at_a_corner_are_named_by_themselves() -> None:
    mask = discs()
    mask[:20, :20] = 0
    mask[2:8, 2:8] = mask[8:14, 8:14] = 1
    fault = by_kind(mask)["corners"]
    assert (fault.count, fault.pixels, fault.objects) == (1, 36, (1,))
    assert "pieces" not in by_kind(mask)


def test_of_an_objects_pieces_the_largest_is_not_extra_and_of_equal_ones_the_first() -> None:
    mask = np.zeros((6, 12), np.int64)
    mask[0:2, 0:2] = mask[0:2, 4:6] = 5
    mask[4, 0:2] = mask[4:6, 8:12] = 2
    pieces = find_pieces(mask)
    assert pieces.owners.tolist() == [5, 5, 2, 2]
    assert pieces.is_extra.tolist() == [False, True, True, False]


def test_holes_are_of_the_object_that_alone_encloses_them() -> None:
    mask = discs()
    mask[12, 12] = 0
    mask[12, 32:34] = 0
    fault = by_kind(mask)["holes"]
    assert (fault.count, fault.pixels, fault.objects, fault.place) == (2, 3, (1, 2), (12, 12))
    assert holes_in(mask)[12, 12] == 1
    assert holes_in(mask)[12, 33] == 2


def test_a_gap_between_two_objects_or_to_what_is_not_annotated_is_no_hole() -> None:
    mask = np.zeros((9, 9), np.int64)
    mask[2:7, 2:4], mask[2:7, 4:7] = 1, 2
    mask[4, 4] = 0
    assert not holes_in(mask).any()
    mask[mask == 2] = -1
    assert not holes_in(mask).any()


def test_numbers_below_and_far_above_do_not_change_what_a_hole_is() -> None:
    mask = discs()
    mask[mask == 1] = 10**9
    mask[12, 12] = 0
    mask[:, -2:] = -5
    assert holes_in(mask)[12, 12] == 10**9


def test_objects_far_smaller_and_far_larger_than_the_others_are_named() -> None:
    mask = discs(10)
    mask[mask == 4] = 0
    mask[12, 72] = 4
    mask[24:44, 40:] = np.where(mask[24:44, 40:] > 0, 8, 8)
    found = by_kind(mask)
    assert found["tiny"].objects == (4,)
    assert found["tiny"].pixels == 1
    assert found["large"].objects == (8,)


def test_of_a_few_objects_none_is_tiny() -> None:
    mask = discs(3)
    mask[40 % mask.shape[0], 100] = 4
    assert "tiny" not in by_kind(mask)


def test_two_discs_with_one_number_that_touch_look_merged() -> None:
    mask = discs(15)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    mask[(rows - 12) ** 2 + (columns - 23) ** 2 <= 36] = 1
    mask[mask == 2] = 0
    assert by_kind(mask)["merged"].objects == (1,)


def test_a_mask_of_one_number_on_several_pieces_is_not_numbered() -> None:
    fault = by_kind((discs() > 0).astype(np.int64) * 255)
    assert list(fault) == ["unnumbered"]
    assert (fault["unnumbered"].count, fault["unnumbered"].objects) == (9, (255,))


def test_one_object_alone_is_numbered_also_with_a_speck() -> None:
    mask = discs(1)
    mask[0, 0] = 1
    assert list(by_kind(mask)) == ["specks"]


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_edges_that_blend_are_found_in_scaled_masks_alone(top: float) -> None:
    from skimage.transform import resize

    small = (discs() > 0) * 255.0
    scaled = resize(small, (100, 240), order=3, anti_aliasing=True)
    mask = np.clip(scaled / 255 * top, 0, top).round().astype(np.int64)
    # Of two values in all, none lies between.
    assert ("edges" in by_kind(mask)) == (top > 1)


def test_many_numbers_are_no_blended_edges() -> None:
    mask = discs(60, radius=3)
    assert "edges" not in by_kind(mask)
    rng = np.random.default_rng(0)
    assert "edges" not in by_kind(rng.permutation(61)[mask] * (mask > 0))


def test_a_background_with_a_number_is_named() -> None:
    mask = discs() + 1
    fault = by_kind(mask)["background"]
    assert fault.objects == (1,)
    assert fault.pixels == np.count_nonzero(mask == 1)


def test_an_image_that_one_object_fills_is_left_alone() -> None:
    assert "background" not in by_kind(np.ones((20, 20), np.int64))


def test_numbers_that_16_bits_cannot_hold_are_told() -> None:
    mask = discs()
    mask[mask == 9] = 70000
    assert by_kind(mask)["numbers"].count == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=48, max_size=48))
def test_every_extra_piece_is_a_speck_or_a_piece_or_hangs_at_a_corner(values: list[int]) -> None:
    mask = np.array(values, np.int64).reshape(6, 8)
    pieces = find_pieces(mask)
    kinds = by_kind(mask)
    if not {"edges", "background", "unnumbered"} & set(kinds):
        counted = sum(kinds[kind].count for kind in ("specks", "pieces", "corners") if kind in kinds)
        assert counted == len(pieces.areas) - len(np.unique(mask[mask > 0]))
