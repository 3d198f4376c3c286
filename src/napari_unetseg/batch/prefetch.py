"""Load the files of a batch in a thread, ahead of the network."""

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from napari_unetseg.callbacks import CancelFlag

_T = TypeVar("_T")

_POLL = 0.1


@dataclass(frozen=True)
class Prefetched(Generic[_T]):
    """A file that was loaded: the value, or why there is none."""

    file: Path
    outcome: _T | Exception


def prefetch(
    files: Sequence[Path], load: Callable[[Path], _T], cancelled: CancelFlag
) -> Generator[Prefetched[_T] | None]:
    """Yield what `load` returns for each file, in their order, while the next one is being loaded.

    From time to time it yields None as long as the next one is not there, so that its caller need not wait for that.

    One outcome waits or is being loaded at a time, since what takes them may be ahead of the network, too. The thread
    ends with the files, or soon after the iterator is closed. It is a daemon, so that a file system that does not
    answer keeps no program from ending.

    Parameters
    ----------
    files
        In their order.
    load
        Called in the thread; what it raises is the file's outcome.
    cancelled
        Polled in both threads; once it returns True nothing more is yielded.
    """
    outcomes: queue.SimpleQueue[Prefetched[_T]] = queue.SimpleQueue()
    room, closed = threading.Semaphore(1), threading.Event()

    def work() -> None:
        for file in files:
            while not room.acquire(timeout=_POLL):
                if closed.is_set() or cancelled():
                    return
            if closed.is_set() or cancelled():
                return
            outcomes.put(_load(file, load))

    threading.Thread(target=work, name="unetseg-reader", daemon=True).start()
    try:
        for _ in files:
            while (prefetched := _next(outcomes)) is None:
                if cancelled():
                    return
                yield None
            if cancelled():
                return
            room.release()
            yield prefetched
            del prefetched  # an image is not kept while the next one is waited for
    finally:
        closed.set()


def _load(file: Path, load: Callable[[Path], _T]) -> Prefetched[_T]:
    try:
        return Prefetched(file, load(file))
    except Exception as error:
        return Prefetched(file, error)


def _next(outcomes: "queue.SimpleQueue[Prefetched[_T]]") -> Prefetched[_T] | None:
    """Wait a moment for the next outcome. A wait without end would not hear Ctrl-C on Windows."""
    try:
        return outcomes.get(timeout=_POLL)
    except queue.Empty:
        return None
