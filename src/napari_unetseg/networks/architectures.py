"""The networks by the names that model cards have for them."""

from collections.abc import Mapping
from typing import Any

from napari_unetseg.networks.attention_unet import AttentionUNet
from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.cbam_resunet import CBAMResUNet
from napari_unetseg.networks.facts import check_limits
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
    check_limits(arguments)
    return ARCHITECTURES[architecture](**arguments)
