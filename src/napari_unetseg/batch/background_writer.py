"""Write in a thread beside the network, at most two results behind it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST_WAITING = 2
"""Results that may be written or wait for it at a time: each keeps its probabilities in memory."""


class BackgroundWriter(Generic[T]):
    """Does tasks one after the other in a thread of its own, and hands over what they return in the caller's.

    As a context manager it ends all tasks at the end of the block, however the block ends.

    Parameters
    ----------
    take
        Called with the outcome of each task, in their order, in the thread that calls the methods.
    """

    def __init__(self, take: Callable[[T], None]) -> None:
        self._take = take
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="unetseg-writer")
        self._tasks: deque[Future[T]] = deque()

    def do(self, task: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> None:
        """Have a task done; wait first while as many as may wait do.

        Raises
        ------
        BaseException
            What an earlier task raised.
        """
        while len(self._tasks) >= MOST_WAITING:
            self._hand_over()
        self._tasks.append(self._thread.submit(task, *arguments, **options))
        while self._tasks and self._tasks[0].done():
            self._hand_over()

    def _hand_over(self) -> None:
        self._take(self._tasks.popleft().result())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._thread:
            while self._tasks:
                self._hand_over()
