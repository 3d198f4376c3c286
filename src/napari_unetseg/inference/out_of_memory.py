"""What to do when memory runs out: let idle models go, then fewer tiles at once, then smaller ones, then the CPU.

Each step leaves less to be held at once, or ends on a device that has none below it, so they come to an end.
`step_down` is for images, `make_room` for what has no tiles: a test picture, or the weights of a model.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from napari_unetseg.errors import DeviceError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.tiling.plan import TilePlan
from napari_unetseg.language import Sentence, joined

Fallback = Callable[[], Backend]
"""Puts the same network onto the CPU."""


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


@dataclass(frozen=True)
class MemoryStep:
    """What was done because memory ran out: a sentence for the user, and when (ISO 8601, with time zone)."""

    text: str
    time: str = field(default_factory=_now)


@dataclass(frozen=True)
class Limit:
    """Most tiles at once, and largest side of a window, that are still tried; None where all fitted so far."""

    batch_size: int | None = None
    window: int | None = None


class Limits:
    """What was found not to fit, device by device, while one model ran; any thread may read and write."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_device: dict[str, Limit] = {}

    def of(self, kind: str) -> Limit:
        """Return the limit on a device, ``"cpu"``, ``"cuda"`` or ``"mps"``."""
        with self._lock:
            return self._by_device.get(kind, Limit())

    def lower(self, kind: str, *, batch_size: int | None = None, window: int | None = None) -> None:
        """Remember that no more tiles at once, or no larger windows, should be tried on a device."""
        with self._lock:
            before = self._by_device.get(kind, Limit())
            self._by_device[kind] = Limit(_least(before.batch_size, batch_size), _least(before.window, window))


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def step_down(
    backend: Backend,
    tiles: int,
    tile_plan: TilePlan,
    limits: Limits,
    fallback: Fallback | None,
    let_go: Callable[[], bool] | None = None,
) -> tuple[Backend, MemoryStep] | None:
    """Decide how to go on after memory ran out, and remember it in `limits`.

    Parameters
    ----------
    backend
        The backend that ran; what it keeps for the next run is freed.
    tiles
        Number of tiles that were too much.
    tile_plan
        How the image of the first of them is divided.
    limits
        Limits of the model.
    fallback
        Called if nothing else is left; None if the CPU must not take over, or has already.
    let_go
        See `PredictOptions`; called before anything else is tried.

    Returns
    -------
    tuple of Backend and MemoryStep, or None
        What to go on with, and what to report; None if nothing is left to be tried.
    """
    backend.release_memory()
    kind = backend.device.kind
    room = make_room(kind, let_go)
    if room is not None:
        return backend, room
    if tiles > 1:
        fewer = tiles // 2
        limits.lower(kind, batch_size=fewer)
        went_on = (
            Sentence("{memory} ran out; went on with {n} tiles at once.", memory=_memory(kind), n=fewer)
            if fewer > 1
            else Sentence("{memory} ran out; went on with 1 tile at once.", memory=_memory(kind))
        )
        return backend, MemoryStep(went_on)
    if tile_plan.smaller_window is not None:
        limits.lower(kind, window=tile_plan.smaller_window)
        smaller = Sentence(
            "{memory} ran out; went on with tiles of {pixels} pixels.",
            memory=_memory(kind),
            pixels=tile_plan.smaller_window,
        )
        if backend.receptive_radius is not None:
            return backend, MemoryStep(smaller)
        whole = Sentence("This model looks at the whole of what it sees, so smaller tiles change the answer.")
        return backend, MemoryStep(joined([smaller, whole]))
    if fallback is not None:
        return fallback(), cpu_took_over(kind)
    return None


def make_room(kind: str, let_go: Callable[[], bool] | None) -> MemoryStep | None:
    """Let models go that nobody uses; return what to report, None if there were none.

    Parameters
    ----------
    kind
        Device on which memory ran out: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    let_go
        See `PredictOptions`.
    """
    if let_go is None or not let_go():
        return None
    return MemoryStep(Sentence("{memory} ran out; models that nobody used were let go.", memory=_memory(kind)))


def cpu_took_over(kind: str) -> MemoryStep:
    """Return what to report where the CPU had to take over from a device."""
    return MemoryStep(Sentence("{memory} ran out; the CPU took over, which is slower.", memory=_memory(kind)))


def nothing_left(image: Image, backend: Backend, tile_plan: TilePlan) -> DeviceError:
    """Say that an image could not be computed, and what to do."""
    height, width = tile_plan.tiles[0].read_shape
    kind = backend.device.kind
    remedy = Sentence("use a machine with more memory" if kind == "cpu" else "choose the device 'cpu'")
    return DeviceError(
        Sentence(
            "{image}: {memory} ran out even with a single tile of {height} x {width} pixels. Close other "
            "programs that use it, or {remedy}.",
            image=image.name,
            memory=_memory(kind),
            height=height,
            width=width,
            remedy=remedy,
        )
    )


def no_memory_for(image: Image) -> Sentence:
    """Say that there is not even memory for an image's result."""
    height, width = image.shape
    return Sentence(
        "{image}: memory ran out for the result of its {height} x {width} pixels. Close other "
        "programs or images, or cut the image into parts.",
        image=image.name,
        height=height,
        width=width,
    )


def no_memory_to_load(model: str) -> Sentence:
    """Say that a model does not fit."""
    return Sentence(
        "{model}: memory ran out while the model was loaded. Close other programs or images, or choose a "
        "smaller model.",
        model=model,
    )


def no_memory_to_check(kind: str) -> Sentence:
    """Say that there is not even memory for a test picture on a device."""
    return Sentence(
        "{memory} ran out while the network looked at a small test image. Close other programs or images, or choose a "
        "smaller model.",
        memory=_memory(kind),
    )


def _memory(kind: str) -> Sentence:
    return Sentence("Memory" if kind == "cpu" else "GPU memory")
