"""`napari-unetseg benchmark`: how fast a model is on this machine, and which sizes suit it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.options import BackendOption, PrecisionOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.segment_command import INTERRUPTED


def benchmark_command(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Name of a model, or its folder. Default: that of the settings."),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Let the service use what was chosen, on this device with this model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the figures as a picture too.", dir_okay=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="auto, cuda, mps or cpu. Default: that of the settings.")
    ] = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes and runs, for a first impression.")] = False,
    backends: Annotated[
        bool, typer.Option("--backends", help="Compare every backend and precision on this machine's CPU instead.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS", min=32, help="With --backends: side of the window. Default: the model's or 512."
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="With --backends: what is looked at. Default: a sample image."),
    ] = None,
) -> None:
    """Measure time, throughput and memory for batch sizes and windows, and choose among them.

    Chosen is the smallest size whose throughput is within 5 % of the best. Sizes that do not fit into a safe share
    of the memory are left out. Ctrl-C stops it with what was measured so far. Close other programs first.

    With --backends, one window is computed by every backend in every precision, each in processes of its own, beside
    plain PyTorch: how long it takes, and how well the masks agree.
    """
    if backends:
        _check_unused("with", save=save, plot=plot, device=device, backend=backend, precision=precision)
        _compare_backends(model, image, size, quick=quick, as_json=as_json)
        return
    _check_unused("without", size=size, image=image)
    with plain_errors():
        from napari_unetseg.cli.benchmark_plot import draw_benchmark
        from napari_unetseg.cli.benchmark_report import report_as_dict, report_as_lines, run_benchmark
        from napari_unetseg.io.plotting import require_matplotlib

        if plot is not None:
            if plot.suffix.lower() != ".png":
                raise typer.BadParameter(f"{plot} must end in .png.", param_hint="--plot")
            require_matplotlib("Pictures of a benchmark")
        report = run_benchmark(model, device, backend, precision, quick=quick, save=save)
        typer.echo(json.dumps(report_as_dict(report), indent=2) if as_json else "\n".join(report_as_lines(report)))
        chosen = report.tuning.chosen
        if plot is not None and chosen is not None:
            draw_benchmark(report.tuning.measurements, chosen, report.title, plot)
            typer.echo(f"Wrote {plot}", err=True)
    if report.tuning.interrupted:
        typer.echo("Interrupted: these are the figures so far. Nothing was saved.", err=True)
        raise typer.Exit(INTERRUPTED)
    if chosen is None:
        typer.echo("Error: the device has too little memory for the smallest tile.", err=True)
        raise typer.Exit(1)


def _check_unused(case: str, **options: object) -> None:
    """Refuse options that say nothing about what is measured."""
    for name, value in options.items():
        if value:
            raise typer.BadParameter(f"It means nothing {case} --backends.", param_hint=f"--{name}")


def _compare_backends(model: str | None, image: Path | None, size: int | None, *, quick: bool, as_json: bool) -> None:
    with plain_errors():
        from napari_unetseg.cli.benchmark_backends import backends_as_dict, backends_as_lines, compare_backends

        report = compare_backends(model, image, size, quick=quick)
        typer.echo(json.dumps(backends_as_dict(report), indent=2) if as_json else "\n".join(backends_as_lines(report)))
    if report.comparison.interrupted:
        typer.echo("Interrupted: these are the figures so far.", err=True)
        raise typer.Exit(INTERRUPTED)
