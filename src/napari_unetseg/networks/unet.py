"""The U-Net of Ronneberger et al. 2015 with normalised, padded convolutions.

Layer names and order are those of the published SpheroHQ checkpoints, so that one class serves the
models trained here (BatchNorm, narrow) and theirs (InstanceNorm, 64 to 1024 features).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.networks.bands import BandReader, bands, compute_rows, join_bands, rows_of, widen_rows
from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import NORM, UNET_FEATURES, Norm, unet_facts
from napari_unetseg.networks.working_memory import SMALL


def _norm(norm: Norm, channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=True)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each normalised and rectified; the map keeps its size."""

    reach = 2

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            _norm(norm, out_channels),
            nn.ReLU(inplace=True),
            # The published blocks have a dropout here; the identity keeps their layer indices.
            nn.Identity(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            _norm(norm, out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        mapped: Tensor = self.double_conv(x)
        return mapped


class Concatenation(nn.Module):
    """Lays what comes from below beside what the encoder handed on."""

    def forward(self, skip: Tensor, risen: Tensor) -> Tensor:
        """Map two (N, C, H, W) to (N, 2 C, H, W)."""
        return torch.cat([skip, risen], dim=1)


class UNet(SegmentationNetwork):
    """U-Net that returns logits at the size of its input.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, one a head.
    features
        Channels at each level, from full resolution down to the bottleneck; the depth (number of
        2x2 poolings) is one less than their number.
    norm
        ``"batch"`` or ``"instance"`` (affine, no running statistics).

    Raises
    ------
    ValueError
        If a number of channels is not a positive integer, there are fewer than two levels, or the
        normalisation is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: Sequence[int] = UNET_FEATURES,
        norm: Norm = NORM,
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise ValueError(f"norm must be one of {', '.join(get_args(Norm))}, not {norm!r}")
        if len(features) < 2:
            raise ValueError(f"features must name two levels or more, not {features!r}")
        if not all(isinstance(n, int) and n > 0 for n in (in_channels, out_channels, *features)):
            raise ValueError("in_channels, out_channels and all features must be positive integers")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.facts = unet_facts(features, norm)
        encoder, deepest = features[:-1], features[-1]
        self.init_conv = DoubleConv(in_channels, features[0], norm)
        self.pool: nn.Module = nn.MaxPool2d(2)
        self.downs = nn.ModuleList(DoubleConv(a, b, norm) for a, b in pairwise(encoder))
        self.bottleneck = DoubleConv(encoder[-1], deepest, norm)
        rising = list(zip(features[:0:-1], features[-2::-1], strict=True))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for below, here in rising)
        self.join: nn.Module = Concatenation()
        self.decoder_blocks = nn.ModuleList(DoubleConv(2 * here, here, norm) for _, here in rising)
        self.final_conv = nn.Conv2d(features[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to logits (N, out_channels, H, W).

        Sides need not be multiples of 2^depth: an upsampled map is resized bilinearly where it
        differs from its skip connection, as the published network does.
        """
        logits: Tensor = self.final_conv(self._at_once(0, x))
        return logits

    def bands(self, x: Tensor) -> Iterator[Tensor]:
        """Give the logits of `forward` in bands of rows (N, out_channels, rows, W), from the top."""
        if self.in_bands and all(side % 2**self.depth == 0 for side in x.shape[-2:]):
            yield from self.bands_from(rows_of(x), x.shape[-2], x.shape[-1])
        else:
            yield self(x)

    def bands_from(self, take: BandReader, height: int, width: int) -> Iterator[Tensor]:
        """Give logits in bands for an input whose rows are taken as they are needed; sides are multiples of 2^depth.

        Of a level of large maps only two are ever whole: what its encoder hands to the decoder (of the first level not
        even that), and what comes from below.
        """
        for decoded in self._banded(0, take, height, width):
            yield self.final_conv(decoded)

    def _at_once(self, level: int, x: Tensor) -> Tensor:
        """Return what a level decodes of the map that it encodes, and all levels below it."""
        skips = []
        for encode in [self.init_conv, *self.downs][level:]:
            skips.append(encode(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        stages = list(zip(self.ups, self.decoder_blocks, strict=True))
        for up, decode in stages[: self.depth - level]:
            x, skip = up(x), skips.pop()
            if x.shape[-2:] != skip.shape[-2:]:
                x = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = self.join(skip, x)
            del skip  # its memory, before the block needs more
            x = decode(x)
        return x

    def _banded(self, level: int, take: BandReader, height: int, width: int) -> Iterator[Tensor]:
        """Give what `_at_once` returns in bands, from the top."""
        if level == self.depth or height * width <= SMALL:
            yield self._at_once(level, take(slice(0, height)))
            return
        up, decode = self.ups[self.depth - 1 - level], self.decoder_blocks[self.depth - 1 - level]
        half = height // 2, width // 2
        skip, pooled = self._encoded(level, take, height, width)
        below = join_bands(self._banded(level + 1, rows_of(pooled), *half), half[0])
        del pooled
        for rows in bands(height, width):
            seen = widen_rows(rows, DoubleConv.reach, height)
            risen = up(below[..., seen.start // 2 : seen.stop // 2, :])
            decoded = decode(self.join(skip(seen), risen))
            yield decoded[..., rows.start - seen.start : rows.stop - seen.start, :]

    def _encoded(self, level: int, take: BandReader, height: int, width: int) -> tuple[BandReader, Tensor]:
        """Return the rows of what a level encodes, and all of it pooled.

        The first level's map is the largest of all, and little work: it is computed again rather than kept.
        """
        encode = self.downs[level - 1] if level else self.init_conv

        def compute(rows: slice) -> Tensor:
            return compute_rows(encode, take, height, rows, DoubleConv.reach)

        parts = (compute(rows) for rows in bands(height, width))
        if level == 0:
            return compute, join_bands((self.pool(part) for part in parts), height // 2)
        whole = join_bands(parts, height)
        return rows_of(whole), self.pool(whole)
