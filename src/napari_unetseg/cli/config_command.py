"""`napari-unetseg config`: what is set, and where."""

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.config.keys import dotted, fields, value_at, variable
from napari_unetseg.config.loading import FILE_VARIABLE, LoadedSettings, load_settings, user_config_file
from napari_unetseg.config.settings import Settings
from napari_unetseg.config.template import as_yaml, template
from napari_unetseg.errors import ConfigError, UnetsegError


def config_command(
    file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=f"Configuration file; else {FILE_VARIABLE}, else the user's own."),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Write a file with every key explained, and none of them in force yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the value of every setting that is in force, and where it comes from."""
    with plain_errors():
        if init:
            typer.echo(f"Wrote {_write_template(file or user_config_file())}")
            return
    try:
        loaded = load_settings(file)
    except ConfigError as error:
        typer.echo(f"Error: {error}", err=True)  # a line for each fault
        raise typer.Exit(1) from error
    for warning in loaded.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    typer.echo(json.dumps(_as_dict(loaded), indent=2, default=str) if as_json else "\n".join(_lines(loaded)))


def _write_template(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise ConfigError(f"{path}: this file is there already. Edit it, or choose another with --file.") from error
    except OSError as error:
        raise UnetsegError(f"{path}: the file cannot be written ({error.strerror}).") from error
    return path


def _as_dict(loaded: LoadedSettings) -> dict[str, object]:
    keys = {
        dotted(key): {
            "value": value_at(loaded.settings, key),
            "from": loaded.origins[dotted(key)],
            "variable": variable(key),
            "meaning": field.description,
        }
        for key, field in fields(Settings)
    }
    return {"file": str(loaded.file) if loaded.file else None, "warnings": list(loaded.warnings), "keys": keys}


def _lines(loaded: LoadedSettings) -> list[str]:
    rows = [
        (dotted(key), as_yaml(value_at(loaded.settings, key)), loaded.origins[dotted(key)])
        for key, _ in fields(Settings)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    head = (
        f"File: {loaded.file}"
        if loaded.file
        else f"File: none ('napari-unetseg config --init' writes {user_config_file()})"
    )
    return [head, "", *(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}" for key, value, origin in rows)]
