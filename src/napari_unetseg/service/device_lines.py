"""The lines before several devices: one call goes where the fewest are, a batch to all of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from napari_unetseg.service.device_queue import DeviceQueue


class DeviceLines:
    """A line before each device, made when it is first needed; any thread may call any method.

    Parameters
    ----------
    make
        Makes a line.
    """

    def __init__(self, make: Callable[[], DeviceQueue]) -> None:
        self._make = make
        self._lock = Lock()
        self._lines = [make()]
        self._calls = [0]

    def of(self, worker: int) -> DeviceQueue:
        """Return the line before the device of a worker."""
        with self._lock:
            while worker >= len(self._lines):
                self._lines.append(self._make())
                self._calls.append(0)
            return self._lines[worker]

    @contextmanager
    def shortest(self, workers: int) -> Iterator[int]:
        """Give the worker with the fewest calls, the first of several, and count this one until the block ends."""
        self.of(workers - 1)
        with self._lock:
            worker = min(range(workers), key=self._calls.__getitem__)
            self._calls[worker] += 1
        try:
            yield worker
        finally:
            with self._lock:
                self._calls[worker] -= 1

    @property
    def waiting(self) -> int:
        """Calls that stand in a line."""
        with self._lock:
            return sum(line.waiting for line in self._lines)
