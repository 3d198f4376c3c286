"""What the processor is, and what it and a graphics card compute fast. Imports torch only when it is asked."""

import os
import platform
from functools import cache
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")

_BFLOAT16_CARDS = 8, 0
_FLOAT16_CARDS = 7, 0


@cache
def computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by instructions of its own (AVX512_BF16 or AMX).

    Without them each number is widened and rounded by others, several times slower than float32.
    """
    import torch

    # PyTorch has no public name for this yet, and builds for other processors lack some of these.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(supported() for supported in checks if supported is not None)


def shortest_gpu_precision(torch_name: str) -> str:
    """Return the arithmetic of the fewest bits that a graphics card is fast in.

    Returns
    -------
    str
        ``"bfloat16"`` on an NVIDIA GPU of the Ampere generation or later; ``"float16"`` on those before that have units
        for it (Volta and Turing); ``"float32"`` on all others.
    """
    kind, _, _ = torch_name.partition(":")
    if kind != "cuda":
        return "float32"
    import torch

    if torch.version.hip is not None:  # its numbers of architectures mean something else
        return "float32"
    capability = torch.cuda.get_device_capability(torch_name)
    if capability >= _BFLOAT16_CARDS:
        return "bfloat16"
    # Convolutions in float16 give no numbers on the GTX 16 series.
    no_units = capability < _FLOAT16_CARDS or "GTX 16" in torch.cuda.get_device_name(torch_name)
    return "float32" if no_units else "float16"


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
