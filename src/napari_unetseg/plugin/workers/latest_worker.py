"""Questions that come faster than they can be answered: the newest one wins, off the GUI thread."""

from collections.abc import Callable
from typing import Generic, TypeVar

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.plugin.workers.background import Task, start

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class LatestWorker(QObject, Generic[Question, Answer]):
    """Answer the newest question in a worker, one at a time, once no other came for a moment.

    A question that waits is replaced by a newer one. Of a question that is being answered either end is emitted,
    `answered` or `failed`, unless it was replaced or `stop` was called.

    Parameters
    ----------
    prepare
        Called in the GUI thread when a question's turn comes; returns the function that answers it in a worker.
        That function gets its task, and may look at `Task.cancelled` to leave early once it was replaced.
    pause_ms
        Milliseconds without a newer question before one is answered.
    parent
        Owner.
    """

    answered = Signal(object, object)
    """The question and its answer."""
    failed = Signal(object, object)
    """The question and the exception."""

    def __init__(
        self,
        prepare: Callable[[Question], Callable[[Task[Answer]], Answer]],
        pause_ms: int,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._prepare = prepare
        self._waiting: Question | None = None
        self._question: Question | None = None
        self._task: Task[Answer] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(pause_ms)
        self._timer.timeout.connect(self._start_next)

    @property
    def waiting(self) -> bool:
        """Whether a question waits for its turn."""
        return self._waiting is not None

    @property
    def busy(self) -> bool:
        """Whether a question waits or is being answered, be it for nobody any more."""
        return self.waiting or self._task is not None

    def ask(self, question: Question, *, replace: bool = True, at_once: bool = False) -> None:
        """Ask a question instead of the one that waits.

        Parameters
        ----------
        question
            Anything but None.
        replace
            Whether to give up the question that is being answered, too; else its answer still comes.
        at_once
            Whether to do without the pause.
        """
        self._waiting = question
        if replace:
            self._give_up()
        if at_once:
            self._timer.stop()
            self._start_next()
        else:
            self._timer.start()

    def stop(self) -> None:
        """Forget the question that waits, and give up the one that is being answered."""
        self._waiting = None
        self._timer.stop()
        self._give_up()

    def _give_up(self) -> None:
        if self._task is not None:
            self._task.quit()

    def _start_next(self) -> None:
        if self._task is not None or self._waiting is None:
            return
        self._question, self._waiting = self._waiting, None
        self._task = Task(self._prepare(self._question))
        start(self._task, returned=self._on_returned, errored=self._on_errored, finished=self._on_finished)

    # A question may have been given up while its outcome was on the way here.

    def _on_returned(self, answer: Answer) -> None:
        if self._task is not None and not self._task.cancelled():
            self.answered.emit(self._question, answer)

    def _on_errored(self, error: Exception) -> None:
        if self._task is not None and not self._task.cancelled():
            self.failed.emit(self._question, error)

    def _on_finished(self) -> None:
        self._task = self._question = None
        if not self._timer.isActive():
            self._start_next()
