"""HRNetV2 (Sun et al. 2019, "High-resolution representations for labeling pixels and regions").

Parallel branches at 1/4, 1/8, 1/16 and 1/32 of the input's resolution exchange their maps after every
module; the head reads all of them together. Normalised with InstanceNorm, as the published
checkpoints are; layer names are theirs.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import HRNET_WIDTHS, hrnet_facts

_STEM_CHANNELS = 64
_BRANCHES = 4
_MODULES_PER_STAGE = (1, 4, 3)
_BLOCKS_PER_BRANCH = 4


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)


def _conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, relu: bool) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(in_channels, out_channels, kernel, stride), _norm(out_channels)]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(x, size=list(size), mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions that widens `planes` four times."""

    expansion = 4

    def __init__(self, in_channels: int, planes: int) -> None:
        super().__init__()
        out_channels = planes * self.expansion
        self.conv1, self.bn1 = _conv(in_channels, planes, 1), _norm(planes)
        self.conv2, self.bn2 = _conv(planes, planes, 3), _norm(planes)
        self.conv3, self.bn3 = _conv(planes, out_channels, 1), _norm(out_channels)
        same = in_channels == out_channels
        self.downsample = nn.Identity() if same else _conv_norm(in_channels, out_channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 4 * planes, H, W)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x), inplace=True)


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions that keeps its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels, channels, 3), _norm(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + x, inplace=True)


def _fusion(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Layers that bring branch `source` to the channels of branch `target`, and down to its resolution."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv_norm(widths[source], widths[target], 1, relu=False)
    steps = target - source
    same_width = [_conv_norm(widths[source], widths[source], 3, 2, relu=True) for _ in range(steps - 1)]
    return nn.Sequential(*same_width, _conv_norm(widths[source], widths[target], 3, 2, relu=False))


class ExchangeModule(nn.Module):
    """Residual blocks on every branch, then every branch added to every other."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(_BLOCKS_PER_BRANCH))) for width in widths
        )
        indices = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fusion(widths, source, target) for source in indices) for target in indices
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map one tensor a branch, finest first, to tensors of the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [
            functional.relu(reduce(torch.add, self._brought_to(target, layers, maps)))
            for target, layers in enumerate(self.fuse_layers)
        ]

    @staticmethod
    def _brought_to(target: int, layers: nn.Module, maps: list[Tensor]) -> list[Tensor]:
        parts = [layer(x) for layer, x in zip(layers.children(), maps, strict=True)]
        size = maps[target].shape[-2:]
        return parts[: target + 1] + [_resize(part, size) for part in parts[target + 1 :]]


def _transition(have: Sequence[int], want: Sequence[int]) -> nn.ModuleList:
    """Layers from the maps of one stage (`have` channels) to those of the next (`want`).

    The last map of `have` also feeds the new, coarser branch.
    """
    layers: list[nn.Module] = []
    for index, width in enumerate(want):
        if index >= len(have):
            # One step in a Sequential of its own: the published key names have this extra level.
            layers.append(nn.Sequential(_conv_norm(have[-1], width, 3, 2, relu=True)))
        elif have[index] != width:
            layers.append(_conv_norm(have[index], width, 3, relu=True))
        else:
            layers.append(nn.Identity())
    return nn.ModuleList(layers)


def _transit(transition: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
    return [layer(maps[min(index, len(maps) - 1)]) for index, layer in enumerate(transition)]


class HRNet(SegmentationNetwork):
    """HRNetV2 that returns logits at its input's size, rounded up to a multiple of 4.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    widths
        Channels of the four branches, finest first; the published network is W48.

    Raises
    ------
    ValueError
        If there are not four widths, or a number of channels is not a positive integer.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 1, widths: Sequence[int] = HRNET_WIDTHS) -> None:
        super().__init__()
        if len(widths) != _BRANCHES:
            raise ValueError(f"widths must name {_BRANCHES} branches, not {widths!r}")
        if not all(isinstance(n, int) and n > 0 for n in (in_channels, out_channels, *widths)):
            raise ValueError("in_channels, out_channels and all widths must be positive integers")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.facts = hrnet_facts(widths)
        self.conv1, self.bn1 = _conv(in_channels, _STEM_CHANNELS, 3, 2), _norm(_STEM_CHANNELS)
        self.conv2, self.bn2 = _conv(_STEM_CHANNELS, _STEM_CHANNELS, 3, 2), _norm(_STEM_CHANNELS)
        wide = _STEM_CHANNELS * Bottleneck.expansion
        self.layer1 = nn.Sequential(
            Bottleneck(_STEM_CHANNELS, _STEM_CHANNELS), *(Bottleneck(wide, _STEM_CHANNELS) for _ in range(3))
        )
        self.transition1 = _transition([wide], widths[:2])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.transition3 = _transition(widths[:3], widths)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(ExchangeModule(widths[:branches]) for _ in range(modules)))
            for branches, modules in zip((2, 3, 4), _MODULES_PER_STAGE, strict=True)
        )
        total = sum(widths)
        self.last_layer = nn.Sequential(
            nn.Conv2d(total, total, 1), _norm(total), nn.ReLU(inplace=True), nn.Conv2d(total, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to logits (N, out_channels, 4 * ceil(H / 4), 4 * ceil(W / 4)).

        Raises
        ------
        ValueError
            If both sides are at most 32: the coarsest map would be one pixel, which InstanceNorm
            cannot normalise.
        """
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)), inplace=True)
        maps = [self.layer1(x)]
        maps = self.stage2(_transit(self.transition1, maps))
        maps = self.stage3(_transit(self.transition2, maps))
        maps = self.stage4(_transit(self.transition3, maps))
        height, width = maps[0].shape[-2:]
        x = torch.cat([maps[0], *(_resize(y, (height, width)) for y in maps[1:])], dim=1)
        return _resize(self.last_layer(x), (4 * height, 4 * width))
