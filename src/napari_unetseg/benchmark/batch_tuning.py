"""Which batch size and window suit a device: what is measured, and in which order.

First every size is tried once, from small to large, for its memory; sizes that would need too much, or
whose batch would take too long, are left out with everything larger. Then all sizes are timed in turns,
so that whatever slows the machine for a while slows all alike, and the first turn counts for nothing.

Only the pixels that a tile keeps count as throughput, not its halo: a larger window wastes less on it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

import numpy as np

from napari_unetseg.service.machine_profile import TunedBatch

MAX_BATCH_S = 10.0
"""No size is tried whose batch would take longer: progress would stand still for as long."""

NEARLY = 0.95
"""A size whose throughput is at least this share of the best is as good: it needs less memory and ends sooner."""


@dataclass(frozen=True)
class TileShape:
    """What the network sees of a tile, and how many pixels of the image are done with it."""

    height: int
    width: int
    kept: int

    @property
    def side(self) -> int:
        """Its longer side."""
        return max(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Pixels that the network sees."""
        return self.height * self.width


@dataclass(frozen=True)
class TrialBatch:
    """So many tiles of that shape at once."""

    batch_size: int
    tile: TileShape

    @property
    def pixels(self) -> int:
        """Pixels that the network sees at once."""
        return self.batch_size * self.tile.pixels

    def __str__(self) -> str:
        return f"{self.batch_size} x {self.tile.height} x {self.tile.width}"


@dataclass(frozen=True)
class Trial:
    """Seconds of one batch, and the most memory it took in bytes; None if the device does not report it."""

    seconds: float
    peak_bytes: int | None


class BenchmarkTarget(Protocol):
    """A network on a device. Both methods raise MemoryError where the device has too little memory."""

    def trial(self, size: TrialBatch) -> Trial:
        """Run a batch once, watching the memory."""

    def seconds(self, size: TrialBatch) -> float:
        """Run a batch once and return how long it took."""


@dataclass(frozen=True)
class TuningPlan:
    """What to measure.

    Attributes
    ----------
    tiles
        Shapes of tiles, smallest first.
    batch_sizes
        In ascending order.
    repeats
        How often each size is timed.
    safe_bytes
        Memory that no size may exceed.
    window_is_free
        Whether the window is ours to choose. Where the network sees every image at one size, or answers
        differently with another window, it is not.
    """

    tiles: tuple[TileShape, ...]
    batch_sizes: tuple[int, ...]
    repeats: int
    safe_bytes: int
    window_is_free: bool


@dataclass(frozen=True)
class Measurement:
    """What was measured for one size.

    Attributes
    ----------
    window
        Longer side of what the network sees of a tile, in pixels.
    runs
        How many timed runs the figures come from.
    latency_p50_ms, latency_p95_ms
        Median and 95th percentile of the time of one batch.
    megapixels_per_s
        Millions of pixels of the image done in a second, by the median; halos do not count.
    tiles_per_s
        Tiles done in a second, by the median.
    peak_memory_mb
        Most memory that a batch took in addition to the loaded model, in MiB; None if the device does not report it.
    """

    batch_size: int
    window: int
    runs: int
    latency_p50_ms: float
    latency_p95_ms: float
    megapixels_per_s: float
    tiles_per_s: float
    peak_memory_mb: float | None


@dataclass(frozen=True)
class LeftOut:
    """A size that was not measured, and everything larger with it; and why."""

    batch_size: int
    window: int
    reason: str


@dataclass(frozen=True)
class Tuning:
    """What a device can do with a model.

    Attributes
    ----------
    measurements
        By window, then by batch size.
    left_out
        Sizes that were too large.
    chosen
        What the service should use; None if nothing was measured.
    interrupted
        Whether it was stopped before all was measured.
    """

    measurements: tuple[Measurement, ...]
    left_out: tuple[LeftOut, ...]
    chosen: TunedBatch | None
    interrupted: bool


@dataclass
class _Record:
    """What is known so far; an interruption leaves it as it is."""

    trials: dict[TrialBatch, Trial] = field(default_factory=dict)
    seconds: dict[TrialBatch, list[float]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, size: TrialBatch, reason: str) -> None:
        self.left_out.append(LeftOut(size.batch_size, size.tile.side, reason))


def tune(bench: BenchmarkTarget, plan: TuningPlan, report: Callable[[str], None] = lambda _: None) -> Tuning:
    """Measure what a plan names, as far as the device can take it, and choose.

    Ctrl-C ends it early, with what was measured until then.

    Parameters
    ----------
    bench
        The network on its device.
    plan
        What to measure.
    report
        Called with a few words on what happens next.
    """
    record = _Record()
    interrupted = False
    try:
        _try_all(bench, plan, record, report)
        _time_all(bench, plan.repeats, record, report)
    except KeyboardInterrupt:
        interrupted = True
    measurements = tuple(
        summarise_times(size, seconds, record.trials[size].peak_bytes)
        for size, seconds in record.seconds.items()
        if seconds
    )
    chosen = choose(measurements, window_is_free=plan.window_is_free)
    return Tuning(measurements, tuple(record.left_out), chosen, interrupted)


def summarise_times(size: TrialBatch, seconds: Sequence[float], peak_bytes: int | None) -> Measurement:
    """Turn the seconds of a size's runs, at least one, into the figures that are reported."""
    median, late = np.percentile(seconds, (50, 95))
    return Measurement(
        batch_size=size.batch_size,
        window=size.tile.side,
        runs=len(seconds),
        latency_p50_ms=1000 * float(median),
        latency_p95_ms=1000 * float(late),
        megapixels_per_s=size.batch_size * size.tile.kept / float(median) / 1e6,
        tiles_per_s=size.batch_size / float(median),
        peak_memory_mb=None if peak_bytes is None else peak_bytes / 2**20,
    )


def choose(measurements: Sequence[Measurement], *, window_is_free: bool = True) -> TunedBatch | None:
    """Choose the smallest size whose throughput is within 5 % of the best.

    Smallest is what shows the network the fewest pixels at once, and of equals the smaller batch. The
    largest batch is the largest that was measured with the chosen window, and the largest window any
    that was measured.

    Returns
    -------
    TunedBatch or None
        None if there is no measurement.
    """
    if not measurements:
        return None
    enough = NEARLY * max(one.megapixels_per_s for one in measurements)
    good = (one for one in measurements if one.megapixels_per_s >= enough)
    best = min(good, key=lambda one: (one.batch_size * one.window**2, one.batch_size))
    return TunedBatch(
        batch_size=best.batch_size,
        max_batch_size=max(one.batch_size for one in measurements if one.window == best.window),
        window=best.window if window_is_free else None,
        max_window=max(one.window for one in measurements) if window_is_free else None,
        megapixels_per_s=best.megapixels_per_s,
        peak_memory_mb=best.peak_memory_mb,
    )


def _try_all(bench: BenchmarkTarget, plan: TuningPlan, record: _Record, report: Callable[[str], None]) -> None:
    for tile in plan.tiles:
        for batch_size in plan.batch_sizes:
            size = TrialBatch(batch_size, tile)
            report(f"Trying {size} pixels")
            fault = _fault_ahead(size, plan, record.trials) or _try(bench, size, plan, record)
            if fault is not None:
                record.leave_out(size, fault)
                break


def _fault_ahead(size: TrialBatch, plan: TuningPlan, trials: dict[TrialBatch, Trial]) -> str | None:
    """Say why a size should not even be tried, judged by the largest smaller one; None if it should.

    Memory and time grow no faster than the pixels.
    """
    smaller = [one for one in trials if one.pixels < size.pixels]
    if not smaller:
        return None
    nearest = max(smaller, key=lambda one: one.pixels)
    growth, trial = size.pixels / nearest.pixels, trials[nearest]
    if trial.peak_bytes is not None and growth * trial.peak_bytes > plan.safe_bytes:
        return _too_much(growth * trial.peak_bytes, plan, "would need about")
    if growth * trial.seconds > MAX_BATCH_S:
        return f"a batch would take about {growth * trial.seconds:.0f} s, above {MAX_BATCH_S:g} s"
    return None


def _try(bench: BenchmarkTarget, size: TrialBatch, plan: TuningPlan, record: _Record) -> str | None:
    """Try a size once; say what is wrong with it, or keep it and return None."""
    try:
        trial = bench.trial(size)
    except MemoryError:
        return "out of memory"
    if trial.peak_bytes is not None and trial.peak_bytes > plan.safe_bytes:
        return _too_much(trial.peak_bytes, plan, "needs")
    record.trials[size] = trial
    record.seconds[size] = []
    return None


def _too_much(peak: float, plan: TuningPlan, verb: str) -> str:
    return f"{verb} {peak / 2**20:.0f} MiB, above the safe {plan.safe_bytes / 2**20:.0f} MiB"


def _time_all(bench: BenchmarkTarget, repeats: int, record: _Record, report: Callable[[str], None]) -> None:
    began = time.monotonic()
    for turn in range(repeats + 1):
        sizes = list(record.seconds)
        left = f", about {(repeats + 1 - turn) * (time.monotonic() - began) / turn:.0f} s left" if turn else ""
        report(f"Turn {turn} of {repeats} over {len(sizes)} sizes{left}" if turn else f"Warming up {len(sizes)} sizes")
        # Back and forth, so that no size always follows the same neighbour.
        for size in sizes if turn % 2 else reversed(sizes):
            if size not in record.seconds:
                continue
            try:
                seconds = bench.seconds(size)
            except MemoryError:
                _drop(size, record)
                continue
            if turn:
                record.seconds[size].append(seconds)


def _drop(size: TrialBatch, record: _Record) -> None:
    """Forget a size that ran out of memory after all, and larger batches of the same tile."""
    for other in [one for one in record.seconds if one.tile == size.tile and one.batch_size >= size.batch_size]:
        del record.seconds[other]
    record.leave_out(size, "out of memory")


def doubled(up_to: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ... up to a bound."""
    return tuple(takewhile(lambda n: n <= up_to, (2**k for k in range(up_to.bit_length()))))
