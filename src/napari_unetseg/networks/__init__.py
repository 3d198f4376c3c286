"""Networks: what is computed. No files, no devices.

`build` makes a network by the name and arguments that a model card gives. Each architecture has a module and derives
from `SegmentationNetwork` in `base`, which adds what tiling has to know: the receptive radius and the accepted sizes.
The names of layers are those of published checkpoints. `bands` lets the U-Nets compute large maps in bands of rows, so
that little of them is in memory at once.
"""

from collections.abc import Mapping
from typing import Any

from napari_unetseg.networks.attention_unet import AttentionUNet
from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.cbam_resunet import CBAMResUNet
from napari_unetseg.networks.hrnet import HRNet
from napari_unetseg.networks.subpixel_unet import SubpixelUNet
from napari_unetseg.networks.unet import UNet

ARCHITECTURES: Mapping[str, type[SegmentationNetwork]] = {
    "unet": UNet,
    "cbam_resunet": CBAMResUNet,
    "hrnet": HRNet,
    "attention_unet": AttentionUNet,
    "subpixel_unet": SubpixelUNet,
}


def build(architecture: str, arguments: Mapping[str, Any]) -> SegmentationNetwork:
    """Make the named network with random weights.

    Raises
    ------
    KeyError
        If no architecture has that name.
    TypeError
        If the architecture does not take one of the arguments.
    ValueError
        If it takes the argument but not this value.
    """
    return ARCHITECTURES[architecture](**arguments)


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
