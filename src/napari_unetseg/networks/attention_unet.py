"""The Attention U-Net (Oktay et al. 2018) with BatchNorm, bilinear up-sampling and a sigmoid at its end.

The published variants are the same network with other numbers: lightweight (32 base channels, depth
3), standard (64, 4) and deep (96, 5). Layer names are those of their checkpoints.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class _ConvNormRelu(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each normalised and rectified; the map keeps its size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _ConvNormRelu(in_channels, out_channels)
        self.conv2 = _ConvNormRelu(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        y: Tensor = self.conv2(self.conv1(x))
        return y


class AttentionGate(nn.Module):
    """Lets through those pixels of a skip connection that the decoder's map asks for."""

    def __init__(self, gate_channels: int, skip_channels: int) -> None:
        super().__init__()
        inner = skip_channels // 2
        self.gate_conv = nn.Sequential(nn.Conv2d(gate_channels, inner, 1, bias=False), nn.BatchNorm2d(inner))
        self.input_conv = nn.Sequential(nn.Conv2d(skip_channels, inner, 1, bias=False), nn.BatchNorm2d(inner))
        self.attention_conv = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid()
        )

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Map (N, gate_channels, H, W) and (N, skip_channels, H, W) to the weighed skip."""
        weight: Tensor = self.attention_conv(self.gate_conv(gate) + self.input_conv(skip))
        return skip * weight


class AttentionUNet(nn.Module):
    """Attention U-Net that returns probabilities (its forward ends in a sigmoid) at the size of its input.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    base_channels
        Channels at full resolution; they double at each level.
    depth
        Number of 2x2 poolings.
    """

    norm: Literal["batch"] = "batch"

    def __init__(self, in_channels: int = 3, out_channels: int = 1, base_channels: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.depth = depth
        features = [base_channels * 2**level for level in range(depth + 1)]
        wider = zip([in_channels, *features[:-1]], features, strict=True)
        self.encoder_blocks = nn.ModuleList(ConvBlock(above, here) for above, here in wider)
        rising = list(zip(features[:0:-1], features[-2::-1], strict=True))
        self.attention_gates = nn.ModuleList(AttentionGate(below, here) for below, here in rising)
        self.decoder_blocks = nn.ModuleList(ConvBlock(below + here, here) for below, here in rising)
        self.final_conv = nn.Conv2d(base_channels, out_channels, 1)

    @property
    def receptive_radius(self) -> int:
        """Pixels beyond an output pixel, on either side, that can change its value.

        It holds where both sides are multiples of 2^depth; elsewhere the up-sampling's positions
        depend on the size of the whole image, and no halo makes tiles agree with it.
        """
        return max(self._reach(position) for position in range(2**self.depth))

    def _reach(self, position: int) -> int:
        """Follow the span of pixels that output pixel `position` is made of, down the decoder and up the encoder."""
        low = high = position
        for _ in range(self.depth):
            # Two 3x3 convolutions, then the two coarser pixels that bilinear up-sampling mixes:
            # for pixel 2k these are k - 1 and k, for pixel 2k + 1 they are k and k + 1.
            low, high = (low - 2 - 1) // 2, (high + 2 + 1) // 2
        low, high = low - 2, high + 2
        for _ in range(self.depth):
            # The two finer pixels under each pooled one, then two 3x3 convolutions.
            low, high = 2 * low - 2, 2 * high + 1 + 2
        return max(position - low, high - position)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to probabilities (N, out_channels, H, W).

        Raises
        ------
        RuntimeError
            If a side is below 2^depth.
        """
        skips = []
        for encode in self.encoder_blocks[:-1]:
            x = encode(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.encoder_blocks[-1](x)
        for gate, decode, skip in zip(self.attention_gates, self.decoder_blocks, reversed(skips), strict=True):
            x = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = decode(torch.cat([x, gate(x, skip)], dim=1))
        return torch.sigmoid(self.final_conv(x))
