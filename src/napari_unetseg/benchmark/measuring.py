"""What is measured of a model on its device, and how. Imports torch."""

from contextlib import ExitStack
from types import TracebackType

import numpy as np
import psutil
import torch

from napari_unetseg.benchmark.batch_tuning import BenchmarkTarget, TileShape, Trial, TrialBatch, TuningPlan, doubled
from napari_unetseg.benchmark.benchmarked_model import BenchmarkedModel, load_backend, time_run, warm_up
from napari_unetseg.benchmark.memory_process import MemoryProbe
from napari_unetseg.errors import is_out_of_memory
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.backends.device import Device, free_memory, total_memory
from napari_unetseg.inference.backends.selection import BackendRequest, plan_execution
from napari_unetseg.inference.tiling.blended import OVERLAP
from napari_unetseg.inference.tiling.exact import round_up, smallest_window
from napari_unetseg.inference.tiling.plan import BLENDED_WINDOW, TileLimits, pixels_that_fit, plan_tiling
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.card import ModelCard

TRIAL_WINDOWS = (512, 768, 1152, 1536)
QUICK_WINDOWS = (512, 1152)
BANDED_WINDOW = 2560
"""Measured too where a window is computed in bands; about what such a window is by default."""

_LARGE = 16384
"""Side in pixels of an image that any network sees in windows."""

MAX_BATCH = {"cpu": 4, "cuda": 64, "mps": 16}
QUICK_MAX_BATCH = {"cpu": 2, "cuda": 8, "mps": 4}
REPEATS = 7
QUICK_REPEATS = 3

SAFE_SHARE = {"cpu": 0.5, "cuda": 0.8, "mps": 0.5}
"""Share of the device's memory that a batch may take; a graphics card has few other users."""


def plan_for(benchmarked: BenchmarkedModel, *, quick: bool = False) -> TuningPlan:
    """Say what to measure for a model on its device.

    Parameters
    ----------
    benchmarked
        The loaded model.
    quick
        Fewer sizes and runs: for a first impression.
    """
    kind = benchmarked.backend.device.kind
    card = benchmarked.package.card
    windows = QUICK_WINDOWS if quick else TRIAL_WINDOWS
    banded = (BANDED_WINDOW,) if benchmarked.backend.in_bands else ()
    tiles = tile_shapes(benchmarked.backend, card, windows + banded)
    return TuningPlan(
        tiles=tiles,
        batch_sizes=doubled((QUICK_MAX_BATCH if quick else MAX_BATCH)[kind]),
        repeats=QUICK_REPEATS if quick else REPEATS,
        safe_bytes=_safe_bytes(benchmarked.backend.device),
        window_is_free=card.image_size is None
        and benchmarked.backend.receptive_radius is not None
        and not is_foreign(card.architecture.name),
    )


def tile_shapes(backend: Backend, card: ModelCard, windows: tuple[int, ...]) -> tuple[TileShape, ...]:
    """Return the shapes that tiles of this model can have: the one it asks for, or those of the windows.

    Windows that leave less than half of their side between their halos are left out, unless all do. A network that
    another program wrote has the window that its card states.
    """
    if card.image_size is not None:
        height, width = card.image_size
        return (TileShape(height, width, height * width),)
    if is_foreign(card.architecture.name):
        tile = plan_tiling((_LARGE, _LARGE), card, backend, TileLimits(None, 0)).tiles[-1]
        rows, columns = tile.write
        height, width = tile.read_shape
        return (TileShape(height, width, (rows.stop - rows.start) * (columns.stop - columns.start)),)
    if backend.receptive_radius is None:
        height, width = backend.accepted_size(BLENDED_WINDOW, BLENDED_WINDOW)
        return (TileShape(height, width, int(height * (1 - OVERLAP)) * int(width * (1 - OVERLAP))),)
    halo = round_up(backend.receptive_radius, backend.grid)
    sides = [window // backend.grid * backend.grid for window in windows]
    sides = [side for side in sides if side >= 4 * halo and side >= smallest_window(halo, backend.grid)]
    sides = sides or [max(4 * halo, smallest_window(halo, backend.grid))]
    return tuple(TileShape(side, side, (side - 2 * halo) ** 2) for side in sides)


class DeviceBench:
    """A loaded model as `napari_unetseg.benchmark.batch_tuning.tune` wants it; a context manager.

    On the CPU the memory is measured in a process of its own, on a GPU by PyTorch's own count.

    Parameters
    ----------
    benchmarked
        The loaded model.
    """

    def __init__(self, benchmarked: BenchmarkedModel) -> None:
        self._benchmarked = benchmarked
        self._stack = ExitStack()
        self._probe: MemoryProbe | None = None

    def __enter__(self) -> BenchmarkTarget:
        benchmarked = self._benchmarked
        if benchmarked.backend.device.kind == "cpu":
            self._probe = self._stack.enter_context(
                MemoryProbe(
                    benchmarked.package.stored, benchmarked.execution_plan, keeps_memory=benchmarked.keeps_memory
                )
            )
        warm_up(benchmarked.backend, benchmarked.package.card)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def trial(self, size: TrialBatch) -> Trial:
        """Run a batch once, watching the memory.

        Raises
        ------
        MemoryError
            If there is not enough.
        """
        if self._probe is not None:
            return Trial(*self._probe.measure(size.batch_size, size.tile.height, size.tile.width))
        kind = self._benchmarked.backend.device.kind
        self._benchmarked.backend.release_memory()
        if kind == "mps":
            before = torch.mps.driver_allocated_memory()
            seconds = self.seconds(size)
            return Trial(seconds, max(torch.mps.driver_allocated_memory() - before, 0))
        if self._benchmarked.execution_plan.backend != "torch":  # others do not report it
            return Trial(self.seconds(size), None)
        card = self._benchmarked.backend.device.index
        torch.cuda.reset_peak_memory_stats(card)
        before = torch.cuda.memory_allocated(card)
        seconds = self.seconds(size)
        return Trial(seconds, torch.cuda.max_memory_allocated(card) - before)

    def seconds(self, size: TrialBatch) -> float:
        """Run a batch once and return how long it took.

        Raises
        ------
        MemoryError
            If there is not enough.
        """
        shape = (size.batch_size, self._benchmarked.package.card.input_channels, size.tile.height, size.tile.width)
        try:
            return time_run(self._benchmarked.backend, shape)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            out_of_memory = str(error)
        # Outside the handler: the traceback would hold the tensors, and their memory with them.
        self._benchmarked.backend.release_memory()
        raise MemoryError(out_of_memory)


def cpu_megapixels_per_s(benchmarked: BenchmarkedModel, plan: TuningPlan) -> float:
    """Return the best throughput of this machine's CPU with one tile at once, to compare a GPU with.

    Each tile that surely fits into the machine's memory, and the smallest in any case, is run as often
    as in a quick measurement, after a warm-up.
    """
    execution_plan = plan_execution(BackendRequest(benchmarked.execution_plan.backend), benchmarked.package.card, "cpu")
    device = Device("cpu", "A GPU is compared with it.")
    backend = load_backend(benchmarked.package, execution_plan, device, keeps_memory=benchmarked.keeps_memory)
    channels = benchmarked.package.card.input_channels
    warm_up(backend, benchmarked.package.card)
    fits = pixels_that_fit(psutil.virtual_memory().total)
    best = 0.0
    for tile in plan.tiles:
        if best and tile.pixels > fits:
            break
        seconds = [time_run(backend, (1, channels, tile.height, tile.width)) for _ in range(QUICK_REPEATS + 1)]
        best = max(best, tile.kept / float(np.median(seconds[1:])) / 1e6)
    return best


def _safe_bytes(device: Device) -> int:
    """Return what a batch may take: a share of the device's memory, and no more than what is free now."""
    return int(min(SAFE_SHARE[device.kind] * total_memory(device), free_memory(device)))
