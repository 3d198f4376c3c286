"""What the devices of this machine are called."""

import os
import platform
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def device_name(kind: str) -> str:
    """Return the name of a device, for people and as a key for what was measured on it.

    Parameters
    ----------
    kind
        ``"cpu"``, ``"cuda"`` or ``"mps"``; torch is loaded for ``"cuda"`` alone.
    """
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name()
    # On a Mac the graphics card is a part of the processor.
    return cpu_name() if kind == "cpu" else f"{platform.system()} {kind.upper()} device of {cpu_name()}"


def cpu_name(cpu_info: Path = _CPU_INFO) -> str:
    """Return the processor's name and how many threads it runs at once.

    Parameters
    ----------
    cpu_info
        The file in which Linux describes its processors; elsewhere it is not there, and Python is asked.
    """
    model = _model_name(cpu_info) or platform.processor() or platform.machine() or "unknown processor"
    return f"{model} ({os.cpu_count() or 1} threads)"


def _model_name(cpu_info: Path) -> str | None:
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    named = (line.partition(":") for line in lines)
    return next((" ".join(value.split()) for key, _, value in named if key.strip() == "model name"), None)
