"""Where a network runs: a graphics card if there is one, else the processor."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import psutil
import torch

from napari_unetseg.errors import DeviceError, is_out_of_memory
from napari_unetseg.language import Sentence, joined

DeviceKind = Literal["cpu", "cuda", "mps"]

_TITLES: dict[DeviceKind, str] = {"cpu": "CPU", "cuda": "NVIDIA GPU (CUDA)", "mps": "Apple GPU (MPS)"}
_WITH_ARTICLE: dict[DeviceKind, Sentence] = {
    "cpu": Sentence("the CPU"),
    "cuda": Sentence("an NVIDIA GPU (CUDA)"),
    "mps": Sentence("an Apple GPU (MPS)"),
}
_CARD = re.compile(r"cuda:(\d+)")


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

    @property
    def name(self) -> str:
        """Name for people and records: the kind and, where there are several graphics cards, which one."""
        return self.torch_name if self.kind == "cuda" and _cards() > 1 else self.kind


def choose_device(request: str = "auto", *, fallback_to_cpu: bool = True, worker: int = 0) -> Device:
    """Choose the device to run on.

    A card whose memory is full works all the same: what does not fit shows when it is put there.

    Parameters
    ----------
    request
        ``"auto"`` (CUDA, then MPS, then CPU: the first that works), ``"cpu"``, ``"mps"``, ``"cuda"`` (the first card
        that works), or one of several cards, such as ``"cuda:1"``.
    fallback_to_cpu
        Whether a requested device that does not work is replaced by the CPU, with a warning.
    worker
        Which of the devices that `count_workers` counts; beyond the first one it is the card of that number.

    Raises
    ------
    DeviceError
        If the request is none of these words, or the device does not work and there is no fallback.
    """
    kind, index = ("cuda", worker) if worker else _read(request)
    if kind is None:
        return _best_device()
    found = _first_that_works(kind, index, asked_for=request != "auto")
    if isinstance(found, Device):
        return found
    if not fallback_to_cpu:
        raise DeviceError(Sentence("{fault} Choose the device 'auto' or 'cpu'.", fault=found))
    return Device("cpu", found, warning=_on_cpu(found))


def count_workers(request: str) -> int:
    """Return how many devices run models side by side: with ``"auto"`` and ``"cuda"`` all graphics cards, else one."""
    return max(1, _cards()) if request in ("auto", "cuda") else 1


def total_memory(device: Device) -> int:
    """Return the memory of the device in bytes; of the machine, where they share it."""
    if device.kind == "cuda":
        return int(torch.cuda.get_device_properties(device.index).total_memory)
    return int(psutil.virtual_memory().total)


def free_memory(device: Device) -> int:
    """Return what of it nobody has taken, in bytes."""
    if device.kind == "cuda":
        return int(torch.cuda.mem_get_info(device.index)[0])
    return int(psutil.virtual_memory().available)


def free_cached_memory() -> None:
    """Give memory back that PyTorch keeps on a GPU for its next tensors."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _read(request: str) -> tuple[DeviceKind | None, int | None]:
    """Return the kind of a device and which one it is; None where any will do."""
    if request == "auto":
        return None, None
    card = _CARD.fullmatch(request)
    if card is not None:
        return "cuda", int(card[1])
    for kind in get_args(DeviceKind):
        if kind == request:
            return kind, None
    devices = ", ".join(get_args(DeviceKind))
    raise DeviceError(
        Sentence("There is no device {device!r}. Choose one of auto, {devices}.", device=request, devices=devices)
    )


def _best_device() -> Device:
    faults = []
    kinds: tuple[DeviceKind, ...] = ("cuda", "mps")
    for kind in kinds:
        if not _present(kind):
            continue
        found = _first_that_works(kind, None, asked_for=False)
        if isinstance(found, Device):
            return found
        faults.append(found)
    if not faults:
        return Device("cpu", Sentence("PyTorch finds no GPU."))
    reason = joined(faults)
    return Device("cpu", reason, warning=_on_cpu(reason))


def _first_that_works(kind: DeviceKind, index: int | None, *, asked_for: bool) -> Device | str:
    """Return a device, of several cards the first that works where none is named; else what is wrong with them."""
    if not _present(kind):
        return Sentence("PyTorch finds no {device} on this machine.", device=_TITLES[kind])
    if index is not None and index >= max(1, _cards()):
        return Sentence("PyTorch finds no graphics card {name} on this machine.", name=f"cuda:{index}")
    faults: list[str] = []
    for one in range(max(1, _cards())) if kind == "cuda" and index is None else (index or 0,):
        fault = _fault(kind, one)
        if fault is not None:
            faults.append(fault)
            continue
        title = _title(kind, one)
        reason = (
            Sentence("{device} was asked for.", device=title)
            if asked_for
            else Sentence("{device} was found.", device=title)
        )
        return Device(kind, reason, joined(map(_left_out, faults)) if faults else None, one)
    return joined(faults)


def _left_out(fault: str) -> Sentence:
    return Sentence("{fault} It is left out.", fault=fault)


def _on_cpu(fault: str) -> Sentence:
    return Sentence("{fault} The network runs on the CPU instead, which is slower.", fault=fault)


def _title(kind: DeviceKind, index: int) -> Sentence:
    if kind == "cuda":
        name = torch.cuda.get_device_name(index)
        return Sentence("The GPU {name}", name=f"{name} (cuda:{index})" if _cards() > 1 else name)
    return Sentence("The CPU") if kind == "cpu" else Sentence("An Apple GPU (MPS)")


def _cards() -> int:
    """Return how many graphics cards CUDA sees."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _present(kind: DeviceKind) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def _try_out(torch_name: str) -> None:
    """Compute a little: a driver that is too old, or a card that this PyTorch was not built for, fails only here."""
    torch.ones(1, device=torch_name).add_(1).item()


def _fault(kind: DeviceKind, index: int) -> Sentence | None:
    """Say why a device that is there does not work; None if it does."""
    try:
        _try_out(Device(kind, "It is tried out.", index=index).torch_name)
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            return None
        first_line = str(error).partition("\n")[0]
        title = Sentence("the graphics card {name}", name=f"cuda:{index}") if _cards() > 1 else _WITH_ARTICLE[kind]
        return Sentence("PyTorch finds {device}, but it does not work ({reason}).", device=title, reason=first_line)
    return None
