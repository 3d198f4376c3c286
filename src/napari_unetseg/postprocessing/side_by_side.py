"""Work on parts of an image in threads, as many as there are cores to spare."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

from napari_unetseg.cores import usable_cores

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

_free_cores = threading.BoundedSemaphore(usable_cores())
"""Cores that no thread was started for: where several images are processed at once, each is left fewer of them."""


def side_by_side(
    work: Callable[[_Part], _Result], parts: Iterable[_Part], at_once: int | None = None
) -> Iterator[_Result]:
    """Do the same work on all parts, in threads where there are several parts and free cores, and yield in order.

    Parameters
    ----------
    work
        Called with each part. NumPy lets go of the interpreter lock while it works on large arrays.
    parts
        Taken shortly before they are worked on, so that they may be made one by one.
    at_once
        Most threads; None: as many as there are cores. With 1 all is done in the calling thread.
    """
    parts = iter(parts)
    first = list(islice(parts, 2))
    parts = chain(first, parts)
    threads = _take_cores(usable_cores() if at_once is None else at_once) if len(first) > 1 else 0
    try:
        if threads < 2:
            yield from map(work, parts)
            return
        with ThreadPoolExecutor(threads, "read objects") as pool:
            waiting: deque[Future[_Result]] = deque()
            try:
                for part in parts:
                    waiting.append(pool.submit(work, part))
                    # Twice as many as there are threads, so that none waits for the first part of all.
                    if len(waiting) == 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        for _ in range(threads):
            _free_cores.release()


def _take_cores(most: int) -> int:
    """Take up to so many of the cores that are free; they are to be released again."""
    taken = 0
    while taken < most and _free_cores.acquire(blocking=False):
        taken += 1
    return taken
