"""A napari window that a benchmark drives: settings of its own, and turns of the event loop.

Import it before napari, whose settings it moves to a temporary folder: the user's own stay as they are.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "napari.yaml")

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

TIMEOUT = 1800


class Gaps:
    """Longest time between two turns of the event loop since `reset`, in seconds."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(2)
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self.longest, self._last = 0.0, time.perf_counter()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def wait(condition: Callable[[], bool]) -> None:
    """Turn the event loop until a condition holds."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise TimeoutError("The benchmark waited for half an hour.")


def rest(seconds: float = 0.5) -> None:
    """Let pending repaints happen."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)
