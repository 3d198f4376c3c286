"""The service behind a command, set up as the settings of this machine want it."""

import logging
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from napari_unetseg.config import Settings
    from napari_unetseg.service import Segmenter


def open_service(
    model: str | None,
    device: str | None,
    backend: str | None = None,
    precision: str | None = None,
    settings: "Settings | None" = None,
    server: str | None = None,
) -> "Segmenter":
    """Make the service of a command, and write its records to stderr.

    Parameters
    ----------
    model, device, backend, precision
        None for what the settings say.
    settings
        As `open_settings` returns them; None: it is called.
    server
        Address of the server that runs the network. None: what the settings say, unless one of `device`, `backend`
        and `precision`, which are this machine's, is given.

    Raises
    ------
    typer.BadParameter
        If a server is named, and what this machine should do, too.
    UnetsegError
        If the settings are wrong, the server does not answer, or there is no such model, backend or precision.
    """
    settings = settings or open_settings()
    own = {"device": device, "backend": backend, "precision": precision}
    given = [f"--{name}" for name, value in own.items() if value is not None]
    if server is not None and given:
        raise typer.BadParameter(f"the server decides {' and '.join(given)}; leave it out", param_hint="--server")
    address = server or (None if given else settings.client.server)
    if address is not None:
        from napari_unetseg.client import RemoteService

        if server is None:
            typer.echo(f"The network runs on {address} (client.server in the settings).", err=True)
        return RemoteService(address, model, settings=settings)
    from napari_unetseg.service import SegmentationService

    return SegmentationService(model, device, backend, precision=precision, settings=settings)


def open_settings() -> "Settings":
    """Read the settings of this machine, write records to stderr from now on, and warn of what is odd about them.

    Raises
    ------
    ConfigError
        If they are wrong.
    """
    from napari_unetseg.config import load_settings
    from napari_unetseg.service.logs import start_logging

    loaded = load_settings()
    start_logging(loaded.settings.unet.logging.level)
    for warning in loaded.warnings:
        logging.getLogger(__name__).warning(warning)
    return loaded.settings
