"""U-Net segmentation for microscopists, in napari, in notebooks and in the shell.

Importing this package is instant: it imports neither torch nor napari nor Qt. The names below load
what they need on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.client.remote_service import RemoteService as RemoteService
    from napari_unetseg.errors import Cancelled as Cancelled
    from napari_unetseg.errors import UnetsegError as UnetsegError
    from napari_unetseg.image import Image as Image
    from napari_unetseg.service import Segmentation as Segmentation
    from napari_unetseg.service import SegmentationService as SegmentationService

__version__ = "0.1.0"

_HOMES = {
    "Cancelled": "errors",
    "Image": "image",
    "RemoteService": "client.remote_service",
    "Segmentation": "service",
    "SegmentationService": "service",
    "UnetsegError": "errors",
}

__all__ = ["Cancelled", "Image", "RemoteService", "Segmentation", "SegmentationService", "UnetsegError", "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name from its room on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
