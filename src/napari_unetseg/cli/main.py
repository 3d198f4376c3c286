"""`napari-unetseg`: the commands and what they have in common.

Nothing here imports torch, so that help and `models` answer at once.
"""

from typing import Annotated

import typer

import napari_unetseg
from napari_unetseg.cli.benchmark import benchmark
from napari_unetseg.cli.config import config
from napari_unetseg.cli.convert import convert
from napari_unetseg.cli.demo import demo
from napari_unetseg.cli.evaluate import evaluate
from napari_unetseg.cli.export import export
from napari_unetseg.cli.health import health
from napari_unetseg.cli.models import models
from napari_unetseg.cli.segment import segment
from napari_unetseg.cli.train import train

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
