"""Write results in a background thread while the network runs, at most two results behind it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

MAX_WAITING = 2
"""Results that may be written or wait for it at a time: each keeps its probabilities in memory."""


class BackgroundWriter(Generic[_T]):
    """Runs tasks one after the other in a thread of its own, and passes their results on in the caller's thread.

    As a context manager it ends all tasks at the end of the block, however the block ends.

    Parameters
    ----------
    on_result
        Called with the result of each task, in their order, in the thread that calls the methods.
    """

    def __init__(self, on_result: Callable[[_T], None]) -> None:
        self._on_result = on_result
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="unetseg-writer")
        self._tasks: deque[Future[_T]] = deque()

    def submit(self, task: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> None:
        """Queue a task; if `MAX_WAITING` are queued already, wait for the first one.

        Raises
        ------
        BaseException
            What an earlier task raised.
        """
        while len(self._tasks) >= MAX_WAITING:
            self._pass_on()
        self._tasks.append(self._thread.submit(task, *arguments, **options))
        while self._tasks and self._tasks[0].done():
            self._pass_on()

    def _pass_on(self) -> None:
        self._on_result(self._tasks.popleft().result())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._thread:
            while self._tasks:
                self._pass_on()
