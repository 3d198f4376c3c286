"""Residual U-Net with convolutional block attention and attention gates.

Residual blocks after He et al. 2016, each followed by CBAM (Woo et al. 2018); attention gates on the
skip connections after Oktay et al. 2018. Normalised with InstanceNorm, as the published checkpoints
are; layer names are theirs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import CBAM_RESUNET_FEATURES, cbam_resunet_facts

_HEAD_CHANNELS = 32


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


def _conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


class ChannelAttention(nn.Module):
    """Weighs each channel by what its mean and its maximum over the image say to a small shared network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 8)
        self.shared_mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        weight = torch.sigmoid(self.shared_mlp(x.mean((2, 3))) + self.shared_mlp(x.amax((2, 3))))
        return x * weight[:, :, None, None]


class SpatialAttention(nn.Module):
    """Weighs each pixel by a 7x7 convolution of its mean and its maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(summary))


class CBAM(nn.Module):
    """Channel attention, then spatial attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel_attention = ChannelAttention(channels)
        self.spatial_attention = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        weighed: Tensor = self.spatial_attention(self.channel_attention(x))
        return weighed


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input, then CBAM; the map keeps its size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv3(in_channels, out_channels), _norm(out_channels)
        self.conv2, self.norm2 = _conv3(out_channels, out_channels), _norm(out_channels)
        self.adjust_channels = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), _norm(out_channels))
        )
        self.cbam = CBAM(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        y = functional.relu(y + self.adjust_channels(x), inplace=True)
        weighed: Tensor = self.cbam(y)
        return weighed


class CBAMAttentionGate(nn.Module):
    """Lets through those pixels of a skip connection that the decoder's map asks for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.W_g = nn.Sequential(nn.Conv2d(channels, inner, 1), _norm(inner))
        self.W_x = nn.Sequential(nn.Conv2d(channels, inner, 1), _norm(inner))
        self.psi = nn.Sequential(nn.Conv2d(inner, 1, 1), _norm(1), nn.Sigmoid())

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Map the decoder's map and the skip, both (N, C, H, W), to the weighed skip of that shape."""
        weight: Tensor = self.psi(functional.relu(self.W_g(gate) + self.W_x(skip), inplace=True))
        return skip * weight


class CBAMResUNet(SegmentationNetwork):
    """Residual U-Net with attention that returns logits at the size of its input.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    features
        Channels at each level above the bottleneck, from full resolution down; the bottleneck has
        twice the last. Their number is the depth (number of 2x2 poolings).

    Raises
    ------
    ValueError
        If there is no level, or a number of channels is not an integer of 2 or more where the
        attention gates halve it, and positive elsewhere.
    """

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, features: Sequence[int] = CBAM_RESUNET_FEATURES
    ) -> None:
        super().__init__()
        if not features or not all(isinstance(n, int) and n > 1 for n in features):
            raise ValueError(f"features must be one integer of 2 or more a level, not {features!r}")
        if not all(isinstance(n, int) and n > 0 for n in (in_channels, out_channels)):
            raise ValueError("in_channels and out_channels must be positive integers")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.facts = cbam_resunet_facts(features)
        first, deepest = features[0], features[-1]
        self.init_conv = nn.Sequential(_conv3(in_channels, first), _norm(first), nn.ReLU(inplace=True))
        wider = zip([first, *features[:-1]], features, strict=True)
        self.downs = nn.ModuleList(ResidualBlock(above, here) for above, here in wider)
        self.bottleneck = nn.Sequential(ResidualBlock(deepest, 2 * deepest), ResidualBlock(2 * deepest, 2 * deepest))
        # Up-samplings and blocks take turns in one list: the published key names number them together.
        self.ups = nn.ModuleList()
        self.attentions = nn.ModuleList()
        below = 2 * deepest
        for here in reversed(features):
            self.ups.append(nn.ConvTranspose2d(below, here, 2, stride=2))
            self.ups.append(ResidualBlock(2 * here, here))
            self.attentions.append(CBAMAttentionGate(here))
            below = here
        self.final_conv = nn.Sequential(
            _conv3(first, _HEAD_CHANNELS),
            _norm(_HEAD_CHANNELS),
            nn.ReLU(inplace=True),
            # The published head has a dropout here; the identity keeps its layer indices.
            nn.Identity(),
            nn.Conv2d(_HEAD_CHANNELS, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to logits (N, out_channels, H, W).

        Sides need not be multiples of 2^depth: an upsampled map is resized bilinearly where it
        differs from its skip connection, as the published network does.

        Raises
        ------
        RuntimeError
            If a side is below 2^depth.
        ValueError
            If both sides are below 2^(depth + 1): the deepest map would be one pixel, which
            InstanceNorm cannot normalise.
        """
        x = self.init_conv(x)
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, block, gate, skip in zip(self.ups[::2], self.ups[1::2], self.attentions, reversed(skips), strict=True):
            x = up(x)
            if x.shape[-2:] != skip.shape[-2:]:
                x = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([gate(x, skip), x], dim=1))
        logits: Tensor = self.final_conv(x)
        return logits
