"""Where the threads of a process are, looked at many times a second: a profile of a pipeline, without a profiler."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

EVERY_S = 0.002
_WAITS = ("wait", "acquire", "get", "select", "poll", "join", "result", "_wait_for_tstate_lock", "synchronize")


@contextmanager
def sampled() -> Iterator[Callable[[], dict[str, Any]]]:
    """Look where all other threads are, until the block ends.

    Yields
    ------
    callable
        To be called after the block: for each thread that did anything, by name, the share of the looks at which it was
        in which function of this package (the innermost one), or waited.
    """
    seen: dict[str, Counter[str]] = {}
    over = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        looks += 1
        for ident, frame in sys._current_frames().items():
            if ident != threading.get_ident():
                place = _place(frame)
                if place is not None:
                    seen.setdefault(names.get(ident, "unnamed"), Counter())[place] += 1

    def watch() -> None:
        while not over.wait(EVERY_S):
            look()

    def summary() -> dict[str, Any]:
        return {
            name: {place: round(count / looks, 3) for place, count in places.most_common(12)}
            for name, places in seen.items()
        }

    watcher = threading.Thread(target=watch, name="samples", daemon=True)
    watcher.start()
    try:
        yield summary
    finally:
        over.set()
        watcher.join()


def _place(frame: FrameType) -> str | None:
    """Name the innermost function of this package that a thread is in, and what it calls; None if it is in none."""
    inner = frame.f_code.co_name
    at: FrameType | None = frame
    while at is not None:
        path = Path(at.f_code.co_filename)
        if "napari_unetseg" in path.parts:
            here = f"{path.stem}.{at.f_code.co_name}:{at.f_lineno}"
            return here if at is frame else f"{here} {'waits' if inner in _WAITS else inner}"
        at = at.f_back
    return None
