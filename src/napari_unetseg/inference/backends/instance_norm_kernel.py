"""InstanceNorm and the ReLU after it in two passes over maps whose channels lie side by side, on a GPU."""

from torch import nn


def fuse_instance_norm(network: nn.Module) -> None:
    """Replace each InstanceNorm, with the ReLU after it, by one layer for channels_last maps, in place.

    On the device or before the network moves there, in any precision; call it before hooks are registered.
    """
