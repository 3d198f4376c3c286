import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.postprocessing import basins as module
from napari_unetseg.postprocessing.basins import Saddles, find_basins, join_blocks
from napari_unetseg.postprocessing.merging import merge_basins


@st.composite
def landscapes(draw, distinct=False):
    """Heights of an image, -inf where there is background; with plateaus unless they are to be distinct."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    size = height * width
    values = (
        draw(st.permutations(range(1, size + 1)))
        if distinct
        else draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    )
    background = draw(st.lists(st.booleans() | st.just(False), min_size=size, max_size=size))
    heights = np.where(background, -np.inf, np.array(values)).astype(np.float32)
    return heights.reshape(height, width)


def found(heights, side):
    """Basins of an image that is processed in blocks of this side, and the basin of each pixel (-1: background)."""
    framed = np.pad(heights, 1, constant_values=-np.inf)
    numbers = np.full(heights.shape, 99, np.int32)
    blocks, parts = [], []
    for top in range(0, heights.shape[0], side):
        for left in range(0, heights.shape[1], side):
            bottom, right = min(top + side, heights.shape[0]), min(left + side, heights.shape[1])
            around = framed[top : bottom + 2, left : right + 2]
            blocks.append((slice(top, bottom), slice(left, right)))
            basins, numbers[blocks[-1]] = find_basins(around, blocks[-1], numbers.shape)
            parts.append(basins)
    basins, meaning = join_blocks(blocks, parts, numbers.shape[1], lambda row, column: numbers[row, column])
    owner = np.empty(heights.shape, np.int64)
    for block, whole in zip(blocks, meaning, strict=True):
        owner[block] = whole[numbers[block]]
    return basins, owner


def steepest(heights):
    """By definition: the peak that each pixel leads to; only where no two heights are equal."""
    framed = np.pad(heights, 1, constant_values=-np.inf)
    peaks = np.full(heights.shape, -1)
    for start in np.argwhere(heights > -np.inf):
        y, x = start
        while True:
            ways = [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            best = max(ways, key=lambda at: framed[at[0] + 1, at[1] + 1])
            if best == (y, x):
                break
            y, x = best
        peaks[tuple(start)] = y * heights.shape[1] + x
    return peaks


@given(landscapes(distinct=True), st.integers(1, 6))
@settings(deadline=None, max_examples=80)
def test_a_basin_is_what_leads_to_one_peak(heights, side):
    basins, basin = found(heights, side)
    peaks = steepest(heights)
    np.testing.assert_array_equal(np.where(basin >= 0, basins.peak[basin] if len(basins.peak) else -1, -1), peaks)
    np.testing.assert_array_equal(basins.height, heights.ravel()[basins.peak])
    for number, peak in enumerate(basins.peak):
        pixels = np.flatnonzero(peaks == peak)
        assert (basins.size[number], basins.first[number]) == (len(pixels), pixels[0])


@given(landscapes(distinct=True), st.integers(1, 6))
@settings(deadline=None, max_examples=80)
def test_a_saddle_point_is_the_highest_way_from_basin_to_basin(heights, side):
    basins, basin = found(heights, side)
    expected = {}
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        for a, b, h in zip(
            basin[one].flat, basin[other].flat, np.minimum(heights[one], heights[other]).flat, strict=True
        ):
            if a != b and min(a, b) >= 0:
                key = (min(a, b), max(a, b))
                expected[key] = max(expected.get(key, h), h)
    saddles = basins.saddles
    assert {(a, b): h for a, b, h in zip(saddles.one, saddles.other, saddles.height, strict=True)} == expected
    assert (np.diff(saddles.height) <= 0).all()


@given(landscapes(), st.integers(1, 6), st.floats(0.01, 1))
@settings(deadline=None, max_examples=150)
def test_blocks_change_nothing_however_many_heights_are_equal(heights, side, split):
    whole, basin = found(heights, max(heights.shape))
    parts, in_blocks = found(heights, side)
    # The same pixels together, and the same saddle points between them.
    peak = np.append(whole.peak, -1)[basin]
    np.testing.assert_array_equal(peak, np.append(parts.peak, -1)[in_blocks])
    for name in ("height", "edge"):
        np.testing.assert_array_equal(getattr(whole.saddles, name), getattr(parts.saddles, name))
    one, other = (merge_basins(basins, split) for basins in (whole, parts))
    objects = {
        (int(a), int(b))
        for a, b in zip(np.append(one, -1)[basin].flat, np.append(other, -1)[in_blocks].flat, strict=True)
    }
    assert len(objects) == len({a for a, _ in objects}) == len({b for _, b in objects})


def flooded(heights, seeds, basin):
    """By definition: pixels join over the highest ways first, but never two seeds.

    A pixel on a saddle point has several ways of one height: first those of its own basin, then right before down.
    """
    parent = {i: i for i in np.flatnonzero(heights.ravel() > -np.inf)}
    seeded = {i: i in seeds for i in parent}

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    flat, width = heights.ravel(), heights.shape[1]
    steps = [(i, j) for i in parent for j in ((i + 1, i + width) if (i + 1) % width else (i + width,)) if j in parent]
    ways = [(-min(flat[i], flat[j]), basin.flat[i] != basin.flat[j], j - i > 1, i, j) for i, j in steps]
    for *_, i, j in sorted(ways):
        a, b = root(i), root(j)
        if a != b and not (seeded[a] and seeded[b]):
            parent[b] = a
            seeded[a] = seeded[a] or seeded[b]
    return {i: root(i) for i in parent}


@given(landscapes(distinct=True), st.integers(2, 6), st.floats(0.01, 1))
@settings(deadline=None, max_examples=80)
def test_objects_are_what_floods_from_their_highest_peaks_reach(heights, side, split):
    basins, basin = found(heights, side)
    owner = merge_basins(basins, split)
    objects = np.append(owner, -1)[basin].ravel()
    # The highest pixel of an object is its seed.
    seeds = {max(np.flatnonzero(objects == label), key=lambda i: heights.ravel()[i]) for label in set(objects) - {-1}}
    roots = flooded(heights, seeds, basin)
    pairs = {(objects[i], root) for i, root in roots.items()}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(landscapes(), st.integers(1, 6), st.integers(1, 6))
@settings(deadline=None, max_examples=80)
def test_basins_have_one_order_whatever_the_blocks(heights, one, other):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ORDER_SIDE", 5)
        (basins, owner), (again, owner_again) = found(heights, one), found(heights, other)
    np.testing.assert_array_equal(owner, owner_again)
    for name in ("peak", "height", "size", "first"):
        np.testing.assert_array_equal(getattr(basins, name), getattr(again, name))
    for name in ("one", "other", "height", "edge"):
        np.testing.assert_array_equal(getattr(basins.saddles, name), getattr(again.saddles, name))
    rows, columns = np.divmod(basins.peak, heights.shape[1])
    keys = list(zip(rows // 5, columns // 5, basins.peak, strict=True))
    assert keys == sorted(keys)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([-2.5, -0.0, 0.0, 0.5, 1e30]))))
def test_of_saddle_points_the_highest_stay_and_of_equal_ones_the_first(points):
    one, other = (np.array([point[end] for point in points], np.int64) for end in (0, 1))
    height = np.array([point[2] for point in points], np.float32)
    edge = np.array([(7 * at) % 101 for at in range(len(points))], np.int64)
    order = sorted(range(len(points)), key=lambda at: (-height[at], edge[at]))
    expected = {}
    for at in order:
        if one[at] != other[at]:
            expected.setdefault((min(one[at], other[at]), max(one[at], other[at])), (height[at], edge[at]))
    highest = Saddles(one, other, height, edge).highest()
    assert list(zip(highest.one, highest.other, strict=True)) == list(expected)
    assert list(zip(highest.height, highest.edge, strict=True)) == list(expected.values())


@given(st.lists(st.integers(-(2**62), 2**62)))
def test_integers_of_any_size_are_put_in_order(values):
    values = np.array(values, np.int64)
    assert module._stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()
