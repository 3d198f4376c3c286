"""How a service has been doing, counted by many threads."""

from collections import deque
from datetime import UTC, datetime
from threading import Lock

import numpy as np
import psutil

from napari_unetseg.language import sentence_of
from napari_unetseg.service.reports import LastError, Performance

_REMEMBERED = 100


class RunCounter:
    """Counts runs; any thread may call any method."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs = 0
        self._failures = 0
        self._latencies_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self._last_error: LastError | None = None
        self._process = psutil.Process()
        # The first call has no interval to measure; the next ones measure since the one before.
        self._process.cpu_percent()

    @property
    def last_error(self) -> LastError | None:
        """The last run that failed; None if none did."""
        return self._last_error

    def succeeded(self, seconds: float) -> None:
        """Count a finished run whose network took that long."""
        with self._lock:
            self._runs += 1
            self._latencies_ms.append(1000 * seconds)

    def failed(self, error: Exception, request_id: str) -> None:
        """Count a failed run and remember why it failed."""
        now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        message = sentence_of(error) or type(error).__name__
        with self._lock:
            self._failures += 1
            self._last_error = LastError(message, now, request_id)

    def read(self, gpu_percent: float | None = None) -> Performance:
        """Return the counts so far; the use of the GPU, which is not counted here, is passed on."""
        with self._lock:
            runs, failures, latencies = self._runs, self._failures, list(self._latencies_ms)
            cpu = self._process.cpu_percent()
        p50, p95 = (float(np.percentile(latencies, q)) for q in (50, 95)) if latencies else (None, None)
        return Performance(
            runs=runs,
            failures=failures,
            error_rate=failures / (runs + failures) if failures else 0.0,
            latency_p50_ms=p50,
            latency_p95_ms=p95,
            recent_ms=tuple(latencies),
            cpu_percent=cpu,
            gpu_percent=gpu_percent,
        )
