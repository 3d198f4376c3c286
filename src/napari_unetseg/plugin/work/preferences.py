"""What the settings of this machine say to the window."""

from napari_unetseg.config import load_settings
from napari_unetseg.errors import ConfigError

AUTOMATIC = "auto"
"""The device of a window in which nobody chose one."""


def preferred_model() -> str | None:
    """Return the name of the model that the settings name; None if they name none.

    Where the settings are wrong the window opens all the same: its service, which reads them too, says so.
    """
    try:
        return load_settings().settings.unet.model.name
    except ConfigError:
        return None


def requested_device(choice: str) -> str | None:
    """Return the device to ask a service for; None, which leaves it to the settings, where nobody chose one."""
    return None if choice == AUTOMATIC else choice
