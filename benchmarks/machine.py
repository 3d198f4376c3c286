"""What a benchmark says of the machine and the moment it ran on."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from napari_unetseg.inference.backends.processor import cpu_name

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8")
LIBRARIES = ("napari-unetseg", "torch", "monai", "onnxruntime", "openvino", "nncf", "numpy", "scipy", "scikit-image")


def describe_machine() -> dict[str, Any]:
    """Return processor, memory, system, versions and load, as plain values."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": cpu_name(),
        "physical_cores": psutil.cpu_count(logical=False),
        "flags": [flag for flag in FLAGS if flag in _flags()],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".strip(", "),
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def short_name(machine: dict[str, Any]) -> str:
    """Return a name for files: the processor in lower case, without spaces."""
    words = "".join(letter if letter.isalnum() else " " for letter in machine["processor"].lower())
    return "-".join(words.split())


def as_markdown(machine: dict[str, Any]) -> str:
    """Return the description as lines of a list."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return "\n".join(
        (
            f"* {machine['processor']}, {machine['physical_cores']} cores, {machine['memory_gb']} GB of memory",
            f"* instructions: {', '.join(machine['flags']) or 'none of those asked for'}",
            f"* {machine['system']}, Python {machine['python']}, {versions}",
            f"* load when it began: {machine['load']}",
        )
    )


def _flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
