"""Networks: what is computed. No files, no devices."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from napari_unetseg.networks.unet import UNet

ARCHITECTURES: Mapping[str, type[nn.Module]] = {"unet": UNet}


def build(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Make the named network with random weights.

    Raises
    ------
    KeyError
        If no architecture has that name.
    TypeError
        If the architecture does not take one of the arguments.
    """
    return ARCHITECTURES[architecture](**arguments)


__all__ = ["ARCHITECTURES", "UNet", "build"]
