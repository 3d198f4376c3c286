"""The figures of `napari-unetseg benchmark` as a picture."""

from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.benchmark.batch_tuning import Measurement
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.service.machine_profile import TunedBatch


def draw_benchmark(measurements: Sequence[Measurement], chosen: TunedBatch, title: str, path: Path) -> None:
    """Draw throughput, latency and memory over the batch size, one line a window, as PNG.

    Parameters
    ----------
    measurements
        At least one.
    chosen
        The size to mark.
    title
        What stands above.
    path
        PNG file to write; its folder is made if needed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, 3)
    names = ("megapixels_per_s", "latency_p50_ms", "peak_memory_mb")
    titles = ("Throughput (megapixels/s)", "Time of a batch, median (ms)", "Peak memory (MiB)")
    for axes, name, heading in zip(panels, names, titles, strict=True):
        for window in sorted({one.window for one in measurements}):
            line = [one for one in measurements if one.window == window and getattr(one, name) is not None]
            values = [getattr(one, name) for one in line]
            axes.plot([one.batch_size for one in line], values, marker=".", label=f"window {window}")
        for one in measurements:
            if is_chosen(one, chosen) and getattr(one, name) is not None:
                axes.plot(one.batch_size, getattr(one, name), "o", ms=12, mfc="none", color="black", label="chosen")
        batches = sorted({one.batch_size for one in measurements})
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.minorticks_off()
        axes.set(title=heading, xlabel="tiles in a batch", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(fontsize="small")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150)


def is_chosen(measurement: Measurement, chosen: TunedBatch) -> bool:
    """Whether a measurement is that of the chosen size; where a model has one window only, that is no choice."""
    return measurement.batch_size == chosen.batch_size and chosen.window in (measurement.window, None)
