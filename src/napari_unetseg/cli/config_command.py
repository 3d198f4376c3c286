"""`napari-unetseg config`: what is set, and where."""

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import ConfigError


def config_command(
    file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Configuration file; else NAPARI_UNETSEG_CONFIG, else the user's own."),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Write a file with every key explained, and none of them in force yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the value of every setting that is in force, and where it comes from."""
    from napari_unetseg.cli.config_report import settings_as_dict, settings_as_lines, write_template
    from napari_unetseg.config.loading import load_settings, user_config_file

    with plain_errors():
        if init:
            typer.echo(f"Wrote {write_template(file or user_config_file())}")
            return
    try:
        loaded = load_settings(file)
    except ConfigError as error:
        typer.echo(f"Error: {error}", err=True)  # a line for each fault
        raise typer.Exit(1) from error
    for warning in loaded.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    typer.echo(
        json.dumps(settings_as_dict(loaded), indent=2, default=str) if as_json else "\n".join(settings_as_lines(loaded))
    )
