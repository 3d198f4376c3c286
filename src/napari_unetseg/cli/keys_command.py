"""`napari-unetseg keys`: who may use a server of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.io.text_columns import in_columns

keys_app = typer.Typer(
    name="keys",
    help="Make, list and revoke the keys that 'napari-unetseg serve' asks for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, such as a person or a desk.")]


@keys_app.command("add")
def add_command(name: NameArgument) -> None:
    """Make a key and print it, this once: only a hash of it is kept."""
    from napari_unetseg.server.keys import add_key

    with plain_errors():
        path = _path()
        key = add_key(path, name)
    typer.echo(f"The key of {name} follows. It is shown this once; {path} keeps a hash of it.", err=True)
    typer.echo(key)


@keys_app.command("list")
def list_command() -> None:
    """List the keys by their names and last digits."""
    from napari_unetseg.server.keys import read_keys

    with plain_errors():
        path = _path()
        keys = read_keys(path)
    if not keys:
        typer.echo(f"{path} has no keys. Make one with 'napari-unetseg keys add NAME'.", err=True)
        return
    rows = [("name", "ends in", "made", "revoked")]
    rows += [(key.name, key.last_digits, key.created, key.revoked or "") for key in keys]
    typer.echo("\n".join(in_columns(rows, left=len(rows[0]))))


@keys_app.command("revoke")
def revoke_command(name: NameArgument) -> None:
    """Let a key open nothing any more; a running server knows at once."""
    from napari_unetseg.server.keys import revoke_key

    with plain_errors():
        revoke_key(_path(), name)
    typer.echo(f"Revoked the key of {name}.", err=True)


def _path() -> Path:
    from napari_unetseg.config.loading import load_settings
    from napari_unetseg.server.keys import keys_path

    return keys_path(load_settings().settings.server)
