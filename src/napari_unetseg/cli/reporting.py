"""Errors of commands, as a line on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from napari_unetseg.callbacks import Progress
from napari_unetseg.errors import UnetsegError, is_out_of_memory, one_line


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print an error that is written for people, or that memory ran out, as one line on stderr; exit with status 1."""
    try:
        yield
    except typer.Exit:  # an error that was printed already is the cause of it
        raise
    except Exception as error:
        if not (isinstance(error, UnetsegError) or is_out_of_memory(error)):
            raise
        typer.echo(f"Error: {one_line(error)}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """Give what shows on stderr, on a terminal alone, how many of how many are done."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, disable=None, leave=False) as bar:

        def show(done: int, all_of_them: int) -> None:
            bar.total = all_of_them
            bar.update(done - bar.n)

        yield show
