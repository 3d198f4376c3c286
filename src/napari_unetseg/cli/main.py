"""`napari-unetseg`: the commands and what they have in common.

Nothing here imports torch, so that help and `models` answer at once.
"""

from typing import Annotated

import typer

import napari_unetseg
from napari_unetseg.cli.benchmark_command import benchmark
from napari_unetseg.cli.config_command import config
from napari_unetseg.cli.convert_command import convert
from napari_unetseg.cli.demo_command import demo
from napari_unetseg.cli.evaluate_command import evaluate
from napari_unetseg.cli.export_command import export
from napari_unetseg.cli.health_command import health
from napari_unetseg.cli.models_command import models
from napari_unetseg.cli.segment_command import segment
from napari_unetseg.cli.train_command import train

app = typer.Typer(
    name="napari-unetseg",
    help="Find nuclei, cells and other objects in microscopy images with a U-Net.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-unetseg {napari_unetseg.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for _command in (segment, models, health, train, evaluate, convert, export, config, benchmark, demo):
    app.command()(_command)
