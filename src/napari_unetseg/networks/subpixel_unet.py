"""A U-Net that computes at half resolution and answers at full resolution."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.unet import Norm, UNet

BLOCK = 2
"""Side of the square of pixels that becomes one pixel of more channels."""


class SubpixelUNet(SegmentationNetwork):
    """U-Net between a space-to-depth and a depth-to-space step, returning logits at the input's size.

    The 2x2 pixels of a block enter as four times the channels, so nothing of the image is lost, and
    the last convolution answers for each of the four (sub-pixel convolution, Shi et al. 2016). All
    layers between see a quarter of the pixels: for the price of a U-Net at full resolution the
    network can be twice as wide, and convolutions with more channels run faster on a CPU.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    features, norm
        As for `UNet`; the first level lies at half the image's resolution.

    Raises
    ------
    ValueError
        As for `UNet`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: Sequence[int] = (32, 64, 128, 256),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.unet = UNet(in_channels * BLOCK**2, out_channels * BLOCK**2, features, norm)
        self.depth = self.unet.depth + 1

    @property
    def receptive_radius(self) -> int | None:
        """Pixels beyond an output pixel, on either side, that can change its value; None with InstanceNorm."""
        blocks = self.unet.receptive_radius
        # The output pixel can lie at either side of its own block.
        return None if blocks is None else BLOCK * blocks + BLOCK - 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to logits (N, out_channels, H, W); odd sides grow by a copied line inside."""
        height, width = x.shape[-2:]
        even = functional.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
        blocks = self.unet(functional.pixel_unshuffle(even, BLOCK))
        logits: Tensor = functional.pixel_shuffle(blocks, BLOCK)[..., :height, :width]
        return logits
