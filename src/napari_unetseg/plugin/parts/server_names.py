"""Servers among the devices: which one a key means, and what people call it."""

from urllib.parse import urlsplit

_SCHEMES = ("http://", "https://")


def is_server(device: str) -> bool:
    """Whether a device of the window is a server, whose address is its key."""
    return device.startswith(_SCHEMES)


def server_name(address: str) -> str:
    """Return what people call a server: ``"lab:8001"`` of ``"http://lab:8001"``."""
    return urlsplit(address).netloc or address
