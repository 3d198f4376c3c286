"""How the commands tell people that something went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from napari_unetseg.errors import UnetsegError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print an error that is written for people as one line on stderr and exit with status 1."""
    try:
        yield
    except UnetsegError as error:
        typer.echo(f"Error: {one_line(error)}", err=True)
        raise typer.Exit(1) from error


def one_line(error: BaseException) -> str:
    """Say what happened in one line; the kind of error too, where it was not written for people."""
    text = " ".join(str(error).split())
    if isinstance(error, UnetsegError):
        return text
    if isinstance(error, MemoryError):
        return f"not enough memory ({text})" if text else "not enough memory"
    return f"unexpected {type(error).__name__}: {text}"
