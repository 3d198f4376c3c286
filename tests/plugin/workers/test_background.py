import subprocess
import sys
import textwrap
from typing import Any

from napari_unetseg.plugin.workers.background import Task, start


def test_a_task_reports_and_returns(qtbot: Any) -> None:
    seen: list[Any] = []

    def work(task: Task[int]) -> int:
        task.reports.stage.emit("begun")
        task.reports.progressed.emit(1, 2)
        return 7

    task = Task(work)
    task.reports.stage.connect(seen.append)
    task.reports.progressed.connect(lambda done, total: seen.append((done, total)))
    with qtbot.waitSignal(task.finished):
        start(task, returned=seen.append, errored=seen.append, finished=lambda: None)
    assert seen == ["begun", (1, 2), 7]


def test_a_task_that_was_asked_to_stop_returns_nothing(qtbot: Any) -> None:
    ends: list[str] = []
    task: Task[bool] = Task(lambda task: task.cancelled())
    task.quit()
    start(
        task,
        returned=lambda _: ends.append("returned"),
        errored=lambda _: ends.append("errored"),
        finished=lambda: ends.append("finished"),
    )
    qtbot.waitUntil(lambda: "finished" in ends)
    assert ends == ["finished"]


def test_errors_arrive(qtbot: Any) -> None:
    errors: list[Exception] = []

    def fail(_: Task[None]) -> None:
        raise OSError("full disk")

    task = Task(fail)
    with qtbot.waitSignal(task.finished):
        start(task, returned=lambda _: None, errored=errors.append, finished=lambda: None)
    assert [str(error) for error in errors] == ["full disk"]


def test_leaving_python_in_the_middle_of_a_task_does_not_abort() -> None:
    script = """
        import threading
        from qtpy.QtWidgets import QApplication
        from napari_unetseg.plugin.workers.background import Task, start

        app = QApplication([])
        entered, go_on = threading.Event(), threading.Event()

        def work(task):
            entered.set()
            go_on.wait(20)
            raise ValueError("too late for anybody to hear")

        task = Task(work)
        start(task, returned=print, errored=print, finished=print)
        assert entered.wait(20)
        import qtpy
        if qtpy.PYQT6 or qtpy.PYQT5:
            from qtpy import sip
            sip.delete(task.signals)
        go_on.set()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
