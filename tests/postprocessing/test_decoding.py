import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_unetseg.errors import Cancelled
from napari_unetseg.postprocessing import decoding, landscape, merging
from napari_unetseg.postprocessing.confidence import measure_confidence
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters

HEADS = [("foreground", "distance"), ("foreground", "boundary"), ("foreground",)]
PLAIN = DecodeParameters(threshold=0.5, min_size=0, split=0, fill_holes=False)

maps = arrays(
    np.float32,
    st.tuples(st.just(2), st.integers(1, 24), st.integers(1, 24)),
    elements=st.floats(0, 1, width=32),
)


def two_discs(distance=24, radius=15):
    """Probabilities of two touching discs side by side, for all three heads."""
    y, x = np.mgrid[:48, :80].astype(np.float32)
    rim = [1 - np.hypot(y - 24, x - centre) / radius for centre in (40 - distance / 2, 40 + distance / 2)]
    depth = np.maximum(*rim).clip(0, 1)
    boundary = np.exp(-(((x - 40) / 1.5) ** 2)) * (depth > 0)
    return {"foreground": (depth > 0) * np.float32(0.9), "distance": depth, "boundary": boundary.astype(np.float32)}


def crowd(height, width):
    """Probabilities of many objects that touch, for all three heads."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = (np.sin(y / 7) * np.sin(x / 9) + 1) / 2
    waves += np.random.default_rng(1).normal(0, 0.05, y.shape).astype(np.float32)
    planes = {"foreground": waves + 0.2, "distance": waves, "boundary": 1 - waves}
    return {head: plane.clip(0, 1) for head, plane in planes.items()}


def stack(planes, heads):
    return np.stack([planes[head] for head in heads])


def from_picture(picture):
    """Foreground probabilities from rows of characters: # is an object."""
    return np.array([[[0.9 if mark == "#" else 0.1 for mark in row] for row in picture]], dtype=np.float32)


@pytest.mark.parametrize("heads", HEADS)
def test_split_of_zero_keeps_touching_objects_together(heads):
    labels = decode(stack(two_discs(), heads), heads, DecodeParameters(split=0))
    assert labels.max() == 1


@pytest.mark.parametrize("heads", HEADS)
def test_touching_objects_are_divided_where_they_touch(heads):
    labels = decode(stack(two_discs(), heads), heads, DecodeParameters(split=0.5))
    assert labels.max() == 2
    left, right = np.flatnonzero((labels == 1).any(axis=0)), np.flatnonzero((labels == 2).any(axis=0))
    assert left.max() in (39, 40)
    assert right.min() in (40, 41)


@pytest.mark.parametrize("heads", HEADS)
def test_a_single_disc_is_never_divided(heads):
    planes = two_discs(distance=0)
    planes["boundary"] *= 0
    assert decode(stack(planes, heads), heads, DecodeParameters(split=1)).max() == 1


def test_the_pass_divides_when_it_is_low_enough_for_the_lower_peak():
    """Peaks 1 and 0.8, a saddle of 0.5: it divides where sqrt(split) is above 0.625 (0.69 at most, for the steps)."""
    profile = np.interp(np.arange(80), [0, 20, 40, 60, 79], [0, 1, 0.5, 0.8, 0]).astype(np.float32)
    distance = np.repeat(profile[None], 30, axis=0)
    probability = np.stack([(distance > 0.05).astype(np.float32), distance])
    counts = {
        split: decode(probability, HEADS[0], DecodeParameters(split=split)).max() for split in (0.2, 0.35, 0.6, 1)
    }
    assert counts == {0.2: 1, 0.35: 1, 0.6: 2, 1: 2}


def test_a_small_faint_neighbour_is_an_object_of_its_own():
    """Peaks count by their own height, not against one level for all."""
    profile = np.interp(np.arange(80), [0, 20, 40, 60, 79], [0, 1, 0.05, 0.3, 0]).astype(np.float32)
    probability = np.stack([np.ones((30, 80), np.float32), np.repeat(profile[None], 30, axis=0)])
    assert decode(probability, HEADS[0], DecodeParameters(split=0.5)).max() == 2


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_speck_does_not_divide_an_object(value):
    planes = two_discs(distance=0)
    planes["distance"][24, 32] = value
    assert decode(stack(planes, HEADS[0]), HEADS[0], DecodeParameters(split=0.5)).max() == 1


def test_components_without_a_peak_stay_one_object():
    probability = np.stack([from_picture(["####", "####"])[0], np.zeros((2, 4), np.float32)])
    assert decode(probability, HEADS[0], DecodeParameters(split=0.5, min_size=0)).tolist() == [[1] * 4] * 2


def test_the_threshold_itself_is_foreground():
    probability = np.array([[[0.5, np.nextafter(np.float32(0.5), np.float32(0)), 0.0, 0.75]]], dtype=np.float32)
    assert decode(probability, ("foreground",), PLAIN).tolist() == [[1, 0, 0, 2]]


def test_pixels_that_meet_at_a_corner_do_not_touch():
    assert decode(from_picture(["#.", ".#"]), ("foreground",), PLAIN).tolist() == [[1, 0], [0, 2]]


def test_objects_count_in_raster_order_after_small_ones_are_dropped():
    probability = from_picture(["..#.#", "##..#", "##..#"])
    assert decode(probability, ("foreground",), PLAIN.model_copy(update={"min_size": 3})).tolist() == [
        [0, 0, 0, 0, 1],
        [2, 2, 0, 0, 1],
        [2, 2, 0, 0, 1],
    ]


@pytest.mark.parametrize(("min_size", "count"), [(3, 1), (4, 0)])
def test_an_object_of_exactly_the_minimum_size_stays(min_size, count):
    labels = decode(from_picture(["###"]), ("foreground",), PLAIN.model_copy(update={"min_size": min_size}))
    assert labels.max() == count


def test_holes_are_filled_only_when_asked():
    probability = from_picture(["####", "#..#", "####"])
    assert decode(probability, ("foreground",), PLAIN)[1].tolist() == [1, 0, 0, 1]
    assert decode(probability, ("foreground",), PLAIN.model_copy(update={"fill_holes": True})).min() == 1


def test_a_speck_dropped_from_a_hole_is_filled_too():
    probability = from_picture(["#####", "#...#", "#.#.#", "#...#", "#####"])
    labels = decode(probability, ("foreground",), PLAIN.model_copy(update={"fill_holes": True, "min_size": 2}))
    assert (labels == 1).all()


@pytest.mark.parametrize(
    "picture",
    [
        ["#####", "#...#", "#.#.#", "#...#", "#####"],  # another object inside
        ["##.##", "#...#", "#####"],  # open to the image's edge
        [".#.", "#.#", ".#."],  # enclosed by several objects
        ["###.", "#.#.", "##..", "...#"],  # open at a corner
    ],
)
def test_what_one_object_does_not_enclose_alone_is_no_hole(picture):
    probability = from_picture(picture)
    filled = decode(probability, ("foreground",), PLAIN.model_copy(update={"fill_holes": True}))
    np.testing.assert_array_equal(filled, decode(probability, ("foreground",), PLAIN))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 50)])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("value", [0, 1])
def test_any_size_and_content(shape, heads, value):
    labels = decode(np.full((len(heads), *shape), value, np.float32), heads, DecodeParameters(min_size=0))
    assert labels.dtype == np.int32
    assert (labels == value).all()


def test_missing_values_are_background_and_do_not_spread():
    planes = two_discs()
    for plane in planes.values():
        plane[24, 28] = np.nan
    labels = decode(stack(planes, HEADS[0]), HEADS[0], DecodeParameters(split=0.8, fill_holes=False))
    assert labels[24, 28] == 0
    assert labels.max() == 2


@pytest.mark.parametrize("heads", HEADS[:2])
@given(maps, st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_objects_are_a_numbered_partition_of_the_foreground(heads, probability, threshold, split):
    parameters = DecodeParameters(threshold=threshold, min_size=0, split=split, fill_holes=False)
    labels = decode(probability, heads, parameters)
    np.testing.assert_array_equal(labels > 0, probability[0] >= threshold)
    present, first = np.unique(labels[labels > 0], return_index=True)
    assert present.tolist() == list(range(1, len(present) + 1))
    assert (np.diff(first) > 0).all()
    assert all(ndimage.label(labels == label)[1] == 1 for label in present)


@pytest.mark.parametrize("heads", HEADS[:2])
@given(maps, st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_rising_split_joins_nothing_but_fragments(heads, probability, one, other):
    few, many = (PLAIN.model_copy(update={"split": split}) for split in sorted((one, other)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "FRAGMENT", 0.0)
        assert decode(probability, heads, few).max() <= decode(probability, heads, many).max()


@given(maps, st.integers(0, 30), st.booleans())
@settings(deadline=None, max_examples=60)
def test_no_object_is_smaller_than_the_minimum(probability, min_size, fill_holes):
    labels = decode(probability, HEADS[0], DecodeParameters(min_size=min_size, fill_holes=fill_holes))
    sizes = np.bincount(labels.ravel())[1:]
    assert (sizes >= max(min_size, 1)).all()


def test_the_same_input_gives_the_same_labels_and_stays_untouched():
    probability = stack(two_discs(), HEADS[0])
    before = probability.copy()
    one, two = (decode(probability, HEADS[0], DecodeParameters()) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(probability, before)


crowded_maps = arrays(
    np.float32,
    st.tuples(st.just(2), st.integers(1, 40), st.integers(1, 40)),
    # Few values give many equal heights, and objects that span many blocks.
    elements=st.sampled_from([0.0, 0.2, 0.6, 0.6, 0.7, 0.9, 1.0, np.nan]) | st.floats(0, 1, width=32),
)
any_parameters = st.builds(
    DecodeParameters,
    threshold=st.floats(0, 0.8),
    min_size=st.integers(0, 9),
    split=st.floats(0, 1),
    fill_holes=st.booleans(),
    smoothing=st.integers(0, 2),
    min_confidence=st.sampled_from([0.0, 0.7]),
)


@pytest.mark.parametrize("heads", HEADS)
@given(crowded_maps, any_parameters, st.integers(1, 20))
@settings(deadline=None, max_examples=80)
def test_blocks_change_nothing(heads, probability, parameters, side):
    probability = probability[: len(heads)]
    whole = decode(probability, heads, parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK_SIDE", side)
        patch.setattr(landscape, "DEPTH_MARGIN", 2)
        np.testing.assert_array_equal(decode(probability, heads, parameters), whole)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("fill", ["crowd", "everything", "nothing"])
def test_blocks_change_nothing_in_a_large_image(heads, fill, monkeypatch):
    planes = crowd(700, 900)
    if fill != "crowd":
        planes["foreground"][:] = fill == "everything"
    probability = stack(planes, heads)
    whole = decode(probability, heads, DecodeParameters())
    assert whole.max() > 100 or fill != "crowd"
    monkeypatch.setattr(decoding, "BLOCK_SIDE", 400 if fill == "everything" else 64)
    np.testing.assert_array_equal(decode(probability, heads, DecodeParameters()), whole)


def test_a_large_image_can_be_cancelled_between_its_blocks(monkeypatch):
    asked = []

    def cancel():
        asked.append(len(asked))
        return len(asked) == 2

    decode(stack(two_discs(), HEADS[0]), HEADS[0], DecodeParameters(), cancel)
    assert asked == []
    monkeypatch.setattr(decoding, "BLOCK_SIDE", 16)
    monkeypatch.setattr(decoding, "BLOCKS_AT_ONCE", 2)
    with pytest.raises(Cancelled):
        decode(stack(two_discs(), HEADS[0]), HEADS[0], DecodeParameters(), cancel)
    assert asked == [0, 1]


@pytest.mark.nightly
@pytest.mark.parametrize("heads", HEADS)
def test_blocks_change_nothing_in_an_image_of_4096_pixels(heads, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_SIDE", 4096)
    probability = stack(crowd(4096, 4096), heads)
    whole = decode(probability, heads, DecodeParameters())
    monkeypatch.undo()
    np.testing.assert_array_equal(decode(probability, heads, DecodeParameters()), whole)


@given(maps, st.floats(0.01, 1), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_the_minimum_confidence_leaves_the_objects_of_that_confidence(probability, least, smoothing):
    loose = DecodeParameters(threshold=0.2, min_size=2, smoothing=smoothing)
    everything = decode(probability, HEADS[0], loose)
    kept = decode(probability, HEADS[0], loose.model_copy(update={"min_confidence": least}))
    sure = np.flatnonzero(measure_confidence(everything, probability[0]).objects >= np.float32(least)) + 1
    np.testing.assert_array_equal(kept > 0, np.isin(everything, sure))
    np.testing.assert_array_equal(np.unique(kept[kept > 0]), np.arange(1, len(sure) + 1))
    assert (everything[kept > 0] == sure[kept[kept > 0] - 1]).all()


def test_an_object_of_exactly_the_minimum_confidence_stays():
    probability = np.array([[[0.75, 0.0, 0.5, 0.0, 0.25]]], np.float32)
    counts = [
        decode(probability, ("foreground",), PLAIN.model_copy(update={"threshold": 0.1, "min_confidence": least})).max()
        for least in (0.25, 0.26, 0.5, 0.75, 0.76)
    ]
    assert counts == [3, 2, 2, 1, 0]


def test_smoothing_comes_before_the_minimum_size_and_holes():
    labels = np.full((30, 40), 0.1, np.float32)
    labels[5:25, 5:25] = 0.9
    labels[10, 25:39] = 0.9
    labels[14, 14] = 0.1
    smoothed = decode(labels[None], ("foreground",), PLAIN.model_copy(update={"smoothing": 3, "min_size": 380}))
    assert smoothed.max() == 1
    assert not smoothed[:, 26:].any()
    assert smoothed[14, 14] == 1
    gone = decode(labels[None], ("foreground",), PLAIN.model_copy(update={"smoothing": 3, "min_size": 405}))
    assert gone.max() == 0
    assert decode(labels[None], ("foreground",), PLAIN.model_copy(update={"min_size": 405})).max() == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread"), RuntimeError("std::bad_alloc")]
)
def test_where_memory_runs_out_small_blocks_give_the_same_objects_in_no_thread_of_their_own(monkeypatch, error):
    probability = np.random.default_rng(3).random((2, 90, 110), np.float32)
    probability = ndimage.gaussian_filter(probability, (0, 3, 3)) * 2 - 0.5
    parameters = DecodeParameters(min_size=4)
    expected = decode(probability, ("foreground", "distance"), parameters)
    assert expected.max() > 10
    elevation, tried = decoding.elevation, []

    def scarce(planes, threshold, block):
        height, width = (side.stop - side.start for side in block)
        tried.append((height * width, threading.current_thread() is threading.main_thread()))
        if height * width > 40 * 40:
            raise error
        return elevation(planes, threshold, block)

    monkeypatch.setattr(decoding, "elevation", scarce)
    monkeypatch.setattr(decoding, "SMALL_BLOCK_SIDE", 40)
    np.testing.assert_array_equal(decode(probability, ("foreground", "distance"), parameters), expected)
    assert len(tried) == 1 + 3 * 3
    assert all(in_this_thread for _, in_this_thread in tried[1:])
