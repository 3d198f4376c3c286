"""The service behind a command, set up as the settings of this machine want it."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unetseg.config import Settings
    from napari_unetseg.service import Segmenter


def open_service(
    model: str | None,
    device: str | None,
    backend: str | None = None,
    precision: str | None = None,
    settings: "Settings | None" = None,
) -> "Segmenter":
    """Make the service of a command, and write its records to stderr.

    Parameters
    ----------
    model, device, backend, precision
        None for what the settings say.
    settings
        As `open_settings` returns them; None: it is called.

    Raises
    ------
    UnetsegError
        If the settings are wrong, or there is no such model, backend or precision.
    """
    from napari_unetseg.service import SegmentationService

    return SegmentationService(model, device, backend, precision=precision, settings=settings or open_settings())


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
