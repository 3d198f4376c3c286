"""The newest question wins: with real workers that stand still until a test lets them go."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker

HOUR_MS = 3_600_000
Make = Callable[..., LatestWorker[str, str]]


class Answers:
    """Answers a question by itself in capitals, once the gate is open, and notes what was asked."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.answered: list[str] = []
        self.cancelled: list[bool] = []
        self.threads: set[int] = set()
        self.at_most = 0
        self.gate = threading.Event()
        self.entered = threading.Event()
        self._running = 0

    def prepare(self, question: str) -> Callable[[Task[str]], str]:
        self.threads.add(threading.get_ident())
        self.prepared.append(question)

        def answer(task: Task[str]) -> str:
            self.threads.add(threading.get_ident())
            self._running += 1
            self.at_most = max(self.at_most, self._running)
            self.answered.append(question)
            self.entered.set()
            assert self.gate.wait(20)
            self.cancelled.append(task.cancelled())
            self._running -= 1
            if question == "fail":
                raise ValueError("no luck")
            return question.upper()

        return answer


class Listener:
    """What a worker emits, in order."""

    def __init__(self, worker: LatestWorker[str, str]) -> None:
        self.heard: list[tuple[str, str]] = []
        worker.answered.connect(lambda question, answer: self.heard.append((question, answer)))
        worker.failed.connect(lambda question, error: self.heard.append((question, str(error))))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def make(answers: Answers, qtbot: Any) -> Iterator[Make]:
    made: list[LatestWorker[str, str]] = []

    def make(pause_ms: int = 0) -> LatestWorker[str, str]:
        worker: LatestWorker[str, str] = LatestWorker(answers.prepare, pause_ms)
        made.append(worker)
        return worker

    yield make
    answers.gate.set()
    for worker in made:
        worker.stop()
        qtbot.waitUntil(lambda w=worker: not w.busy, timeout=20_000)


@pytest.fixture
def settle(qtbot: Any) -> Callable[[LatestWorker[str, str]], None]:
    return lambda worker: qtbot.waitUntil(lambda: not worker.busy, timeout=20_000)


def enter(worker: LatestWorker[str, str], answers: Answers, question: str, qtbot: Any) -> None:
    """Ask, and wait until the worker stands still inside the question."""
    worker.ask(question)
    qtbot.waitUntil(answers.entered.is_set, timeout=20_000)
    answers.entered.clear()


def test_an_answer_comes_with_its_question(make: Make, answers: Answers, settle: Any) -> None:
    worker = make()
    listener = Listener(worker)
    assert not worker.busy
    answers.gate.set()
    worker.ask("a")
    assert worker.busy
    settle(worker)
    assert listener.heard == [("a", "A")]
    assert len(answers.threads) == 2


def test_of_those_that_come_within_the_pause_only_the_newest_is_answered(
    make: Make, answers: Answers, settle: Any
) -> None:
    worker = make(20)
    listener = Listener(worker)
    answers.gate.set()
    for question in "abc":
        worker.ask(question)
    assert answers.prepared == []
    settle(worker)
    assert answers.prepared == ["c"]
    assert listener.heard == [("c", "C")]


def test_an_older_question_is_given_up_and_never_heard_of(
    make: Make, answers: Answers, settle: Any, qtbot: Any
) -> None:
    worker = make()
    listener = Listener(worker)
    enter(worker, answers, "a", qtbot)
    worker.ask("b")
    worker.ask("c")
    answers.gate.set()
    settle(worker)
    assert answers.cancelled == [True, False]
    assert answers.prepared == ["a", "c"]
    assert listener.heard == [("c", "C")]


def test_an_older_question_may_come_to_its_end_first(make: Make, answers: Answers, settle: Any, qtbot: Any) -> None:
    worker = make()
    listener = Listener(worker)
    enter(worker, answers, "a", qtbot)
    worker.ask("b", replace=False)
    assert worker.waiting
    answers.gate.set()
    settle(worker)
    assert listener.heard == [("a", "A"), ("b", "B")]
    assert answers.at_most == 1


def test_an_error_is_the_owners_to_report(make: Make, answers: Answers, settle: Any, qtbot: Any) -> None:
    worker = make()
    listener = Listener(worker)
    answers.gate.set()
    worker.ask("fail")
    settle(worker)
    assert listener.heard == [("fail", "no luck")]
    answers.gate.clear()
    answers.entered.clear()
    enter(worker, answers, "fail", qtbot)
    worker.ask("a")
    answers.gate.set()
    settle(worker)
    assert listener.heard[1:] == [("a", "A")]


def test_stopping_forgets_what_waits_and_what_runs(make: Make, answers: Answers, settle: Any, qtbot: Any) -> None:
    worker = make()
    listener = Listener(worker)
    enter(worker, answers, "a", qtbot)
    worker.ask("b")
    worker.stop()
    assert not worker.waiting
    assert worker.busy
    answers.gate.set()
    settle(worker)
    assert answers.prepared == ["a"]
    assert listener.heard == []
    worker.ask("c")
    settle(worker)
    assert listener.heard == [("c", "C")]


def test_an_answer_on_its_way_is_dropped_where_a_newer_question_was_asked(
    make: Make, answers: Answers, settle: Any, qtbot: Any
) -> None:
    worker = make()
    listener = Listener(worker)
    enter(worker, answers, "a", qtbot)
    task = worker._task
    assert task is not None
    # Emitted in the worker just before `finished`: the answer is delivered only once this thread turns to its events.
    ended = threading.Event()
    task.signals.finished.connect(ended.set, _direct())
    answers.gate.set()
    assert ended.wait(20)
    worker.ask("b")
    settle(worker)
    assert listener.heard == [("b", "B")]


def test_a_question_need_not_wait_for_the_pause(make: Make, answers: Answers, settle: Any) -> None:
    worker = make(HOUR_MS)
    listener = Listener(worker)
    answers.gate.set()
    worker.ask("a")
    worker.ask("b", at_once=True)
    settle(worker)
    assert listener.heard == [("b", "B")]


def test_one_may_be_asked_while_an_answer_is_being_heard(make: Make, answers: Answers, settle: Any) -> None:
    worker = make(HOUR_MS)
    listener = Listener(worker)
    answers.gate.set()

    def ask_on(question: str, answer: str) -> None:
        if question == "a":
            worker.ask("b", replace=False, at_once=True)

    worker.answered.connect(ask_on)
    worker.ask("a", at_once=True)
    settle(worker)
    assert listener.heard == [("a", "A"), ("b", "B")]


def _direct() -> Any:
    from qtpy.QtCore import Qt

    return Qt.ConnectionType.DirectConnection
