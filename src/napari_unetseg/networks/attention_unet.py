"""The Attention U-Net (Oktay et al. 2018) with BatchNorm, bilinear up-sampling and a sigmoid at its end.

The published variants are the same network with other numbers: lightweight (32 base channels, depth
3), standard (64, 4) and deep (96, 5). Layer names are those of their checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import ATTENTION_UNET_CHANNELS, ATTENTION_UNET_DEPTH, attention_unet_facts


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


class AttentionUNet(SegmentationNetwork):
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

    Raises
    ------
    ValueError
        If one of the numbers is not a positive integer, or `base_channels` is 1, which the gates
        cannot halve.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        base_channels: int = ATTENTION_UNET_CHANNELS,
        depth: int = ATTENTION_UNET_DEPTH,
    ) -> None:
        super().__init__()
        if not all(isinstance(n, int) and n > 0 for n in (in_channels, out_channels, depth)):
            raise ValueError("in_channels, out_channels and depth must be positive integers")
        if not isinstance(base_channels, int) or base_channels < 2:
            raise ValueError(f"base_channels must be an integer of 2 or more, not {base_channels!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.facts = attention_unet_facts(base_channels, depth)
        features = [base_channels * 2**level for level in range(depth + 1)]
        wider = zip([in_channels, *features[:-1]], features, strict=True)
        self.encoder_blocks = nn.ModuleList(ConvBlock(above, here) for above, here in wider)
        rising = list(zip(features[:0:-1], features[-2::-1], strict=True))
        self.attention_gates = nn.ModuleList(AttentionGate(below, here) for below, here in rising)
        self.decoder_blocks = nn.ModuleList(ConvBlock(below + here, here) for below, here in rising)
        self.final_conv = nn.Conv2d(base_channels, out_channels, 1)

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
