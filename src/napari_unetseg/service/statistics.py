"""How a service has been doing, counted by many threads."""

from collections import deque
from dataclasses import dataclass
from threading import Lock

import numpy as np

_REMEMBERED = 100


@dataclass(frozen=True)
class Statistics:
    """Runs finished and failed, and the median and 95th percentile of the last runs' milliseconds."""

    runs: int
    failures: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None


class RunCounter:
    """Counts runs; any thread may call any method."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs = 0
        self._failures = 0
        self._latencies_ms: deque[float] = deque(maxlen=_REMEMBERED)

    def succeeded(self, seconds: float) -> None:
        """Count a finished run whose network took that long."""
        with self._lock:
            self._runs += 1
            self._latencies_ms.append(1000 * seconds)

    def failed(self) -> None:
        """Count a failed run."""
        with self._lock:
            self._failures += 1

    def read(self) -> Statistics:
        """Return the counts so far."""
        with self._lock:
            runs, failures, latencies = self._runs, self._failures, list(self._latencies_ms)
        p50, p95 = (float(np.percentile(latencies, q)) for q in (50, 95)) if latencies else (None, None)
        return Statistics(runs, failures, p50, p95)
