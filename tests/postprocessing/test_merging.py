import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from napari_unetseg.postprocessing.basins import Basins, Saddles
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.merging import connected_nodes, join_fragments, merge_basins
from napari_unetseg.postprocessing.parameters import DecodeParameters


def in_a_row(heights, sizes, saddles):
    """Basins in the order of their peaks."""
    places = np.arange(len(heights))
    return Basins(places, heights, sizes, places, places, np.full(len(heights), -1), saddles)


def chain(peaks, saddles):
    """Basins in a row, each beside the next one."""
    count = len(peaks)
    order = np.argsort(-np.array(saddles), kind="stable")
    between = Saddles(order, order + 1, np.array(saddles, np.float32)[order], order)
    return in_a_row(np.array(peaks, np.float32), np.ones(count, np.int64), between)


@pytest.mark.parametrize(
    ("peaks", "saddles", "split", "objects"),
    [
        ([1, 1], [0.5], 0.5, 2),
        ([1, 1], [0.8], 0.5, 1),
        ([1, 1], [0.8], 1, 2),
        ([1, 0.3], [0.05], 0.5, 2),
        # Lower than 0.17 of the highest.
        ([1, 0.15], [0.01], 0.5, 1),
        ([1, 0.4, 1], [0.3, 0.35], 0.5, 2),
        # No peak is high enough: what is connected stays together.
        ([0, 0], [0], 0.5, 1),
    ],
)
def test_a_saddle_point_divides_where_it_is_low_enough(peaks, saddles, split, objects):
    assert len(set(merge_basins(chain(peaks, saddles), split))) == objects


def test_a_basin_without_a_seed_goes_to_the_side_of_its_higher_saddle_point():
    owner = merge_basins(chain([1, 0.4, 1], [0.3, 0.35]), 0.5)
    assert owner[1] == owner[2] != owner[0]


def test_there_may_be_no_basins():
    assert merge_basins(chain([], []), 0.5).shape == (0,)


def basins_of(sizes, saddles, peaks=None):
    """Basins of these sizes, and saddle points as (one, other, height)."""
    count = len(sizes)
    one, other, height = (
        np.array(column) for column in zip(*sorted(saddles, key=lambda entry: -entry[2]), strict=True)
    )
    peaks = np.ones(count, np.float32) if peaks is None else np.array(peaks, np.float32)
    between = Saddles(one, other, height.astype(np.float32), np.arange(len(saddles)))
    return in_a_row(peaks, np.array(sizes), between)


def join(basins, split=0.49):
    return join_fragments(basins, np.arange(len(basins.size)), split).tolist()


# The typical size is 100, so the limit is 30 pixels; sqrt(0.49) is 0.7, and half the limit asks for a saddle point
# below 0.35.
@pytest.mark.parametrize(
    ("size", "height", "joined"),
    [
        (15, 0.36, True),
        (15, 0.34, False),
        (3, 0.08, True),
        (3, 0.06, False),
        (29, 0.68, True),
        (30, 0.69, False),
        (60, 0.69, False),
    ],
)
def test_the_smaller_an_object_the_lower_the_saddle_point_it_needs(size, height, joined):
    one, other, _ = join(basins_of([100, size, 100], [(0, 1, height), (1, 2, 0.01)]))
    assert (one == other) is joined


def test_the_saddle_point_is_compared_with_the_lower_peak():
    assert len(set(join(basins_of([100, 15], [(0, 1, 0.2)], peaks=[1, 0.5])))) == 1
    assert len(set(join(basins_of([100, 15], [(0, 1, 0.2)], peaks=[1, 1])))) == 2


def test_a_fragment_goes_over_its_highest_saddle_point():
    one, fragment, other = join(basins_of([100, 10, 100], [(0, 1, 0.5), (1, 2, 0.6)]))
    assert fragment == other != one


def test_an_object_does_not_join_what_is_smaller():
    """The larger piece's highest saddle point leads to the smaller one, which joins it; the large object stays."""
    large, piece, sliver = join(basins_of([100, 20, 5], [(0, 1, 0.5), (1, 2, 0.6)]))
    assert large != piece == sliver


def test_equal_fragments_come_together_once():
    assert len(set(join(basins_of([100, 10, 10, 100], [(0, 1, 0.1), (1, 2, 0.6), (2, 3, 0.1)])))) == 3


def test_no_basins_give_no_objects():
    nothing = np.zeros(0, np.int64)
    between = Saddles(nothing, nothing, np.zeros(0, np.float32), nothing)
    basins = in_a_row(np.zeros(0, np.float32), nothing, between)
    assert join_fragments(basins, nothing, 0.5).shape == (0,)


def test_a_sliver_between_two_discs_becomes_part_of_one_and_a_small_disc_with_a_border_stays():
    y, x = np.mgrid[:60, :120]
    boundary = np.zeros((60, 120), np.float32)
    labels = np.zeros((60, 120), int)
    for number, (centre, radius) in enumerate([(25, 18), (60, 18), (84, 6)], 1):
        labels[np.hypot(y - 30, x - centre) < radius] = number
    boundary[:, 42:44] = 0.9
    boundary[26:34, 38:40] = 0.75  # a sliver of 2 by 8 pixels beside the line
    boundary[:, 77:79] = 0.95
    probability = np.stack([(labels > 0) * np.float32(0.95), boundary])
    found = decode(probability, ("foreground", "boundary"), DecodeParameters(split=0.9, min_size=0))
    assert found.max() == 3
    assert found[30, 84] != found[30, 60] != found[30, 25]


@given(data=st.data(), count=st.integers(1, 40))
def test_components_are_numbered_as_scipy_numbers_them(data, count):
    node = st.integers(0, count - 1)
    edges = np.array(data.draw(st.lists(st.tuples(node, node), max_size=80)), dtype=np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    expected = connected_components(graph, directed=False)[1]
    np.testing.assert_array_equal(connected_nodes(count, edges[:, 0], edges[:, 1]), expected)


@pytest.mark.parametrize("turn", [lambda nodes: nodes, lambda nodes: nodes[::-1], np.random.default_rng(0).permutation])
def test_a_long_chain_is_one_component(turn):
    nodes = turn(np.arange(5000))
    assert not connected_nodes(5000, nodes[:-1], nodes[1:]).any()
