"""A run of somebody else counts as one of the controller's, and is stopped by it."""

from typing import Any

from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.run_controller import RunController


def test_while_the_task_of_somebody_else_runs_nothing_begins_and_cancel_stops_it(qtbot: Any) -> None:
    asked: list[str] = []

    def services(model: str, device: str) -> Any:
        asked.append(model)

    controller = RunController(services)
    task: Task[None] = Task(lambda task: None)
    controller.hold(task)
    assert controller.running
    assert not controller.cancelling
    controller.start([])
    assert asked == []
    controller.cancel()
    assert task.cancelled()
    assert controller.cancelling
    controller.hold(None)
    assert not controller.running
