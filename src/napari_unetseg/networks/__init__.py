"""Networks: what is computed. No files, no devices.

`build` makes a network by the name and arguments that a model card gives. Each architecture has a module and derives
from `SegmentationNetwork` in `base`, which adds what tiling has to know: the receptive radius and the accepted sizes.
The names of layers are those of published checkpoints. `bands` lets the U-Nets compute large maps in bands of rows, so
that little of them is in memory at once. What the engine has to know of a network beside its weights (how far a pixel
sees, on which grid its maps lie) are its `facts`, which need no torch; so the names below are imported on first use.
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
