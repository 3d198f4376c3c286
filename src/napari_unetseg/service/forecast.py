"""What a run will take, estimated before it starts: time, memory, and the device. Loads neither torch nor a model."""

import shutil
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from platform import machine
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

import psutil

from napari_unetseg.config import Settings
from napari_unetseg.cores import usable_cores
from napari_unetseg.inference.augmentation import ORIENTATIONS
from napari_unetseg.inference.backends import device_kind
from napari_unetseg.inference.backends.openvino.library import openvino_version
from napari_unetseg.inference.backends.selection import BackendRequest, likely_plans
from napari_unetseg.inference.object_size import scale_factor, size_for_network
from napari_unetseg.inference.tiling.plan import (
    Tileable,
    TileLimits,
    TilePlan,
    facts_on,
    pixels_that_fit,
    plan_tiling,
    tiles_at_once,
)
from napari_unetseg.language import Sentence
from napari_unetseg.networks.facts import NetworkFacts
from napari_unetseg.networks.working_memory import working_bytes
from napari_unetseg.probability_maps import MAPS_IN_MEMORY
from napari_unetseg.service.machine_profile import TunedBatch, device_name, read_profile
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel
    from napari_unetseg.service.protocols import RunningModel

TimeBasis = Literal["runs", "benchmark", "guess"]
"""Where a time comes from: runs of this session, a saved benchmark, or the size of the network."""

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
        Memory that tiles and results will take in addition to the image and the loaded model; None if nothing is known.
    free_mb
        Memory that is free on the machine now.
    window
        Longer side of the windows that the network will see, in pixels.
    """

    device: str
    reason: str
    precision: str | None
    seconds: float | None
    basis: TimeBasis | None
    memory_mb: float | None
    free_mb: float
    window: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether somebody who waits for it should know beforehand."""
        return self.seconds is not None and self.seconds > LONG_S

    @property
    def is_large(self) -> bool:
        """Whether it may not fit into the memory that is free."""
        return self.device != "cuda" and self.memory_mb is not None and self.memory_mb > self.free_mb


LONG_S = 120.0
"""Seconds above which a run counts as long."""


class _Plan(NamedTuple):
    """How the network will be computed, as `ExecutionPlan` names it."""

    backend: str
    precision: str


class Throughput:
    """How fast networks were in this session, counted by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: dict[tuple[str, ...], deque[tuple[float, float]]] = {}

    def note(self, loaded_model: "RunningModel", pixels: float, seconds: float) -> None:
        """Remember that so many pixels, as the network saw them and each time it did, took so long."""
        with self._lock:
            runs = self._runs.setdefault(_key(loaded_model), deque(maxlen=_RUNS_REMEMBERED))
            runs.append((pixels, seconds))

    def seconds_per_pixel(self, loaded_model: "RunningModel") -> float | None:
        """Return the pace of the last few runs; None before one."""
        with self._lock:
            runs = self._runs.get(_key(loaded_model))
            return sum(seconds for _, seconds in runs) / sum(pixels for pixels, _ in runs) if runs else None


def _key(running_model: "RunningModel") -> tuple[str, ...]:
    facts = running_model.facts
    return running_model.card.weights.sha256, facts.device, facts.backend, facts.precision


def network_pixels(card: ModelCard, work: Workload) -> float:
    """Return how many pixels the network will work through: of all planes, at its own scale, in all passes."""
    plane = prod(card.image_size) if card.image_size else prod(work.shape) * scale_factor(card, work.diameter) ** 2
    return plane * work.planes * passes(augment=work.augment)


def passes(*, augment: bool) -> int:
    """Return how often the network runs over an image: in all orientations where their answers are averaged."""
    return len(ORIENTATIONS) if augment else 1


def forecast_run(
    package: ModelPackage,
    work: Workload,
    settings: Settings,
    device: str | None = None,
    *,
    backend_request: BackendRequest | None = None,
    loaded_model: "LoadedModel | None" = None,
    throughput: Throughput | None = None,
) -> Forecast:
    """Say what a run will take.

    Parameters
    ----------
    package
        The model.
    work
        What is to be run.
    settings, device, backend_request
        As the service that will run it has them; None for what the settings say.
    loaded_model
        The model, if it is loaded.
    throughput
        Of earlier runs of the loaded model; None if there were none.

    Raises
    ------
    UnetsegError
        If the diameter cannot be used with this model or image.
    """
    card, model_settings = package.card, settings.unet.model
    if backend_request is None:
        backend_request = BackendRequest(model_settings.backend, model_settings.precision)
    where, reason = (
        (loaded_model.device.torch_name, loaded_model.device.reason)
        if loaded_model is not None
        else expected_device(device or model_settings.device)
    )
    kind = device_kind(where)
    plan, tuned = _plan_and_benchmark(where, card, backend_request, loaded_model)
    measured = throughput.seconds_per_pixel(loaded_model) if throughput and loaded_model else None
    facts = _facts(card, plan, kind)
    pace, basis = (None, None) if facts is None else _pace(card, kind, tuned, measured)
    tile_plan = _tile_plan(card, work, settings, facts, tuned, loaded_model)
    return Forecast(
        device=kind,
        reason=reason,
        precision=loaded_model.backend.precision if loaded_model is not None else None,
        seconds=None if pace is None else network_pixels(card, work) * pace,
        basis=basis,
        memory_mb=_memory_mb(card, work, settings, kind, facts, tuned, tile_plan),
        free_mb=psutil.virtual_memory().available / 2**20,
        window=None if tile_plan is None else tile_plan.window,
    )


def expected_device(request: str) -> tuple[str, str]:
    """Say on which device a network will run, as far as that can be known without torch; and why.

    Parameters
    ----------
    request
        ``"auto"``, ``"cuda"``, a card such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
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
    card: ModelCard, kind: str, tuned: TunedBatch | None, measured: float | None
) -> tuple[float | None, TimeBasis | None]:
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


def _plan_and_benchmark(
    where: str, card: ModelCard, backend_request: BackendRequest, loaded_model: "LoadedModel | None"
) -> tuple[_Plan, TunedBatch | None]:
    """Return how the model runs, and what was measured of that; before it is loaded, the likeliest that was measured.

    Where nothing was, it is the likeliest of all whose libraries are installed.
    """
    if loaded_model is not None:
        plans = [_Plan(loaded_model.plan.backend, loaded_model.plan.precision)]
    else:
        plans = [_Plan(*plan) for plan in likely_plans(backend_request, card, device_kind(where))]
    # The name of a GPU is asked of torch, which is loaded where the model is.
    if device_kind(where) != "cuda" or loaded_model is not None:
        device = device_name(where)
        for plan in plans:
            tuned = read_profile(device, card.weights.sha256, plan.backend, plan.precision)
            if tuned is not None:
                return plan, tuned
    installed = (plan for plan in plans if plan.backend != "openvino" or openvino_version() is not None)
    return next(installed, plans[0]), None


def _facts(card: ModelCard, plan: _Plan, kind: str) -> NetworkFacts | None:
    """Return the facts of the network; None if none can be built from the card, which loading will say."""
    try:
        return facts_on(card, plan.backend, kind)
    except ValueError:
        return None


def _tile_plan(
    card: ModelCard,
    work: Workload,
    settings: Settings,
    facts: NetworkFacts | None,
    tuned: TunedBatch | None,
    loaded_model: "LoadedModel | None",
) -> TilePlan | None:
    """Divide a plane as the engine will; None where it is not known how."""
    resized_to = size_for_network(work.shape, card, work.diameter)
    if loaded_model is not None:
        network: Tileable = loaded_model.backend
        limits = loaded_model.tile_limits
    elif facts is None:
        return None
    else:
        network = facts
        window = settings.unet.inference.window or (tuned.window if tuned is not None else None)
        # A GPU's own memory is not known before torch is loaded.
        limits = TileLimits(window, pixels_that_fit(psutil.virtual_memory().total))
    return plan_tiling(resized_to or work.shape, card, network, limits, resized_to)


def _memory_mb(
    card: ModelCard,
    work: Workload,
    settings: Settings,
    kind: str,
    facts: NetworkFacts | None,
    tuned: TunedBatch | None,
    tile_plan: TilePlan | None,
) -> float | None:
    """Return the memory of a batch of tiles, and of maps and labels of all planes."""
    pixels = prod(work.shape) * work.planes
    maps = 4 * len(card.outputs) * pixels
    # Large ones are in a file; reading objects off them takes as much as three label images.
    maps = 12 * pixels + (maps if maps <= MAPS_IN_MEMORY else 0)
    if tuned is not None and tuned.peak_memory_mb is not None:
        return tuned.peak_memory_mb + maps / 2**20
    if facts is None or tile_plan is None:
        return None
    height, width = tile_plan.tiles[0].read_shape
    network = working_bytes(facts, height, width, in_bands=facts.in_bands)
    if network is None:
        return None
    # Beside the network's own maps there are what it sees and what it says.
    tile = network + 4 * height * width * (card.input_channels + len(card.outputs))
    size = settings.unet.inference.batch_size or (
        tuned.batch_size if tuned is not None else tiles_at_once(kind, (height, width))
    )
    return (min(size, len(tile_plan.tiles) * work.planes) * tile + maps) / 2**20
