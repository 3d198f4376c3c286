"""Work in a background thread, one piece after the other in the order in which it was given."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal

from napari_unetseg.plugin.workers.background import Task, start

_Value = TypeVar("_Value")


class InOrder(QObject):
    """Does one piece of work at a time; what is decided about a folder is so written down in its order.

    Attributes
    ----------
    progressed
        How much of a piece is done, of how much.
    failed
        A piece failed, with its exception; those after it are done all the same.
    """

    failed = Signal(object)
    progressed = Signal(int, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[tuple[Callable[[Task[Any]], Any], Callable[[Any], object], Callable[[], object]]] = deque()
        self._task: Task[Any] | None = None
        self._silent = False

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits."""
        return self._task is not None or bool(self._waiting)

    def do(
        self,
        work: Callable[[Task[_Value]], _Value],
        done: Callable[[_Value], object],
        undo: Callable[[], object] = lambda: None,
    ) -> None:
        """Do a piece of work after those that were given before.

        Parameters
        ----------
        work
            Called in another thread, with what it reports its progress to.
        done
            Gets what it returned, in the GUI thread.
        undo
            Called in the GUI thread before `failed`, if it raised.
        """
        self._waiting.append((work, done, undo))
        self._start_next()

    def fall_silent(self) -> None:
        """Do what was given, but tell nobody any more: the window is closed. Then this is deleted."""
        self._silent = True
        if not self.busy:
            self.deleteLater()

    def _start_next(self) -> None:
        if self._task is not None or not self._waiting:
            return
        work, done, undo = self._waiting.popleft()

        def tell(value: Any) -> None:
            if not self._silent:
                done(value)

        def fail(error: Exception) -> None:
            if not self._silent:
                undo()
                self.failed.emit(error)

        def tell_progress(so_far: int, total: int) -> None:
            if not self._silent:
                self.progressed.emit(so_far, total)

        self._task = Task(work)
        self._task.reports.progressed.connect(tell_progress)
        start(self._task, returned=tell, errored=fail, finished=self._end)

    def _end(self) -> None:
        self._task = None
        self._start_next()
        if self._silent and not self.busy:
            self.deleteLater()
