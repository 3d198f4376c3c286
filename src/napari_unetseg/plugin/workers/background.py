"""One piece of work in a background thread, with reports on its way and a way to stop it."""

from collections.abc import Callable
from typing import TypeVar

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal
from superqt.utils import WorkerBase

T = TypeVar("T")


class TaskSignals(QObject):
    """Signals a task emits from its thread; Qt delivers them in the GUI thread.

    Attributes
    ----------
    stage
        What the work is at.
    progressed
        How much of it is done, of how much.
    began, made
        What is worked on now, and what is finished, where the work consists of several things.
    happened
        An event, and the counts of all of them.
    """

    stage = Signal(str)
    progressed = Signal(int, int)
    began = Signal(object)
    made = Signal(object)
    happened = Signal(object, object)


class Task(WorkerBase[T]):
    """Run a function in Qt's thread pool.

    The function gets the task itself, to report to and to ask whether it should stop. Once `quit`
    was called nothing is returned any more: `finished` comes alone, or after `errored`. napari calls
    `quit` of every running worker when its application quits.

    Parameters
    ----------
    function
        The work. Called once, in another thread.
    """

    def __init__(self, function: Callable[["Task[T]"], T]) -> None:
        super().__init__()
        self.reports = TaskSignals()
        self._function = function

    def run(self) -> None:
        """Run the function and emit the signals; Qt calls this in the worker thread.

        Where Python exits in the middle of a run, Qt has deleted the signals by the time the
        function ends. Nobody is left to hear of it, and an exception here would abort the process.
        """
        try:
            super().run()
        except RuntimeError:
            if isalive(self.signals):  # type: ignore[no-untyped-call]
                raise

    def work(self) -> T:
        """Call the function; Qt does this in the worker thread."""
        return self._function(self)

    def cancelled(self) -> bool:
        """Whether `quit` was called."""
        return bool(self.abort_requested)


def start(
    task: Task[T],
    *,
    returned: Callable[[T], object],
    errored: Callable[[Exception], object],
    finished: Callable[..., object],
) -> None:
    """Connect a task's ends and start it.

    All three are required on purpose: an error that nobody listens to can take napari down.
    """
    task.returned.connect(returned)
    task.errored.connect(errored)
    task.finished.connect(finished)
    task.start()
