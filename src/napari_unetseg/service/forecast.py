"""What a run will take, told before it starts: time, memory, and the device. Loads neither torch nor a model."""

import shutil
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from platform import machine
from threading import Lock
from typing import TYPE_CHECKING, Literal

import psutil

from napari_unetseg.config import Settings
from napari_unetseg.cores import usable_cores
from napari_unetseg.inference.backends.selection import BackendRequest, likely_plans
from napari_unetseg.inference.object_size import enlargement
from napari_unetseg.language import Sentence
from napari_unetseg.probability_maps import MAPS_IN_MEMORY
from napari_unetseg.service.machine import device_name
from napari_unetseg.service.profile import TunedSize, read_profile
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

Basis = Literal["runs", "benchmark", "guess"]
"""Where a time comes from: runs of this session, a saved benchmark, or the size of the network."""

_DEFAULT_WINDOW = 1200
_RUNS_REMEMBERED = 5

# Operations a second that convolutions reach, to the nearest power of ten or so: good for a first guess.
_SPEED = {"cpu": 25e9, "cuda": 8e12, "mps": 2e12}

EXPECTED = {
    "cpu": Sentence("No GPU that PyTorch can use is expected on this machine."),
    "cuda": Sentence("An NVIDIA GPU is expected on this machine; it is looked for at the first run."),
    "mps": Sentence("A Mac of this kind has a GPU that PyTorch can use."),
}


@dataclass(frozen=True)
class Workload:
    """What is to be run.

    Attributes
    ----------
    shape
        Height and width of a plane in pixels.
    planes
        Number of planes.
    diameter, augment
        As `SegmentationService.segment` takes them.
    """

    shape: tuple[int, int]
    planes: int = 1
    diameter: float | None = None
    augment: bool = False


@dataclass(frozen=True)
class Forecast:
    """What a run will take, about.

    Attributes
    ----------
    device, reason
        ``"cpu"``, ``"cuda"`` or ``"mps"``, and a sentence why.
    precision
        Arithmetic of the network; None until it is loaded.
    seconds, basis
        Duration of the network's part, and where that comes from; None if nothing is known.
    memory_mb
        Memory that tiles and results will take beside the image and the loaded model; None if nothing is known.
    free_mb
        Memory that is free on the machine now.
    """

    device: str
    reason: str
    precision: str | None
    seconds: float | None
    basis: Basis | None
    memory_mb: float | None
    free_mb: float

    @property
    def is_long(self) -> bool:
        """Whether somebody who waits for it should be told before."""
        return self.seconds is not None and self.seconds > LONG_S

    @property
    def is_large(self) -> bool:
        """Whether it may not fit into the memory that is free."""
        return self.device != "cuda" and self.memory_mb is not None and self.memory_mb > self.free_mb


LONG_S = 120.0
"""Seconds above which a run counts as long."""


class Throughput:
    """How fast networks were in this session, counted by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: dict[tuple[str, ...], deque[tuple[float, float]]] = {}

    def note(self, loaded_model: "LoadedModel", pixels: float, seconds: float) -> None:
        """Remember that so many pixels, as the network saw them and each time it did, took so long."""
        with self._lock:
            runs = self._runs.setdefault(_key(loaded_model), deque(maxlen=_RUNS_REMEMBERED))
            runs.append((pixels, seconds))

    def seconds_per_pixel(self, loaded_model: "LoadedModel") -> float | None:
        """Return the pace of the last few runs; None before one."""
        with self._lock:
            runs = self._runs.get(_key(loaded_model))
            return sum(seconds for _, seconds in runs) / sum(pixels for pixels, _ in runs) if runs else None


def _key(loaded_model: "LoadedModel") -> tuple[str, ...]:
    return (
        loaded_model.card.weights.sha256,
        loaded_model.device.kind,
        loaded_model.plan.backend,
        loaded_model.plan.precision,
    )


def network_pixels(card: ModelCard, work: Workload) -> float:
    """Return how many pixels the network will work through: of all planes, at its own scale, in all passes."""
    plane = prod(card.image_size) if card.image_size else prod(work.shape) * enlargement(card, work.diameter) ** 2
    return plane * work.planes * passes(augment=work.augment)


def passes(*, augment: bool) -> int:
    """Return how often the network runs over an image: eight times where it is turned and flipped to average these."""
    return 8 if augment else 1


def forecast_run(
    card: ModelCard,
    work: Workload,
    settings: Settings,
    throughput: Throughput,
    loaded_model: "LoadedModel | None",
    device: str | None,
    backend_request: BackendRequest,
) -> Forecast:
    """Say what a run will take.

    Parameters
    ----------
    card
        Card of the model.
    work
        What is to be run.
    settings, device, backend_request
        As the service that will run it has them.
    throughput
        Of earlier runs.
    loaded_model
        The model, if it is loaded.

    Raises
    ------
    ParameterError
        If the diameter cannot be used with this model.
    """
    kind, reason = (
        (loaded_model.device.kind, loaded_model.device.reason)
        if loaded_model is not None
        else expected_device(device or settings.unet.model.device)
    )
    # The name of a GPU is asked of torch, which is loaded where the model is.
    tuned = None if kind == "cuda" and loaded_model is None else _tuned(kind, card, backend_request, loaded_model)
    pixels = network_pixels(card, work)
    pace, basis = _pace(
        card, kind, tuned, throughput.seconds_per_pixel(loaded_model) if loaded_model is not None else None
    )
    return Forecast(
        device=kind,
        reason=reason,
        precision=loaded_model.backend.precision if loaded_model is not None else None,
        seconds=None if pace is None else pixels * pace,
        basis=basis,
        memory_mb=_memory_mb(card, work, settings, tuned),
        free_mb=psutil.virtual_memory().available / 2**20,
    )


def expected_device(request: str) -> tuple[str, str]:
    """Say on which device a network will run, as far as that can be told without torch; and why.

    Parameters
    ----------
    request
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    """
    if request != "auto":
        return request, Sentence("It was asked for.")
    if sys.platform == "darwin" and machine() == "arm64":
        return "mps", EXPECTED["mps"]
    has_driver = shutil.which("nvidia-smi") is not None
    kind = "cuda" if has_driver and not version("torch").endswith("+cpu") else "cpu"
    return kind, EXPECTED[kind]


def operations_per_pixel(card: ModelCard) -> float | None:
    """Return how many multiplications and additions a U-Net needs for a pixel of its input; None for other networks.

    Counted are two 3 x 3 convolutions a level on the way down and on the way up, which halve the resolution from
    level to level (Ronneberger et al. 2015).
    """
    arguments = card.architecture.arguments
    features: Sequence[int] | None = arguments.get("features")
    if not features:
        return None
    block = int(arguments.get("block", 1)) ** 2
    total = 0.0
    before = card.input_channels * block
    for level, width in enumerate(features):
        down = before * width + width**2
        up = 0 if level == len(features) - 1 else 3 * width**2
        total += 18 * (down + up) / 4**level
        before = width
    return total / block


def _pace(
    card: ModelCard, kind: str, tuned: TunedSize | None, measured: float | None
) -> tuple[float | None, Basis | None]:
    """Return seconds a pixel, and where they come from."""
    if measured is not None:
        return measured, "runs"
    if tuned is not None and tuned.megapixels_per_s is not None:
        return 1e-6 / tuned.megapixels_per_s, "benchmark"
    operations = operations_per_pixel(card)
    if operations is None:
        return None, None
    # Two threads on one core compute no faster than one.
    cores = min(psutil.cpu_count(logical=False) or 1, usable_cores()) if kind == "cpu" else 1
    return operations / (_SPEED[kind] * cores), "guess"


def _tuned(
    kind: str, card: ModelCard, backend_request: BackendRequest, loaded_model: "LoadedModel | None"
) -> TunedSize | None:
    """Return what was measured of the way that the model runs or, before it is loaded, of the likeliest that was."""
    plans = (
        likely_plans(backend_request, card, kind)
        if loaded_model is None
        else ((loaded_model.plan.backend, loaded_model.plan.precision),)
    )
    device = device_name(kind)
    measured = (read_profile(device, card.weights.sha256, *plan) for plan in plans)
    return next((size for size in measured if size is not None), None)


def _memory_mb(card: ModelCard, work: Workload, settings: Settings, tuned: TunedSize | None) -> float | None:
    """Return the memory of a batch of tiles, and of maps and labels of all planes."""
    pixels = prod(work.shape) * work.planes
    maps = 4 * len(card.outputs) * pixels
    # Large ones are in a file; reading objects off them takes as much as three label images.
    maps = 12 * pixels + (maps if maps <= MAPS_IN_MEMORY else 0)
    if tuned is not None and tuned.peak_memory_mb is not None:
        return tuned.peak_memory_mb + maps / 2**20
    features = card.architecture.arguments.get("features")
    if not features:
        return None
    asked = settings.unet.inference
    window = asked.window or (tuned.window if tuned is not None else None) or _DEFAULT_WINDOW
    scale = enlargement(card, work.diameter)
    tile = prod(card.image_size) if card.image_size else prod(min(window, side * scale) for side in work.shape)
    block = int(card.architecture.arguments.get("block", 1)) ** 2
    # At its first level a U-Net holds about nine maps at once: input, skip, two on the way, and as many going up.
    batch = (asked.batch_size or (tuned.batch_size if tuned is not None else 1)) * tile * 36 * features[0] / block
    return float(batch + maps) / 2**20
