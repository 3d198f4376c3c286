"""What `napari-unetseg benchmark` measures and prints. Imports torch; the command loads it when it runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from napari_unetseg.benchmark.batch_tuning import Measurement, Tuning, TuningPlan, tune
from napari_unetseg.benchmark.benchmarked_model import BenchmarkedModel, load_benchmarked_model
from napari_unetseg.benchmark.measuring import DeviceBench, cpu_megapixels_per_s, plan_for
from napari_unetseg.cli.benchmark_plot import is_chosen
from napari_unetseg.config import load_settings
from napari_unetseg.inference.backends.selection import requested_backend
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.service.machine_profile import TunedBatch, write_profile
from napari_unetseg.service.packages import find_configured

_TITLES = ("window", "batch", "p50 ms", "p95 ms", "megapixels/s", "tiles/s", "memory MiB")


@dataclass(frozen=True)
class BenchmarkReport:
    """All that is printed at the end."""

    model: str
    sha256: str
    device: str
    device_name: str
    backend: str
    precision: str
    tuning: Tuning
    cpu_megapixels_per_s: float | None
    saved_to: Path | None

    @property
    def title(self) -> str:
        """What was measured, in a line."""
        return f"{self.model} on {self.device_name}, {self.backend}, {self.precision}"

    def over_cpu(self, measurement: Measurement) -> float | None:
        """How many times as fast as the CPU; None where that was not measured."""
        cpu = self.cpu_megapixels_per_s
        return None if cpu is None else measurement.megapixels_per_s / cpu


def run_benchmark(
    model: str | None, device: str | None, backend: str | None, precision: str | None, *, quick: bool, save: bool
) -> BenchmarkReport:
    """Measure a model as the settings and these arguments say, and save what was chosen if asked to.

    Raises
    ------
    UnetsegError
        If the model, the device or the runtime cannot be used.
    """
    settings = load_settings().settings.unet
    package = find_configured(model, settings)
    backend_request = requested_backend(backend, precision, settings.model.backend, settings.model.precision)
    benchmarked = load_benchmarked_model(
        package,
        device or settings.model.device,
        backend_request,
        fallback_to_cpu=settings.model.fallback_to_cpu,
        keeps_memory=settings.memory.keep_freed_memory,
    )
    if benchmarked.backend.device.warning:
        typer.echo(f"Warning: {benchmarked.backend.device.warning}", err=True)
    plan = plan_for(benchmarked, quick=quick)
    with DeviceBench(benchmarked) as bench:
        tuning = tune(bench, plan, _report)
    sha256, chosen = package.card.weights.sha256, tuning.chosen
    saved = None
    if save and chosen is not None and not tuning.interrupted:
        execution = benchmarked.execution_plan
        saved = write_profile(benchmarked.device_name, sha256, chosen, execution.backend, execution.precision)
    return BenchmarkReport(
        model=package.name,
        sha256=sha256,
        device=benchmarked.backend.device.name,
        device_name=benchmarked.device_name,
        backend=benchmarked.execution_plan.backend,
        precision=benchmarked.backend.precision,
        tuning=tuning,
        cpu_megapixels_per_s=_cpu_reference(benchmarked, tuning, plan),
        saved_to=saved,
    )


def _report(words: str) -> None:
    typer.echo(words, err=True)


def _cpu_reference(benchmarked: BenchmarkedModel, tuning: Tuning, plan: TuningPlan) -> float | None:
    """Measure the CPU too where a GPU was measured; None where there is nothing to compare, or after Ctrl-C."""
    if not _is_gpu(benchmarked) or tuning.chosen is None or tuning.interrupted:
        return None
    _report("Running the CPU for comparison")
    try:
        return cpu_megapixels_per_s(benchmarked, plan)
    except KeyboardInterrupt:
        return None


def _is_gpu(benchmarked: BenchmarkedModel) -> bool:
    return benchmarked.backend.device.kind != "cpu"


def report_as_dict(report: BenchmarkReport) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    tuning = report.tuning
    return {
        "model": report.model,
        "weights_sha256": report.sha256,
        "device": report.device,
        "device_name": report.device_name,
        "backend": report.backend,
        "precision": report.precision,
        "cpu_megapixels_per_s": report.cpu_megapixels_per_s,
        "measurements": [asdict(one) | {"over_cpu": report.over_cpu(one)} for one in tuning.measurements],
        "left_out": [asdict(one) for one in tuning.left_out],
        "chosen": None if tuning.chosen is None else tuning.chosen.model_dump(),
        "interrupted": tuning.interrupted,
        "saved_to": None if report.saved_to is None else str(report.saved_to),
    }


def report_as_lines(report: BenchmarkReport) -> list[str]:
    """Title, table and choice, a line each."""
    tuning, chosen = report.tuning, report.tuning.chosen
    titles = _TITLES if report.cpu_megapixels_per_s is None else (*_TITLES, "times the CPU")
    marked = [
        (*_row(one, report.over_cpu(one)), "*" if chosen is not None and is_chosen(one, chosen) else "")
        for one in tuning.measurements
    ]
    lines = [report.title, "", *in_columns([(*titles, ""), *marked], left=0)]
    lines += ["", *(f"Left out: {one.batch_size} x {one.window}, {one.reason}." for one in tuning.left_out)]
    if chosen is not None:
        lines.append(_say(chosen))
    if report.saved_to is not None:
        lines.append(f"Saved in {report.saved_to}; the service uses it from its next load on.")
    elif chosen is not None and not tuning.interrupted:
        lines.append("Not saved; --save lets the service use it.")
    return lines


def _row(one: Measurement, over_cpu: float | None) -> tuple[str, ...]:
    memory = "unknown" if one.peak_memory_mb is None else f"{one.peak_memory_mb:.0f}"
    times = (f"{one.latency_p50_ms:.1f}", f"{one.latency_p95_ms:.1f}")
    figures = (str(one.window), str(one.batch_size), *times, f"{one.megapixels_per_s:.3g}", f"{one.tiles_per_s:.3g}")
    return (*figures, memory) if over_cpu is None else (*figures, memory, f"{over_cpu:.3g}")


def _say(chosen: TunedBatch) -> str:
    if chosen.window is None:
        return (
            f"Chosen (*): batch size {chosen.batch_size}, at most {chosen.max_batch_size}. The window is the model's."
        )
    return (
        f"Chosen (*): batch size {chosen.batch_size}, at most {chosen.max_batch_size}; "
        f"window {chosen.window}, at most {chosen.max_window}."
    )
