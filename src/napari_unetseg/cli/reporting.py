"""Errors of commands, as a line on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from napari_unetseg.errors import UnetsegError, one_line


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print an error that is written for people as one line on stderr and exit with status 1."""
    try:
        yield
    except UnetsegError as error:
        typer.echo(f"Error: {one_line(error)}", err=True)
        raise typer.Exit(1) from error
