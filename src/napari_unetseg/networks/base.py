"""What the engine has to know about a network beside its weights."""

from abc import ABC, abstractmethod

from torch import nn


class SegmentationNetwork(nn.Module, ABC):
    """A network that maps (N, in_channels, H, W) to (N, out_channels, H, W).

    Attributes
    ----------
    in_channels, out_channels
        Channels of the input and of the output, one a head.
    depth
        Number of 2x2 poolings: maps line up with the input on multiples of 2^depth.
    """

    in_channels: int
    out_channels: int
    depth: int

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """Pixels beyond an output pixel, on either side, that its layers can see."""

    @property
    @abstractmethod
    def local(self) -> bool:
        """Whether an output pixel depends on nothing outside `receptive_radius`.

        False where a layer takes statistics from the whole image, as InstanceNorm does: no tile of
        such a network can agree with the whole image.
        """
