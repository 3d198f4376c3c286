import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_unetseg.postprocessing.contours import Contour, rasterise, signed_area, trace_contours

label_images = st.integers(1, 5).flatmap(
    lambda highest: arrays(
        np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, highest)
    )
)


def rings_of(contours):
    return [ring for contour in contours for ring in (contour.exterior, *contour.holes)]


def test_one_pixel_is_a_square_round_its_centre():
    (contour,) = trace_contours(np.array([[0, 0], [0, 7]]))
    assert contour.label == 7
    assert contour.exterior.tolist() == [[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]
    assert contour.exterior.dtype == np.float64
    assert contour.holes == ()
    assert contour.area == 1


def test_straight_lines_have_no_vertices_within():
    (contour,) = trace_contours(np.ones((30, 40), dtype=np.int32))
    assert contour.exterior.tolist() == [[-0.5, -0.5], [-0.5, 39.5], [29.5, 39.5], [29.5, -0.5]]
    assert contour.area == 1200


def test_a_hole_runs_the_other_way_round():
    labels = np.ones((3, 3), dtype=np.int32)
    labels[1, 1] = 0
    (contour,) = trace_contours(labels)
    (hole,) = contour.holes
    assert signed_area(contour.exterior) == 9
    assert signed_area(hole) == -1
    assert contour.area == 8


def test_nested_objects_are_holes_and_contours_of_their_own():
    labels = np.full((7, 7), 1)
    labels[1:6, 1:6] = 2
    labels[2:5, 2:5] = 0
    labels[3, 3] = 1
    contours = trace_contours(labels)
    assert [(contour.label, contour.area, len(contour.holes)) for contour in contours] == [
        (1, 24, 1),
        (1, 1, 0),
        (2, 16, 1),
    ]


def test_diagonal_neighbours_are_two_parts():
    contours = trace_contours(np.array([[1, 0], [0, 1]]))
    assert [contour.area for contour in contours] == [1, 1]


def test_a_ring_closed_over_a_corner_has_a_hole_that_touches_its_exterior_in_one_vertex():
    labels = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]])
    (contour,) = trace_contours(labels)
    (hole,) = contour.holes
    shared = {tuple(vertex) for vertex in contour.exterior} & {tuple(vertex) for vertex in hole}
    assert shared == {(0.5, 0.5)}
    np.testing.assert_array_equal(rasterise([contour], labels.shape), labels)


def test_contours_come_in_the_order_of_their_labels():
    assert [contour.label for contour in trace_contours(np.array([[9, 0, 2, 0, 5, 2]]))] == [2, 2, 5, 9]


@pytest.mark.parametrize("shape", [(1, 1), (5, 3)])
def test_nothing_to_outline(shape):
    empty = np.zeros(shape, dtype=np.int32)
    assert trace_contours(empty) == []
    np.testing.assert_array_equal(rasterise([], shape), empty)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_any_integer_labels(dtype):
    labels = np.array([[0, 3, 3], [200, 3, 0]], dtype=dtype)
    np.testing.assert_array_equal(rasterise(trace_contours(labels), labels.shape), labels)


@given(label_images)
@settings(deadline=None, max_examples=300)
def test_rasterising_gives_the_labels_back(labels):
    again = rasterise(trace_contours(labels), labels.shape)
    assert again.dtype == np.int32
    np.testing.assert_array_equal(again, labels)


@given(label_images)
@settings(deadline=None, max_examples=300)
def test_rings_are_simple_and_without_needless_vertices(labels):
    for ring in rings_of(trace_contours(labels)):
        assert len(np.unique(ring, axis=0)) == len(ring)
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all()  # along one axis each
        assert ((steps[:, 0] == 0) != (np.roll(steps[:, 0], 1) == 0)).all()  # a turn at every vertex


@given(label_images)
@settings(deadline=None, max_examples=300)
def test_one_contour_a_connected_part_with_its_exact_area(labels):
    contours = trace_contours(labels)
    found = sorted((contour.label, contour.area, len(contour.holes)) for contour in contours)
    expected = []
    for label in np.unique(labels[labels > 0]):
        parts, count = ndimage.label(labels == label)
        for part in range(1, count + 1):
            # Round a 4-connected part the outside is 4-connected too where corners are its own.
            _, outsides = ndimage.label(np.pad(parts != part, 1, constant_values=True))
            expected.append((int(label), float((parts == part).sum()), outsides - 1))
    assert found == sorted(expected)


@given(label_images)
@settings(deadline=None, max_examples=100)
def test_exteriors_run_clockwise_on_the_screen_and_holes_anticlockwise(labels):
    for contour in trace_contours(labels):
        assert signed_area(contour.exterior) > 0
        assert all(signed_area(hole) < 0 for hole in contour.holes)


def test_a_large_image_survives_the_way_there_and_back():
    labels = np.random.default_rng(0).integers(0, 3, (200, 300)).astype(np.int32)
    np.testing.assert_array_equal(rasterise(trace_contours(labels), labels.shape), labels)


def test_a_contour_off_the_image_is_refused():
    contour = Contour(1, np.array([[0.5, 0.5], [0.5, 9.5], [1.5, 9.5], [1.5, 0.5]]))
    with pytest.raises(IndexError):
        rasterise([contour], (4, 4))
