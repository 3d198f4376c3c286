"""What `napari-unetseg benchmark --backends` prints: every configuration of a model on this machine's CPU."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from napari_unetseg.benchmark.backend_comparison import CONFIGURATIONS, BackendComparison, BackendResult, time_backends
from napari_unetseg.config import load_settings
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan, plan_execution
from napari_unetseg.io import read_image
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.samples import nuclei
from napari_unetseg.service.packages import find_configured
from napari_unetseg.zoo.card import ModelCard

ROUNDS = 3
QUICK_ROUNDS = 1
BENCHMARK_SIDE = 512

_TITLES = ("way", "s a window", "times as fast", "Dice")


@dataclass(frozen=True)
class BackendsReport:
    """All that is printed at the end.

    Attributes
    ----------
    device_name
        The processor.
    auto
        What is chosen on it where nobody asks for anything.
    """

    model: str
    sha256: str
    device_name: str
    side: int
    auto: ExecutionPlan
    comparison: BackendComparison

    def is_auto(self, result: BackendResult) -> bool:
        """Whether this is the configuration that is chosen where nobody asks for anything."""
        return result.configuration == f"{self.auto.backend}:{self.auto.precision}"


def compare_backends(model: str | None, image: Path | None, side: int | None, *, quick: bool) -> BackendsReport:
    """Measure a model in every configuration, and report on stderr what happens.

    Parameters
    ----------
    model
        Name or folder; None for that of the settings.
    image
        What it looks at; None for the sample image of nuclei.
    side
        Of the window; None for the size that the model asks for, else 512.
    quick
        One round.

    Raises
    ------
    UnetsegError
        If the model cannot be found, or the image cannot be read.
    """
    settings = load_settings().settings.unet
    package = find_configured(model, settings)
    side = side or default_side(package.card)
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        if image is None:
            image = Path(folder) / "nuclei.npy"
            np.save(image, nuclei().array)
        read_image(image)  # what is wrong with it is said once, and not of every configuration
        comparison = time_backends(
            package.stored,
            image,
            side,
            rounds,
            lambda words: typer.echo(words, err=True),
            keeps_memory=settings.memory.keep_freed_memory,
        )
    auto = plan_execution(BackendRequest(), package.card, "cpu")
    return BackendsReport(package.name, package.card.weights.sha256, cpu_name(), side, auto, comparison)


def default_side(card: ModelCard) -> int:
    """Return the longer side of the size that a model asks for; where it asks for none, 512."""
    return max(card.image_size) if card.image_size is not None else BENCHMARK_SIDE


def backends_as_dict(report: BackendsReport) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    comparison = report.comparison
    return {
        "model": report.model,
        "weights_sha256": report.sha256,
        "device_name": report.device_name,
        "side": report.side,
        "ways": [
            {
                "way": one.configuration,
                "seconds": one.median if one.seconds else None,
                "runs": len(one.seconds),
                "times_as_fast": comparison.speed(one) if one.seconds else None,
                "dice": comparison.dice(one),
                "impossible": one.impossible,
                "auto": report.is_auto(one),
            }
            for one in comparison.results
        ],
        "auto": {"backend": report.auto.backend, "precision": report.auto.precision, "reason": str(report.auto.reason)},
        "interrupted": comparison.interrupted,
    }


def backends_as_lines(report: BackendsReport) -> list[str]:
    """Title, table, what is impossible and what auto takes, a line each."""
    comparison = report.comparison
    marked = [(*_row(one, comparison), "*" if report.is_auto(one) else "") for one in comparison.measured]
    lines = [
        f"{report.model} on {report.device_name}, one window of {report.side} x {report.side} pixels",
        "",
        *in_columns([(*_TITLES, ""), *marked], left=1),
    ]
    runs = max((len(one.seconds) for one in comparison.measured), default=0)
    lines += ["", f"Medians of {runs} runs. Speed and Dice of the foreground are in relation to the first way."]
    lines += [
        f"Not possible here: {CONFIGURATIONS[one.configuration]}: {one.impossible}"
        for one in comparison.results
        if one.impossible
    ]
    lines.append(f"auto (*) takes {report.auto.backend}, {report.auto.precision}. {report.auto.reason}")
    return lines


def _row(one: BackendResult, comparison: BackendComparison) -> tuple[str, ...]:
    speed, dice = comparison.speed(one), comparison.dice(one)
    return (
        CONFIGURATIONS[one.configuration],
        f"{one.median:.3g}",
        "unknown" if speed is None else f"{speed:.2f}",
        "no foreground" if dice is None else f"{dice:.4f}",
    )
