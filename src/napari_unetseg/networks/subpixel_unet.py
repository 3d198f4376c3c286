"""A U-Net that computes at a half or a quarter of the resolution and answers at the full one."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import BLOCK, NORM, SUBPIXEL_UNET_FEATURES, Norm, subpixel_unet_facts
from napari_unetseg.networks.unet import UNet


class SubpixelUNet(SegmentationNetwork):
    """U-Net between a space-to-depth and a depth-to-space step, returning logits at the input's size.

    The pixels of a block enter as so many times the channels, so nothing of the image is lost, and
    the last convolution answers for each of them (sub-pixel convolution, Shi et al. 2016). With blocks
    of 2x2 all layers between see a quarter of the pixels: for the price of a U-Net at full resolution
    the network can be twice as wide, and convolutions with more channels run faster on a CPU.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    features, norm
        As for `UNet`; the first level has one pixel a block.
    block
        Side of a block in pixels, 2 or 4.

    Raises
    ------
    ValueError
        As for `UNet`, or if there are no such blocks.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: Sequence[int] = SUBPIXEL_UNET_FEATURES,
        norm: Norm = NORM,
        block: int = BLOCK,
    ) -> None:
        super().__init__()
        if block not in (2, 4):
            raise ValueError(f"block must be 2 or 4, not {block!r}")
        self.block = block
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.to_blocks: nn.Module = nn.PixelUnshuffle(block)
        self.to_pixels: nn.Module = nn.PixelShuffle(block)
        self.unet = UNet(in_channels * block**2, out_channels * block**2, features, norm)
        self.facts = subpixel_unet_facts(features, norm, block)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to logits (N, out_channels, H, W) of any size from 1 x 1.

        Sides that are no multiples of 2^depth are filled up by copies of the last line.
        """
        height, width = x.shape[-2:]
        grid = 2**self.depth
        whole = functional.pad(x, (0, -width % grid, 0, -height % grid), mode="replicate")
        blocks = self.unet(self.to_blocks(whole))
        logits: Tensor = self.to_pixels(blocks)[..., :height, :width]
        return logits

    def bands(self, x: Tensor) -> Iterator[Tensor]:
        """Give the logits of `forward` in bands of rows (N, out_channels, rows, W), from the top."""
        height, width = x.shape[-2:]
        if not self.in_bands or height % 2**self.depth or width % 2**self.depth:
            yield self(x)
            return

        def take(rows: slice) -> Tensor:
            blocks: Tensor = self.to_blocks(x[..., rows.start * self.block : rows.stop * self.block, :])
            return blocks

        for blocks in self.unet.bands_from(take, height // self.block, width // self.block):
            yield self.to_pixels(blocks)
