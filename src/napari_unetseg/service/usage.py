"""How much memory and computing power is in use; asks torch only where it is loaded already."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psutil

from napari_unetseg.service.reports import MemoryUsage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel


def memory_usage(loaded: "LoadedModel | None", in_memory: Sequence["LoadedModel"]) -> MemoryUsage:
    """Measure the memory of machine, process and device.

    Parameters
    ----------
    loaded
        The model whose pools and device are told; None leaves them out.
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
        device_total_mb=_device_total_mb(loaded.device.kind),
    )


def gpu_available() -> bool | None:
    """Whether PyTorch finds a GPU; None while PyTorch is not loaded, which takes too long to be done for this."""
    torch = _torch()
    return None if torch is None else torch.cuda.is_available() or torch.backends.mps.is_available()


def gpu_percent(kind: str) -> float | None:
    """Return the use of the GPU in percent; None where there is none or its driver does not tell."""
    torch = _torch()
    if torch is None or kind != "cuda":
        return None
    try:
        return float(torch.cuda.utilization())
    except Exception:  # NVIDIA's management library may be missing, too old or not allowed, each with errors of its own
        return None


def _torch() -> Any:
    """Return torch if it is imported to the end; another thread may be in the middle of it."""
    torch = sys.modules.get("torch")
    return None if torch is None or getattr(torch.__spec__, "_initializing", False) else torch


def _device_total_mb(kind: str) -> float | None:
    torch = _torch()
    if torch is None or kind != "cuda":
        return None
    return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory / 2**20)
