"""Which of the sizes that were measured the service should use."""

from collections.abc import Sequence
from dataclasses import dataclass

from napari_unetseg.service.profile import TunedBatch

NEARLY = 0.95
"""A size whose throughput is at least this share of the best is as good: it needs less memory and ends sooner."""


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
        Most memory that a batch took beside the loaded model, in MiB; None if the device does not tell.
    """

    batch_size: int
    window: int
    runs: int
    latency_p50_ms: float
    latency_p95_ms: float
    megapixels_per_s: float
    tiles_per_s: float
    peak_memory_mb: float | None


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
