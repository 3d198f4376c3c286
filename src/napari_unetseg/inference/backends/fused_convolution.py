"""Convolutions in bfloat16 on the processor that do what stands around them in the same pass over memory.

Where layers are narrow, most of the time goes into reading and writing maps, not into arithmetic. oneDNN, which
computes PyTorch's convolutions, can set negative values to 0 before it writes them; PyTorch offers that by an operator
of its own compiler, which builds for some processors lack.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_unetseg.inference.backends.fast_layers import CastLayer
from napari_unetseg.networks import SegmentationNetwork, SubpixelUNet


@cache
def fuses_convolutions() -> bool:
    """Whether this build of PyTorch has the operator, and it computes rightly."""
    layer = nn.Conv2d(4, 8, 3, padding=1).bfloat16()
    x = torch.linspace(-1, 1, 4 * 6 * 6).view(1, 4, 6, 6).bfloat16()
    try:
        with torch.inference_mode():
            return torch.allclose(RectifiedConvolution(layer)(x), layer(x).relu(), atol=0.05)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False


def fuse_convolutions(network: SegmentationNetwork) -> None:
    """Let convolutions rectify what they write, and the first one read the image in bfloat16; in place.

    Parameters
    ----------
    network
        As `napari_unetseg.inference.backends.fast_layers.round_maps` leaves it.
    """
    _replace_first(network)
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        layers = [(name, layer) for name, layer in block.named_children() if not isinstance(layer, nn.Identity)]
        for (name, layer), (following, activation) in pairwise(layers):
            if not isinstance(activation, nn.ReLU):
                continue
            if isinstance(layer, ImageConvolution):
                layer.activation = "relu"
            elif _pads_with_zeros(layer):
                setattr(block, name, RectifiedConvolution(layer))
            else:
                continue
            setattr(block, following, nn.Identity())


def _replace_first(network: SegmentationNetwork) -> None:
    name, first = next((name, layer) for name, layer in network.named_modules() if isinstance(layer, CastLayer))
    block = network.block if isinstance(network, SubpixelUNet) else 1
    network.set_submodule(name, ImageConvolution(first.layer, network.in_channels, block))
    if isinstance(network, SubpixelUNet):
        network.to_blocks = nn.Identity()
        network.to_pixels = PlanarShuffle(block)


def _pads_with_zeros(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


class RectifiedConvolution(nn.Module):
    """A convolution and the ReLU after it.

    Parameters
    ----------
    layer
        The convolution, in bfloat16, padded with zeros.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self._shape = layer.padding, layer.stride, layer.dilation, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what the two layers make of it."""
        return _convolve(x, self.weight, self.bias, *self._shape, "relu")


class PlanarShuffle(nn.PixelShuffle):
    """Takes blocks apart plane by plane, which is faster, as what comes next also wants planes."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C * block^2, H, W) to (N, C, H * block, W * block)."""
        return super().forward(x.contiguous())


class ImageConvolution(nn.Module):
    """The convolution that reads an image, which bfloat16 would round too coarsely.

    So it reads each pixel as a sum of two numbers in bfloat16, and its weights as such sums, too: as exact as 16
    significant bits, and a fraction of the time that float32 takes, as its output is in bfloat16 at once.

    Parameters
    ----------
    layer
        The convolution, in float32, padded with zeros.
    channels
        Of the image.
    block
        Side in pixels of the blocks that `layer` reads as channels of one pixel, as `nn.PixelUnshuffle` makes them;
        here they are read from the image itself.

    Attributes
    ----------
    activation
        ``"relu"`` or ``"none"``.
    """

    def __init__(self, layer: nn.Conv2d, channels: int, block: int = 1) -> None:
        super().__init__()
        self.activation = "none"
        weight = _of_pixels(layer.weight.detach(), channels, block)
        self.register_buffer("weight", _in_two(weight), persistent=False)
        # All channels of a grey image are one.
        self.register_buffer("weight_of_grey", _in_two(weight.sum(1, keepdim=True)), persistent=False)
        bias = layer.bias
        self.register_buffer("bias", None if bias is None else bias.detach().bfloat16(), persistent=False)
        padding, stride = ([block * side for side in sides] for sides in (layer.padding, layer.stride))
        self._shape = padding, stride, layer.dilation, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """Map an image (N, C, H, W), float32, to bfloat16; C may be 1 where all channels are the same."""
        pixels = x.permute(0, 2, 3, 1)
        high = pixels.bfloat16()
        parts = torch.cat([high, (pixels - high).bfloat16(), high], -1).permute(0, 3, 1, 2)
        weight = self.weight if parts.shape[1] == self.weight.shape[1] else self.weight_of_grey
        return _convolve(parts, weight, self.bias, *self._shape, self.activation)


def _of_pixels(weight: Tensor, channels: int, block: int) -> Tensor:
    """Turn weights over blocks (O, channels * block^2, H, W) into the same over pixels (O, channels, ...)."""
    maps, _, height, width = weight.shape
    parted = weight.view(maps, channels, block, block, height, width)
    return parted.permute(0, 1, 4, 2, 5, 3).reshape(maps, channels, height * block, width * block)


def _in_two(weight: Tensor) -> Tensor:
    """Split weights as the image is: (high + low) times an image of high, low and high once more."""
    high = weight.bfloat16()
    return torch.cat([high, high, (weight - high).bfloat16()], 1)


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    activation: str,
) -> Tensor:
    convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, padding, stride, dilation, groups, activation, [], ""
    )
    return convolved
