import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.edits import DrawnRing, Edits, changed_rings, draw_rings, relabel_around
from napari_unetseg.postprocessing.numbering import number_objects
from napari_unetseg.postprocessing.smoothing import largest_pieces

SHAPE = (30, 40)


def boxes(*corners):
    """Draw boxes (top, left, bottom, right), numbered in the order given."""
    labels = np.zeros(SHAPE, np.int32)
    for label, (top, left, bottom, right) in enumerate(corners, start=1):
        labels[top:bottom, left:right] = label
    return labels


FIRST, SECOND = (2, 2, 12, 12), (2, 20, 12, 30)
TWO = boxes(FIRST, SECOND)


def edited(change, shown=TWO, edits=None):
    drawn = shown.copy()
    change(drawn)
    return (edits or Edits.none(SHAPE)).note(shown, drawn), drawn


def rub_out_a_third(labels):
    labels[2:12, 9:12] = 0


def delete_first(labels):
    labels[labels == 1] = 0


def paint_new(labels):
    labels[20:24, 5:25] = 3


def label_images(count):
    raw = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, count))
    return raw.map(lambda labels: number_objects(largest_pieces(labels), 0))


@pytest.mark.parametrize("change", [rub_out_a_third, delete_first, paint_new])
def test_without_another_change_labels_are_as_drawn(change):
    edits, drawn = edited(change)
    labels, _ = relabel_around(edits, TWO)
    np.testing.assert_array_equal(labels > 0, drawn > 0)
    assert labels.max() == len(np.unique(drawn)) - 1


@pytest.mark.parametrize("grow", [-2, 2, 4])
def test_an_edited_object_stays_as_drawn_when_the_others_grow_or_shrink(grow):
    edits, drawn = edited(rub_out_a_third)
    found = boxes(*((t - min(grow, 2), a - min(grow, 2), b + grow, r + grow) for t, a, b, r in (FIRST, SECOND)))
    labels, names = relabel_around(edits, found)
    assert labels.max() == 2
    np.testing.assert_array_equal(labels == names[1], drawn == 1)
    np.testing.assert_array_equal((labels > 0) & (labels != names[1]), found == 2)


@pytest.mark.parametrize("grow", [-2, 0, 2])
def test_a_deleted_object_does_not_come_back(grow):
    edits, _ = edited(delete_first)
    found = boxes(*((t - min(grow, 2), a - min(grow, 2), b + grow, r + grow) for t, a, b, r in (FIRST, SECOND)))
    labels, names = relabel_around(edits, found)
    assert names == {}
    np.testing.assert_array_equal(labels > 0, found == 2)


def test_a_drawn_object_stays_and_what_appears_beside_it_is_found():
    edits, drawn = edited(paint_new)
    found = boxes(FIRST, SECOND, (19, 10, 22, 20), (22, 24, 29, 34))
    labels, names = relabel_around(edits, found)
    np.testing.assert_array_equal(labels == names[1], drawn == 3)
    assert labels.max() == 4
    newcomer = labels[28, 30]
    np.testing.assert_array_equal(labels == newcomer, (found == 4) & (drawn != 3))


def test_an_object_that_swallows_an_edited_one_and_others_keeps_the_rest():
    three = boxes((2, 2, 12, 10), (2, 12, 12, 20), (2, 22, 12, 30))
    edits, _ = edited(delete_first, three)
    found = boxes((2, 2, 12, 30))
    labels, _ = relabel_around(edits, found)
    np.testing.assert_array_equal(labels > 0, (found > 0) & (three != 1))


def test_what_is_left_of_a_cut_object_must_be_large_enough():
    edits, drawn = edited(paint_new)
    found = boxes(FIRST, SECOND, (22, 20, 25, 30))
    cut = int(((found == 3) & (drawn != 3)).sum())
    assert cut == 20
    assert relabel_around(edits, found, cut)[0].max() == 4
    assert relabel_around(edits, found, cut + 1)[0].max() == 3


def test_a_cut_object_keeps_its_largest_piece():
    def bar(labels):
        labels[20:22, 0:40] = 3

    edits, drawn = edited(bar)
    found = boxes(FIRST, SECOND, (17, 10, 28, 20))
    labels, _ = relabel_around(edits, found)
    below = np.zeros(SHAPE, bool)
    below[22:28, 10:20] = True
    np.testing.assert_array_equal((labels > 0) & ~below, (drawn > 0))
    assert labels.max() == 4


def test_edits_add_up_and_an_edited_object_can_be_edited_again():
    edits, _ = edited(rub_out_a_third)
    shown, _ = relabel_around(edits, TWO)
    edits, drawn = edited(lambda labels: labels.__setitem__(np.s_[2:4, 2:9], 0), shown, edits)
    found = boxes((1, 1, 14, 14), SECOND)
    labels, names = relabel_around(edits, found)
    assert set(names) == {1}
    np.testing.assert_array_equal(labels == names[1], drawn == shown[8, 4])
    edits, _ = edited(lambda again: again.__setitem__(labels == names[1], 0), labels, edits)
    labels, names = relabel_around(edits, found)
    assert names == {}
    np.testing.assert_array_equal(labels > 0, found == 2)


@given(label_images(4), st.data())
@settings(deadline=None, max_examples=60)
def test_every_edited_object_is_kept_to_the_pixel_whatever_is_found(shown, data):
    drawn = data.draw(arrays(np.int32, shown.shape, elements=st.integers(0, 5)), label="drawn")
    found = number_objects(
        largest_pieces(data.draw(arrays(np.int32, shown.shape, elements=st.integers(0, 3)), label="found")), 0
    )
    edits = Edits.none(shown.shape).note(shown, drawn)
    labels, names = relabel_around(edits, found)
    for number, label in names.items():
        np.testing.assert_array_equal(labels == label, edits.kept == number)
    for value in np.unique(drawn[drawn > 0]):
        if not np.array_equal(drawn == value, shown == value):
            assert len(np.unique(labels[drawn == value])) == 1
            assert labels[drawn == value].min() > 0
    present, first = np.unique(labels[labels > 0], return_index=True)
    assert present.tolist() == list(range(1, len(present) + 1))
    assert (np.diff(first) > 0).all()
    gone = (edits.regions > 0) & (edits.kept == 0)
    assert not labels[gone].any()


@given(label_images(3))
@settings(deadline=None, max_examples=60)
def test_nothing_edited_changes_nothing(labels):
    edits = Edits.none(labels.shape).note(labels, labels)
    np.testing.assert_array_equal(relabel_around(edits, labels)[0], labels)


def rings_of(labels):
    return [
        (contour.label, ring)
        for contour in trace_contours(labels)
        for ring in (DrawnRing(contour.exterior), *(DrawnRing(hole, True) for hole in contour.holes))
    ]


@given(label_images(3))
@settings(deadline=None, max_examples=60)
def test_rings_of_an_object_give_its_pixels_back(labels):
    rings = {}
    for label, ring in rings_of(labels):
        rings.setdefault(label, []).append(ring)
    np.testing.assert_array_equal(draw_rings(np.zeros_like(labels), rings), labels)


def test_rings_replace_and_delete_objects():
    square = DrawnRing(np.array([[19.5, 4.5], [19.5, 8.5], [24.5, 8.5], [24.5, 4.5]]))
    drawn = draw_rings(TWO, {1: [square], 2: []})
    expected = boxes((20, 5, 25, 9))
    np.testing.assert_array_equal(drawn, expected)


def test_rings_that_were_moved_drawn_and_deleted_are_told_apart():
    before = rings_of(boxes(FIRST, SECOND, (20, 2, 25, 8)))
    assert changed_rings(before, before) == {}
    moved = DrawnRing(before[0][1].vertices + 0.25)
    # A window gives a new outline the label of the last one.
    new = DrawnRing(before[2][1].vertices + 12)
    changed = changed_rings(before, [(1, moved), before[2], (3, new)])
    assert set(changed) == {1, 2, 4}
    assert changed[1] == [moved]
    assert changed[2] == []
    assert changed[4] == [new]


def test_the_drawn_outline_of_a_kept_object_is_remembered_until_it_is_edited_otherwise():
    ring = DrawnRing(np.array([[2.3, 2.2], [2.1, 11.7], [9.9, 6.0]]))
    drawn = draw_rings(TWO, {1: [ring]})
    edits = Edits.none(SHAPE).note(TWO, drawn, {1: [ring]})
    labels, names = relabel_around(edits, TWO)
    (number,) = names
    assert edits.outlines == {number: [ring]}
    edits, _ = edited(lambda again: again.__setitem__((5, 6), 0), labels, edits)
    assert edits.outlines == {}
