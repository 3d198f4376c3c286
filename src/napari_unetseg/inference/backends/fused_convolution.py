"""Convolutions in bfloat16 on the processor that do what stands around them in the same pass over memory.

Where layers are narrow, most of the time goes into reading and writing maps, not into arithmetic. oneDNN, which
computes PyTorch's convolutions, can set negative values to 0 before it writes them; PyTorch offers that by an operator
of its own compiler, which builds for some processors lack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_unetseg.inference.backends.fast_layers import CastLayer, round_maps
from napari_unetseg.networks import SegmentationNetwork, SubpixelUNet, UNet


@cache
def fuses_convolutions() -> bool:
    """Whether this build of PyTorch has the operators, and they compute rightly."""
    # Without a draw from the process's random numbers.
    layer = nn.utils.skip_init(nn.Conv2d, 8, 4, 3, padding=1, bias=False)  # type: ignore[no-untyped-call]
    layer.requires_grad_(False)
    layer.weight.copy_(torch.linspace(-1, 1, layer.weight.numel()).view_as(layer.weight)).div_(10)
    layer, bias = layer.bfloat16(), torch.linspace(-1, 1, 4)
    halves = [torch.linspace(-1, end, 4 * 6 * 6).view(1, 6, 6, 4).permute(0, 3, 1, 2).bfloat16() for end in (1, 2)]
    try:
        with torch.inference_mode():
            rectified, joined = (made(layer, bias) for made in (RectifiedConvolution, JoinedConvolution))
            joined.activation = "relu"
            whole = torch.cat(halves, dim=1)
            joined.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            found = rectified(whole), joined(halves)
            expected = (layer(whole) + bias[:, None, None]).relu().bfloat16()
            return all(torch.allclose(one, expected, rtol=2**-5, atol=2**-5) for one in found)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False


def round_and_fuse(network: SegmentationNetwork) -> None:
    """Bring a network into bfloat16 as `round_maps` does, and let its layers share passes over memory; in place.

    Convolutions rectify what they write, U-Nets lay no maps side by side, and the first convolution reads the image in
    bfloat16. Biases of what is fused stay float32, which costs nothing and makes up a fifth of the error.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    biases = {layer: None if layer.bias is None else layer.bias.detach().clone() for layer in convolutions}
    round_maps(network, torch.bfloat16)
    _read_the_image(network)
    for unet in [module for module in network.modules() if isinstance(module, UNet)]:
        unet.join = PairOfMaps()
        for number in range(len(unet.decoder_blocks)):
            name = f"decoder_blocks.{number}.double_conv.0"
            first = _convolution(unet, name)
            unet.set_submodule(name, JoinedConvolution(first, biases[first]))
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        layers = [(name, layer) for name, layer in block.named_children() if not isinstance(layer, nn.Identity)]
        for (name, layer), (following, activation) in pairwise(layers):
            if not isinstance(activation, nn.ReLU):
                continue
            if isinstance(layer, ImageConvolution | JoinedConvolution):
                layer.activation = "relu"
            elif isinstance(layer, nn.Conv2d):
                setattr(block, name, RectifiedConvolution(layer, biases[layer]))
            else:
                continue
            setattr(block, following, nn.Identity())


def _read_the_image(network: SegmentationNetwork) -> None:
    name = next(name for name, layer in network.named_modules() if isinstance(layer, CastLayer))
    block = network.block if isinstance(network, SubpixelUNet) else 1
    network.set_submodule(name, ImageConvolution(_convolution(network, f"{name}.layer"), network.in_channels, block))
    if isinstance(network, SubpixelUNet):
        network.to_blocks = nn.Identity()
        network.to_pixels = PlanarShuffle(block)


def _convolution(network: nn.Module, name: str) -> nn.Conv2d:
    layer = network.get_submodule(name)
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"{name} is no convolution")
    return layer


class RectifiedConvolution(nn.Module):
    """A convolution and the ReLU after it.

    Parameters
    ----------
    layer
        The convolution, in bfloat16, padded with zeros.
    bias
        Its bias in any precision.
    """

    bias: Tensor | None

    def __init__(self, layer: nn.Conv2d, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = layer.weight
        self.register_buffer("bias", bias, persistent=False)
        self._geometry = _Geometry.of(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what the two layers make of it."""
        return _convolve(x, self.weight, self.bias, self._geometry, "relu")


class PairOfMaps(nn.Module):
    """Hands two maps on as they are, to a `JoinedConvolution`."""

    def forward(self, skip: Tensor, risen: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        return skip, risen


class JoinedConvolution(nn.Module):
    """A convolution of two maps as if they lay side by side: what it makes of the one is added to that of the other.

    Parameters
    ----------
    layer
        The convolution, in bfloat16, padded with zeros; half of its channels are the first map's.
    bias
        Its bias in any precision.

    Attributes
    ----------
    activation
        ``"relu"`` or ``"none"``.
    """

    first: Tensor
    second: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv2d, bias: Tensor | None) -> None:
        super().__init__()
        self.activation = "none"
        first, second = layer.weight.detach().chunk(2, dim=1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self._geometry = _Geometry.of(layer)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map two (N, C, H, W) to what the layer makes of both."""
        skip, risen = maps
        convolved = _convolve(skip, self.first, self.bias, self._geometry, "none")
        return _add_convolved(convolved, risen, self.second, self._geometry, self.activation)


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

    weight: Tensor
    weight_of_grey: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv2d, channels: int, block: int = 1) -> None:
        super().__init__()
        self.activation = "none"
        weight = _of_pixels(layer.weight.detach(), channels, block)
        self.register_buffer("weight", _in_two(weight), persistent=False)
        # All channels of a grey image are one.
        self.register_buffer("weight_of_grey", _in_two(weight.sum(1, keepdim=True)), persistent=False)
        bias = layer.bias
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)
        self._geometry = _Geometry.of(layer, block)

    def forward(self, x: Tensor) -> Tensor:
        """Map an image (N, C, H, W), float32, to bfloat16; C may be 1 where all channels are the same."""
        pixels = x.permute(0, 2, 3, 1)
        high = pixels.bfloat16()
        parts = torch.cat([high, (pixels - high).bfloat16(), high], -1).permute(0, 3, 1, 2)
        weight = self.weight if parts.shape[1] == self.weight.shape[1] else self.weight_of_grey
        return _convolve(parts, weight, self.bias, self._geometry, self.activation)


@dataclass(frozen=True)
class _Geometry:
    """How a convolution moves over a map."""

    padding: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, layer: nn.Conv2d, block: int = 1) -> "_Geometry":
        """Read it off a layer; over pixels, where the layer sees blocks of so many by so many."""
        if isinstance(layer.padding, str):
            raise TypeError(f"padding must be a number of pixels, not {layer.padding!r}")
        padding = tuple(block * side for side in layer.padding)
        return cls(padding, tuple(block * side for side in layer.stride), layer.dilation, layer.groups)

    @property
    def arguments(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
        """In the order of PyTorch's operators."""
        return self.padding, self.stride, self.dilation, self.groups


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
    geometry: _Geometry,
    activation: str,
) -> Tensor:
    convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, *geometry.arguments, activation, [], ""
    )
    return convolved


def _add_convolved(
    to: Tensor,
    x: Tensor,
    weight: Tensor,
    geometry: _Geometry,
    activation: str,
) -> Tensor:
    # This operator knows "none" by another name.
    unary = None if activation == "none" else activation
    added: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
        to, x, weight, None, *geometry.arguments, "add", 1.0, unary, [], ""
    )
    return added
