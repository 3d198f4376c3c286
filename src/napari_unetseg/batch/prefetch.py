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


def prefetch(files: Sequence[Path], load: Callable[[Path], _T], cancelled: CancelFlag) -> Generator[Prefetched[_T]]:
    """Yield what `load` returns for each file, in their order, while the next one is being loaded.

    At most two outcomes wait at a time. The thread ends with the files, or soon after the iterator is closed. It is
    a daemon, so that a file system that does not answer keeps no program from ending.

    Parameters
    ----------
    files
        In their order.
    load
        Called in the thread; what it raises is the file's outcome.
    cancelled
        Polled in both threads; once it returns True nothing more is yielded.
    """
    outcomes: queue.Queue[Prefetched[_T]] = queue.Queue(maxsize=1)
    closed = threading.Event()

    def work() -> None:
        for file in files:
            if closed.is_set() or cancelled():
                return
            _put(_load(file, load), outcomes, closed)

    threading.Thread(target=work, name="unetseg-reader", daemon=True).start()
    try:
        for _ in files:
            if (prefetched := _next(outcomes, cancelled)) is None:
                return
            yield prefetched
            del prefetched  # an image is not kept while the next one is waited for
    finally:
        closed.set()


def _load(file: Path, load: Callable[[Path], _T]) -> Prefetched[_T]:
    try:
        return Prefetched(file, load(file))
    except Exception as error:
        return Prefetched(file, error)


def _put(prefetched: Prefetched[_T], outcomes: "queue.Queue[Prefetched[_T]]", closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            outcomes.put(prefetched, timeout=_POLL)
        except queue.Full:
            continue
        return


def _next(outcomes: "queue.Queue[Prefetched[_T]]", cancelled: CancelFlag) -> Prefetched[_T] | None:
    """Wait for the next outcome; None once cancelled. A wait without end would not hear Ctrl-C on Windows."""
    while not cancelled():
        try:
            return outcomes.get(timeout=_POLL)
        except queue.Empty:
            continue
    return None
