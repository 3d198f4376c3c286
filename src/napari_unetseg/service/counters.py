"""How a service has been doing, counted by many threads, and how much memory and computing power is in use.

torch is asked only where it is loaded already.
"""

import sys
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_unetseg.inference.backends import device_kind
from napari_unetseg.language import error_sentence
from napari_unetseg.service.reports import LastError, MemoryUsage, Performance

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel


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
        message = error_sentence(error) or type(error).__name__
        with self._lock:
            self._failures += 1
            self._last_error = LastError(message, now, request_id)

    def snapshot(self, gpu_percent: float | None = None) -> Performance:
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


def memory_usage(loaded: "LoadedModel | None", in_memory: Sequence["LoadedModel"]) -> MemoryUsage:
    """Measure the memory of machine, process and device.

    Parameters
    ----------
    loaded
        The model whose pools and device are reported; None leaves them out.
    in_memory
        All models in memory, whose buffers make up `MemoryUsage.pool_mb`.
    """
    machine = psutil.virtual_memory()
    process_mb, total_mb, available_mb = (
        size / 2**20 for size in (psutil.Process().memory_info().rss, machine.total, machine.available)
    )
    if loaded is None:
        return MemoryUsage(process_mb=process_mb, host_total_mb=total_mb, host_available_mb=available_mb)
    into, out = loaded.pools.input.report(), loaded.pools.output.report()
    pools = [pool for loaded_model in in_memory for pool in (loaded_model.pools.input, loaded_model.pools.output)]
    return MemoryUsage(
        input_pool_utilization=into.utilization,
        output_pool_utilization=out.utilization,
        input_pool_hits=into.hits,
        input_pool_misses=into.misses,
        output_pool_hits=out.hits,
        output_pool_misses=out.misses,
        pool_mb=sum(pool.report().held_bytes for pool in pools) / 2**20,
        process_mb=process_mb,
        host_total_mb=total_mb,
        host_available_mb=available_mb,
        device_mb=loaded.backend.device_memory_mb,
        device_total_mb=_device_total_mb(loaded.device.torch_name),
    )


def gpu_available() -> bool | None:
    """Whether PyTorch finds a GPU; None while PyTorch is not loaded, which takes too long to be done for this."""
    torch = _torch()
    return None if torch is None else torch.cuda.is_available() or torch.backends.mps.is_available()


def gpu_percent(device: str) -> float | None:
    """Return the use of a GPU, such as ``"cuda:1"``, in percent; None for others, or where its driver does not say."""
    torch = _torch()
    if torch is None or device_kind(device) != "cuda":
        return None
    try:
        return float(torch.cuda.utilization(device))
    except Exception:  # NVIDIA's management library may be missing, too old or not allowed, each with errors of its own
        return None


def _torch() -> Any:
    """Return torch if it is imported to the end; another thread may be in the middle of it."""
    torch = sys.modules.get("torch")
    return None if torch is None or getattr(torch.__spec__, "_initializing", False) else torch


def _device_total_mb(device: str) -> float | None:
    torch = _torch()
    if torch is None or device_kind(device) != "cuda":
        return None
    return float(torch.cuda.get_device_properties(device).total_memory / 2**20)
