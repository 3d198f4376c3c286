import numpy as np
import pytest
from napari.layers import Labels

from napari_unetseg.plugin.layers.fix_record import FixRecord
from napari_unetseg.postprocessing.fixes import Fix
from napari_unetseg.postprocessing.parameters import DecodeParameters


@pytest.fixture
def labels() -> Labels:
    return Labels(np.zeros((8, 8), np.int32))


def made(record: FixRecord, labels: Labels, row: int) -> Fix:
    fix = Fix(kind="add", points=((row, 0),), parameters=DecodeParameters())
    labels.data_setitem((np.array([row]), np.array([0])), row + 1)
    record.add(fix, labels)
    return fix


def follow(record: FixRecord, labels: Labels, step: str) -> tuple[Fix, ...]:
    getattr(labels, step)()
    record.follow(labels)
    return record.fixes


def test_undo_and_redo_take_fixes_along_among_strokes_of_the_brush(labels: Labels) -> None:
    record = FixRecord()
    first = made(record, labels, 0)
    labels.paint((4, 4), 3)
    second = made(record, labels, 1)
    assert record.fixes == (first, second)
    assert follow(record, labels, "undo") == (first,)
    assert follow(record, labels, "undo") == (first,), "that was the brush"
    assert follow(record, labels, "undo") == ()
    assert follow(record, labels, "redo") == (first,)
    assert follow(record, labels, "redo") == (first,)
    assert follow(record, labels, "redo") == (first, second)
    assert record.counts == {"add": 2}


def test_what_was_undone_is_gone_once_something_else_is_done(labels: Labels) -> None:
    record = FixRecord()
    made(record, labels, 0)
    follow(record, labels, "undo")
    labels.paint((4, 4), 3)
    assert not record.follow(labels)
    assert follow(record, labels, "undo") == ()
    assert follow(record, labels, "redo") == ()


def test_what_is_past_undoing_stays(labels: Labels) -> None:
    record = FixRecord()
    first = made(record, labels, 0)
    for value in range(Labels._history_limit + 5):
        labels.data_setitem((np.array([7]), np.array([7])), value + 2)
        record.follow(labels)
    assert record.fixes == (first,)


def test_of_a_layer_that_is_gone_what_the_result_has_stays(labels: Labels) -> None:
    record = FixRecord()
    first = made(record, labels, 0)
    record.settle()
    made(record, labels, 1)
    record.forget()
    assert record.fixes == (first,)
