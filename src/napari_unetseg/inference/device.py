"""Where a network runs: a graphics card if there is one, else the processor."""

from dataclasses import dataclass
from typing import Literal, get_args

import psutil
import torch

from napari_unetseg.errors import DeviceError

Kind = Literal["cpu", "cuda", "mps"]

_TITLES: dict[Kind, str] = {"cpu": "the CPU", "cuda": "an NVIDIA GPU (CUDA)", "mps": "an Apple GPU (MPS)"}


@dataclass(frozen=True)
class Device:
    """A compute device and why it was chosen.

    Attributes
    ----------
    kind
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    reason
        A sentence that says why this device.
    warning
        A sentence for the user where they did not get what they asked for; None otherwise.
    """

    kind: Kind
    reason: str
    warning: str | None = None


def choose_device(request: str = "auto", *, fallback_to_cpu: bool = True) -> Device:
    """Choose the device to run on.

    Parameters
    ----------
    request
        ``"auto"`` (CUDA, then MPS, then CPU: the first that works), ``"cpu"``, ``"cuda"`` or ``"mps"``.
    fallback_to_cpu
        Whether a requested device that does not work is replaced by the CPU, with a warning.

    Raises
    ------
    DeviceError
        If the request is none of these words, or the device does not work and there is no fallback.
    """
    if request == "auto":
        return _best_device()
    kind = next((kind for kind in get_args(Kind) if kind == request), None)
    if kind is None:
        raise DeviceError(f"There is no device {request!r}. Choose one of auto, {', '.join(get_args(Kind))}.")
    fault = _fault(kind)
    if fault is None:
        return Device(kind, f"{_title(kind)} was asked for.")
    if not fallback_to_cpu:
        raise DeviceError(f"{fault} Choose the device 'auto' or 'cpu'.")
    return Device("cpu", f"{fault}", warning=f"{fault} The network runs on the CPU instead, which is slower.")


def total_memory(device: Device) -> int:
    """Return the memory of the device in bytes; of the machine, where they share it."""
    if device.kind == "cuda":
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    return int(psutil.virtual_memory().total)


def _best_device() -> Device:
    faults = []
    for kind in ("cuda", "mps"):
        if not _present(kind):
            continue
        fault = _fault(kind)
        if fault is None:
            return Device(kind, f"{_title(kind)} was found.")
        faults.append(fault)
    if not faults:
        return Device("cpu", "No GPU that PyTorch can use was found.")
    told = " ".join(faults)
    return Device("cpu", told, warning=f"{told} The network runs on the CPU instead, which is slower.")


def _title(kind: Kind) -> str:
    if kind == "cuda":
        return f"The GPU {torch.cuda.get_device_name()}"
    title = _TITLES[kind]
    return title[0].upper() + title[1:]


def _present(kind: Kind) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def _fault(kind: Kind) -> str | None:
    """Say why a device does not work; None if it does."""
    if not _present(kind):
        return f"PyTorch finds no {_TITLES[kind].split(' ', 1)[1]} on this machine."
    try:
        # A driver that is too old, or a card that this PyTorch was not built for, fails only here.
        torch.ones(1, device=kind).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).partition("\n")[0]
        return f"PyTorch finds {_TITLES[kind]}, but it does not work ({first_line})."
    return None
