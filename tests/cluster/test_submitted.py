"""Tasks until all are done, whatever becomes of workers meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from napari_unetseg.cluster.submitted import Task, do_tasks


class LostOnce:
    """A task whose result is lost with its worker before anybody has looked at it, and which is done again."""

    def __init__(self) -> None:
        self.status = "pending"
        self._ends = iter(["lost", "finished"])

    def add_done_callback(self, done: "Callable[[LostOnce], None]") -> None:
        self.status = next(self._ends)
        done(self)

    def result(self) -> str:
        return "done again"


class Scheduler:
    """A connection to a scheduler that is well."""

    status = "running"

    def submit(self, work: Callable[..., Any], *arguments: Any, **how: Any) -> LostOnce:
        return LostOnce()


def test_a_task_whose_result_was_lost_with_its_worker_is_waited_for() -> None:
    pytest.importorskip("distributed")
    finished: list[tuple[int, Any]] = []
    killed = do_tasks(
        Scheduler(),  # type: ignore[arg-type]
        [Task("network", print, ())],
        lambda number, result: finished.append((number, result)),
        lambda: False,
        stop=lambda: None,
        tell=lambda sentence: None,
    )
    assert (finished, killed) == ([(0, "done again")], [])
