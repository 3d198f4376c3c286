"""Networks: what is computed. No files, no devices.

Each network is a module of its own on the common `base`, and `architectures` finds it by the name on a model's card.
`bands` lets a U-Net compute a large window with little memory. What the engine has to know of a network beside its
weights (how far a pixel sees, on which grid its maps lie) are its `facts`, which need no torch: the names below are
therefore imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.networks.architectures import ARCHITECTURES, build
    from napari_unetseg.networks.attention_unet import AttentionUNet
    from napari_unetseg.networks.base import SegmentationNetwork
    from napari_unetseg.networks.cbam_resunet import CBAMResUNet
    from napari_unetseg.networks.hrnet import HRNet
    from napari_unetseg.networks.subpixel_unet import SubpixelUNet
    from napari_unetseg.networks.unet import UNet

_MODULES = {
    "ARCHITECTURES": "architectures",
    "AttentionUNet": "attention_unet",
    "CBAMResUNet": "cbam_resunet",
    "HRNet": "hrnet",
    "SegmentationNetwork": "base",
    "SubpixelUNet": "subpixel_unet",
    "UNet": "unet",
    "build": "architectures",
}

__all__ = [
    "ARCHITECTURES",
    "AttentionUNet",
    "CBAMResUNet",
    "HRNet",
    "SegmentationNetwork",
    "SubpixelUNet",
    "UNet",
    "build",
]


def __getattr__(name: str) -> Any:
    """Import a network's module when its class is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
