"""Linking by overlap: known stacks exactly, and what holds for all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from napari_unetseg.postprocessing.linking import link_frames, number_frames, number_stack

Stack = NDArray[np.int32]

frames = arrays.arrays(np.int32, (4, 5, 6), elements=st.integers(0, 4))
stacks = arrays.arrays(np.int32, (2, 3, 4, 5), elements=st.integers(0, 3))


def line(*rows: list[int]) -> Stack:
    """Frames of one row of pixels each."""
    return np.array(rows, np.int32)[:, np.newaxis]


def test_an_object_that_moves_slowly_keeps_its_number() -> None:
    moving = line([7, 7, 7, 0, 0, 3, 3], [0, 2, 2, 2, 0, 9, 9], [0, 0, 4, 4, 4, 1, 1])
    np.testing.assert_array_equal(
        link_frames(moving), line([1, 1, 1, 0, 0, 2, 2], [0, 1, 1, 1, 0, 2, 2], [0, 0, 1, 1, 1, 2, 2])
    )


def test_an_object_that_divides_goes_on_as_its_larger_part() -> None:
    dividing = line([1, 1, 1, 1, 1, 1], [1, 1, 0, 2, 2, 2])
    np.testing.assert_array_equal(link_frames(dividing), line([1, 1, 1, 1, 1, 1], [2, 2, 0, 1, 1, 1]))


def test_of_objects_that_merge_the_larger_goes_on() -> None:
    merging = line([1, 1, 0, 2, 2, 2], [1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(link_frames(merging), line([1, 1, 0, 2, 2, 2], [2, 2, 2, 2, 2, 2]))


def test_of_equal_overlaps_the_first_in_the_frame_wins() -> None:
    even = line([1, 1, 1, 1], [5, 5, 2, 2])
    np.testing.assert_array_equal(link_frames(even), line([1, 1, 1, 1], [1, 1, 2, 2]))


def test_an_object_that_is_missing_once_is_a_new_one() -> None:
    gap = line([1, 1], [0, 0], [1, 1])
    np.testing.assert_array_equal(link_frames(gap), line([1, 1], [0, 0], [2, 2]))


@pytest.mark.parametrize(("least", "linked"), [(0.2, True), (0.21, False)])
def test_too_small_an_overlap_is_no_link(least: float, linked: bool) -> None:
    touching = line([1, 1, 1, 0, 0], [0, 0, 1, 1, 1])  # IoU 1 / 5
    last = 1 if linked else 2
    np.testing.assert_array_equal(link_frames(touching, least)[1, 0], [0, 0, last, last, last])


def test_planes_become_volumes_before_these_become_tracks() -> None:
    # Two time points of two planes. The object leaves its first plane, so only the volumes overlap in time.
    stack = np.zeros((2, 2, 1, 4), np.int32)
    stack[0, 0, 0, :2], stack[0, 1, 0, :3], stack[1, 1, 0, 1:3] = 5, 1, 8
    linked = number_stack(stack, "TZ", link=True)
    np.testing.assert_array_equal(linked, stack > 0)
    turned = number_stack(stack.swapaxes(0, 1), "ZT", link=True)
    np.testing.assert_array_equal(turned.swapaxes(0, 1), linked)


def test_other_axes_are_never_linked() -> None:
    same = np.ones((3, 2, 2), np.int32)
    np.testing.assert_array_equal(np.unique(number_stack(same, "P", link=True)), [1, 2, 3])
    np.testing.assert_array_equal(np.unique(number_stack(same, "Z", link=True)), [1])
    np.testing.assert_array_equal(np.unique(number_stack(same, "Z", link=False)), [1, 2, 3])


def test_one_plane_keeps_its_labels() -> None:
    plane = np.array([[0, 1, 1], [2, 2, 0]], np.int32)
    np.testing.assert_array_equal(number_stack(plane, "", link=True), plane)


@given(frames, st.permutations(range(1, 5)), st.integers(0, 3))
def test_the_planes_own_numbers_do_not_matter(labels: Stack, numbers: list[int], at: int) -> None:
    other = labels.copy()
    other[at] = np.array([0, *numbers])[labels[at]]
    np.testing.assert_array_equal(link_frames(other), link_frames(labels))


@given(stacks, st.sampled_from(["TZ", "ZT", "PZ", "TP"]), st.booleans())
def test_every_object_keeps_its_pixels_and_numbers_have_no_gaps(labels: Stack, axes: str, link: bool) -> None:
    numbered = number_stack(labels, axes, link=link)
    np.testing.assert_array_equal(numbered > 0, labels > 0)
    for index in np.ndindex(labels.shape[:2]):
        before, after = labels[index], numbered[index]
        pairs = set(zip(before.ravel().tolist(), after.ravel().tolist(), strict=True))
        assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    assert set(np.unique(numbered)) - {0} == set(range(1, int(numbered.max()) + 1))


@given(frames)
def test_without_overlap_there_is_no_link(labels: Stack) -> None:
    apart = labels * (np.indices(labels.shape).sum(axis=0) % 2 == 0)  # no pixel is set in two neighbouring frames
    numbered = link_frames(apart)
    np.testing.assert_array_equal(numbered, number_frames(apart))


@given(frames)
def test_a_link_is_one_to_one(labels: Stack) -> None:
    for before, after in zip(labels, link_frames(labels), strict=True):
        for number in np.unique(after[after > 0]):
            assert len(np.unique(before[after == number])) == 1
