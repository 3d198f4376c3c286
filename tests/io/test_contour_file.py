"""Rings put together, whichever way they turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.io.contour_file import (
    counts_of_kinds,
    ellipse,
    join_rings,
    number_unlabelled,
    without_closing_vertex,
)
from napari_unetseg.postprocessing.contours import signed_area


def square(low, high):
    return np.array([(low, low), (low, high), (high, high), (high, low)], float)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_a_hole_goes_to_the_smallest_ring_round_it(backwards):
    outer, inner, hole = (
        ring[::-1] if turn else ring
        for ring, turn in zip((square(0, 20), square(5, 15), square(8, 9)), backwards, strict=True)
    )
    large, small = join_rings(4, [outer, inner], [hole])
    assert (large.label, large.area, large.holes) == (4, 400, ())
    assert (small.area, len(small.holes)) == (99, 1)
    assert signed_area(small.exterior) > 0 > signed_area(small.holes[0])


def test_a_hole_that_lies_in_nothing_is_an_area():
    (contour,) = join_rings(1, [], [square(0, 2)[::-1]])
    assert contour.area == 4


def test_an_island_within_a_hole_stays_an_object():
    ring, island = join_rings(1, [square(0, 20), square(8, 12)], [square(5, 15)])
    assert (ring.area, island.area) == (300, 16)


def test_rings_are_opened_and_degenerate_ones_dropped():
    closed = np.concatenate([square(0, 2), square(0, 2)[:1]])
    np.testing.assert_array_equal(without_closing_vertex(closed), square(0, 2))
    np.testing.assert_array_equal(without_closing_vertex(square(0, 2)), square(0, 2))
    for vertices in ([(0, 0), (1, 1), (0, 0)], [(0, 0), (1, 1), (2, 2)], [(3, 3)]):
        assert without_closing_vertex(np.array(vertices)) is None


def test_an_ellipse_has_its_area_and_centre():
    vertices = ellipse(np.array([(2.0, 3.0), (2.0, 13.0), (8.0, 13.0), (8.0, 3.0)]))
    assert abs(signed_area(vertices)) == pytest.approx(np.pi * 3 * 5)
    assert vertices.mean(axis=0) == pytest.approx([5, 8])


def test_what_has_no_label_is_numbered_after_those_that_have():
    assert number_unlabelled([None, 7, None, 2]) == [8, 7, 9, 2]
    assert number_unlabelled([None, None]) == [1, 2]


def test_kinds_are_counted():
    assert counts_of_kinds({"path": 2, "line": 1}) == ("1 line", "2 paths")
