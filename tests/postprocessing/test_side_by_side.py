import threading

import pytest

from napari_unetseg.postprocessing import side_by_side as module
from napari_unetseg.postprocessing.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    monkeypatch.setattr(module, "_free_cores", threading.BoundedSemaphore(4))


def free_cores():
    taken = module._take_cores(99)
    for _ in range(taken):
        module._free_cores.release()
    return taken


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize("at_once", [1, 2, None])
def test_results_come_in_the_order_of_the_parts(count, at_once):
    assert list(side_by_side(lambda part: part * part, range(count), at_once)) == [n * n for n in range(count)]
    assert free_cores() == 4


def test_parts_are_worked_on_at_the_same_time():
    meeting = threading.Barrier(4, timeout=30)
    assert sorted(side_by_side(lambda _: meeting.wait(), range(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize(("parts", "at_once"), [([7], None), ([1, 2, 3], 1)])
def test_a_single_part_and_a_single_core_need_no_thread(parts, at_once):
    threads = list(side_by_side(lambda _: threading.current_thread(), parts, at_once))
    assert set(threads) == {threading.current_thread()}


def test_who_finds_no_free_core_works_alone():
    for outer in side_by_side(lambda part: part, range(3)):
        threads = set(side_by_side(lambda _: threading.current_thread(), range(3)))
        assert threads == {threading.current_thread()}, outer


def test_parts_are_made_shortly_before_they_are_worked_on():
    made = []

    def parts():
        for part in range(100):
            made.append(part)
            yield part

    results = side_by_side(lambda part: part, parts())
    next(results)
    assert len(made) == 8
    results.close()
    assert free_cores() == 4


def test_an_error_ends_it_and_leaves_no_thread():
    before = threading.active_count()

    def work(part):
        if part == 3:
            raise ValueError(part)
        return part

    results = side_by_side(work, range(50))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert (threading.active_count(), free_cores()) == (before, 4)
