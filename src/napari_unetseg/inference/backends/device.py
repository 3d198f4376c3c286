"""Where a network runs: a graphics card if there is one, else the processor."""

from dataclasses import dataclass
from typing import Literal, get_args

import psutil
import torch

from napari_unetseg.errors import DeviceError
from napari_unetseg.language import Sentence, joined

DeviceKind = Literal["cpu", "cuda", "mps"]

_TITLES: dict[DeviceKind, str] = {"cpu": "CPU", "cuda": "NVIDIA GPU (CUDA)", "mps": "Apple GPU (MPS)"}
_WITH_ARTICLE: dict[DeviceKind, Sentence] = {
    "cpu": Sentence("the CPU"),
    "cuda": Sentence("an NVIDIA GPU (CUDA)"),
    "mps": Sentence("an Apple GPU (MPS)"),
}


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
    index
        Which of several devices of the kind.
    """

    kind: DeviceKind
    reason: str
    warning: str | None = None
    index: int = 0

    @property
    def torch_name(self) -> str:
        """Name by which PyTorch knows it, such as ``"cuda:1"``."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind


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
    kind = next((kind for kind in get_args(DeviceKind) if kind == request), None)
    if kind is None:
        devices = ", ".join(get_args(DeviceKind))
        raise DeviceError(
            Sentence("There is no device {device!r}. Choose one of auto, {devices}.", device=request, devices=devices)
        )
    fault = _fault(kind)
    if fault is None:
        return Device(kind, Sentence("{device} was asked for.", device=_title(kind)))
    if not fallback_to_cpu:
        raise DeviceError(Sentence("{fault} Choose the device 'auto' or 'cpu'.", fault=fault))
    return Device("cpu", fault, warning=_on_cpu(fault))


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
            return Device(kind, Sentence("{device} was found.", device=_title(kind)))
        faults.append(fault)
    if not faults:
        return Device("cpu", Sentence("PyTorch finds no GPU."))
    reason = joined(faults)
    return Device("cpu", reason, warning=_on_cpu(reason))


def _on_cpu(fault: str) -> Sentence:
    return Sentence("{fault} The network runs on the CPU instead, which is slower.", fault=fault)


def _title(kind: DeviceKind) -> Sentence:
    if kind == "cuda":
        return Sentence("The GPU {name}", name=torch.cuda.get_device_name())
    return Sentence("The CPU") if kind == "cpu" else Sentence("An Apple GPU (MPS)")


def _present(kind: DeviceKind) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def _fault(kind: DeviceKind) -> Sentence | None:
    """Say why a device does not work; None if it does."""
    if not _present(kind):
        return Sentence("PyTorch finds no {device} on this machine.", device=_TITLES[kind])
    try:
        # A driver that is too old, or a card that this PyTorch was not built for, fails only here.
        torch.ones(1, device=kind).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).partition("\n")[0]
        return Sentence(
            "PyTorch finds {device}, but it does not work ({reason}).", device=_WITH_ARTICLE[kind], reason=first_line
        )
    return None
