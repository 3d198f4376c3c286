"""`napari-unetseg`: the commands and what they have in common.

Nothing here imports torch, so that help and `models` answer at once.
"""

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
import typer.core

import napari_unetseg
from napari_unetseg.cli.benchmark_command import benchmark_command
from napari_unetseg.cli.check_command import check_command
from napari_unetseg.cli.choose_command import choose_command
from napari_unetseg.cli.config_command import config_command
from napari_unetseg.cli.convert_command import convert_command
from napari_unetseg.cli.demo_command import demo_command
from napari_unetseg.cli.evaluate_command import evaluate_command
from napari_unetseg.cli.export_command import export_command
from napari_unetseg.cli.health_command import health_command
from napari_unetseg.cli.improve_command import improve_command
from napari_unetseg.cli.keys_command import keys_app
from napari_unetseg.cli.models_command import models_command
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.review_command import review_command
from napari_unetseg.cli.segment_command import segment_command
from napari_unetseg.cli.serve_command import serve_command
from napari_unetseg.cli.train_command import train_command
from napari_unetseg.cli.try_command import try_command


class _Commands(typer.core.TyperGroup):
    """The commands; errors that none of them has put into words, such as a lack of memory, end in a line, too.

    Nor does any of them mean an empty value, which an unset variable of a shell leaves: as a path it would be the
    folder that one happens to be in.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, value in zip([None, *args], args, strict=False):
            if value == "":
                ctx.fail(f"The value after {before} is empty." if before else "The first argument is empty.")
            if value.startswith("--") and value.endswith("="):
                ctx.fail(f"The value of {value[:-1]} is empty.")
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        with plain_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
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
    # A screen may lack the characters of a file's name, which must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_COMMANDS = (
    segment_command,
    try_command,
    models_command,
    health_command,
    check_command,
    train_command,
    improve_command,
    evaluate_command,
    choose_command,
    convert_command,
    export_command,
    review_command,
    config_command,
    benchmark_command,
    demo_command,
    serve_command,
)
for _command in _COMMANDS:
    app.command(_command.__name__.removesuffix("_command"))(_command)
app.add_typer(keys_app)
