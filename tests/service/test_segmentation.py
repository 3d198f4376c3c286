"""What is done to a result without the network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import Image, SegmentationService
from napari_unetseg.errors import Cancelled, FixError
from napari_unetseg.postprocessing.edits import Edits, relabel_around
from napari_unetseg.postprocessing.fixes import Fix, FixKind, Point, apply_fix
from napari_unetseg.service import RunRecipe, Segmentation

LEVELS = [(10, 10, 200), (10, 40, 180), (40, 10, 160), (40, 40, 95)]
"""Squares of 14 pixels: row, column and intensity."""


@pytest.fixture
def result(bright_model: Path) -> Segmentation:
    array = np.zeros((64, 64), np.uint8)
    for row, column, value in LEVELS:
        array[row : row + 14, column : column + 14] = value
    array[16:18, 24:40] = 98
    with SegmentationService(bright_model, "cpu", "torch") as service:
        return service.segment(Image(array, "YX", name="squares"), threshold=0.6, min_size=5, split=0)


def fix(result: Segmentation, kind: FixKind, *points: Point) -> Fix:
    return Fix(kind=kind, points=points, parameters=result.parameters)


def test_a_fixed_result_has_the_objects_and_says_how(result: Segmentation) -> None:
    wanted = [fix(result, "remove", (16, 16)), fix(result, "add", (46, 46)), fix(result, "shrink", (16, 46))]
    fixed = result.fixed(wanted)
    assert result.count == fixed.count == 3
    assert fixed.labels[16, 16] == 0
    assert fixed.labels[46, 46] > 0
    assert 0 < np.count_nonzero(fixed.labels == fixed.labels[16, 46]) < 14**2
    assert fixed.fixes == tuple(wanted)
    assert fixed.measurements["label"].tolist() == [1, 2, 3]
    assert RunRecipe.of(fixed.provenance).fixes == tuple(wanted)
    assert result.fixes == result.provenance.fixes == ()


def test_fixes_come_one_after_the_other(result: Segmentation) -> None:
    first, second = fix(result, "remove", (16, 16)), fix(result, "add", (16, 16))
    np.testing.assert_array_equal(result.fixed([first, second]).labels, result.labels)
    again = result.fixed([first]).fixed([second])
    assert again.fixes == (first, second)
    np.testing.assert_array_equal(again.labels, result.labels)


def test_what_was_fixed_stays_when_the_others_are_read_again(result: Segmentation) -> None:
    fixed = result.fixed([fix(result, "remove", (16, 16)), fix(result, "grow", (16, 46))])
    more = fixed.relabel(threshold=0.3)
    assert more.labels[16, 16] == 0
    assert more.labels[46, 46] > 0
    grown = fixed.labels == fixed.labels[16, 46]
    np.testing.assert_array_equal(more.labels == more.labels[16, 46], grown)
    assert more.fixes == fixed.fixes
    assert more.parameters.threshold == more.provenance.parameters["threshold"] == 0.3
    np.testing.assert_array_equal(more.relabel(threshold=0.6).labels, fixed.labels)


def test_every_fix_acts_on_what_was_shown_when_it_was_made(result: Segmentation) -> None:
    joined = result.relabel(threshold=0.3)
    assert joined.labels[16, 16] == joined.labels[16, 46]
    line = [(8.0, 31.0), (30.0, 31.0)]
    wanted = [fix(result, "remove", (46, 16)), fix(joined, "split", *line), fix(result, "add", (46, 46))]
    fixed = result.fixed(wanted)

    # As a window does it: a slider moves, clicks, the slider moves back, a click.
    edits, shown = Edits.none(result.labels.shape), result.labels
    for base, one in zip((result, joined, result), wanted, strict=True):
        shown, _ = relabel_around(edits, base.labels, base.parameters.min_size)
        after = shown.copy()
        apply_fix(one, shown, base.probability, base.heads).put_into(after)
        edits, shown = edits.note(shown, after), after
    expected, _ = relabel_around(edits, result.labels, result.parameters.min_size)
    np.testing.assert_array_equal(fixed.labels, expected)
    assert fixed.labels[16, 20] != fixed.labels[16, 44]
    assert (fixed.labels[16, 24:40] > 0).all()


def test_a_fix_that_finds_nothing_says_which_it_is(result: Segmentation) -> None:
    with pytest.raises(FixError, match=r"Of 2 fixes, number 2 \(remove\) cannot be done: There is no object here"):
        result.fixed([fix(result, "remove", (16, 16)), fix(result, "remove", (16, 16))])


def test_a_stack_is_not_fixed(result: Segmentation) -> None:
    stack = replace(result, probability=result.probability[:, None], labels=result.labels[None])
    with pytest.raises(FixError, match="stack"):
        stack.fixed([fix(result, "remove", (16, 16))])


def test_fixing_can_be_cancelled(result: Segmentation) -> None:
    with pytest.raises(Cancelled):
        result.fixed([fix(result, "remove", (16, 16))], cancel=lambda: True)
