"""What follows from a network's architecture and arguments, without building it. Imports no torch.

The engine plans tiles by these facts, the networks themselves have them from here, and a forecast of a run, or the
description of a model, reads them off the model's card alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from napari_unetseg.networks.foreign_arguments import FOREIGN_SUFFIXES, foreign_arguments, is_foreign

Norm = Literal["batch", "instance"]

UNET_FEATURES = (64, 128, 256, 512, 1024)
CBAM_RESUNET_FEATURES = (64, 128, 256, 512)
SUBPIXEL_UNET_FEATURES = (32, 64, 128, 256)
HRNET_WIDTHS = (48, 96, 192, 384)
ATTENTION_UNET_CHANNELS = 64
ATTENTION_UNET_DEPTH = 4
NORM: Norm = "batch"
BLOCK = 2
"""Defaults of the networks' arguments."""

MAX_DEPTH = 10
MAX_CHANNELS = 8192
"""Beyond any network of use: the deepest published one halves its maps 5 times, the widest has 3072 channels."""


@dataclass(frozen=True)
class NetworkFacts:
    """What the engine and a model's description need to know of a network.

    Attributes
    ----------
    type_name
        Name of its class.
    depth
        How often it halves the image: maps line up with the input on multiples of 2^depth.
    receptive_radius
        Pixels beyond an output pixel, on either side, that can change its value. None where a layer takes statistics
        from the whole image, as InstanceNorm does: every output pixel then depends on every input pixel, and no tile
        can agree with the whole image.
    base_channels
        Channels of its finest maps.
    in_bands
        Whether it can be computed in bands of rows (`napari_unetseg.networks.bands`), so that even a large window
        needs little memory.
    uses_attention
        Whether it weighs its features.
    features
        Channels of a U-Net's maps at each level, from the finest down; empty for other networks.
    block
        Side in pixels of the blocks that are a pixel of its finest maps.
    """

    type_name: str
    depth: int
    receptive_radius: int | None
    base_channels: int
    in_bands: bool = False
    uses_attention: bool = False
    features: tuple[int, ...] = ()
    block: int = 1

    @property
    def grid(self) -> int:
        """2^depth: windows must begin on multiples of it."""
        return 1 << self.depth

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded.

        Tiles agree with the whole image where sides are multiples of 2^depth. A network that takes
        statistics from the image would see padding in them, so there an image is padded only if it
        could not be computed otherwise: each side to one pixel of the deepest map, and where that
        map would be one pixel in all, of which there are no statistics, to two by two.
        """
        grid = self.grid
        if self.receptive_radius is not None:
            return -(-height // grid) * grid, -(-width // grid) * grid
        if max(height, width) < 2 * grid:
            return 2 * grid, 2 * grid
        return max(height, grid), max(width, grid)

    def takes(self, height: int, width: int) -> bool:
        """Whether images may be stretched to this size for it."""
        if self.receptive_radius is None:
            return self.accepted_size(height, width) == (height, width)
        return min(height, width) >= self.grid


class _HRNetFacts(NetworkFacts):
    """HRNet resizes its maps to one another's size, whatever it is."""

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size itself, but for images whose coarsest map would be one pixel."""
        smallest = self.grid + 1
        return (smallest, smallest) if max(height, width) < smallest else (height, width)


def unet_facts(features: Sequence[int], norm: Norm) -> NetworkFacts:
    """Return the facts of a `napari_unetseg.networks.UNet`.

    At level i a map pixel spans 2^i input pixels. Each 3x3 convolution reaches one map pixel
    further: four a level (two on the way down, two on the way up), two in the bottleneck. The
    output pixel can lie at either end of the 2^depth pixels that share its bottleneck pixel.
    With InstanceNorm there is no such radius; the statistics of BatchNorm are fixed once trained.
    """
    depth = len(features) - 1
    both_ways = sum(4 << level for level in range(depth))
    coarsest = 1 << depth
    is_local = norm != "instance"
    return NetworkFacts(
        "UNet",
        depth,
        both_ways + 2 * coarsest + coarsest - 1 if is_local else None,
        features[0],
        in_bands=is_local,
        features=tuple(features),
    )


def subpixel_unet_facts(features: Sequence[int], norm: Norm, block: int) -> NetworkFacts:
    """Return the facts of a `napari_unetseg.networks.SubpixelUNet`: those of a U-Net of blocks."""
    blocks = unet_facts(features, norm)
    radius = blocks.receptive_radius
    return NetworkFacts(
        "SubpixelUNet",
        blocks.depth + block.bit_length() - 1,
        # The output pixel can lie at either side of its own block.
        None if radius is None else block * radius + block - 1,
        features[0],
        in_bands=blocks.in_bands,
        features=blocks.features,
        block=block,
    )


def cbam_resunet_facts(features: Sequence[int]) -> NetworkFacts:
    """Return the facts of a `napari_unetseg.networks.CBAMResUNet`, whose bottleneck is twice as wide as the last level.

    InstanceNorm and channel attention take statistics from the whole image.
    """
    levels = (*features, 2 * features[-1])
    return NetworkFacts("CBAMResUNet", len(features), None, features[0], uses_attention=True, features=levels)


def hrnet_facts(widths: Sequence[int]) -> NetworkFacts:
    """Return the facts of a `napari_unetseg.networks.HRNet`.

    It halves the image twice in its stem and three times between its branches; InstanceNorm takes statistics from the
    whole image.
    """
    return _HRNetFacts("HRNet", 5, None, widths[0])


def attention_unet_facts(base_channels: int, depth: int) -> NetworkFacts:
    """Return the facts of a `napari_unetseg.networks.AttentionUNet`.

    At level i a map pixel spans 2^i input pixels. Each 3x3 convolution reaches one map pixel
    further: four a level (two on the way down, two on the way up), two in the bottleneck. Each
    bilinear up-sampling mixes two coarser pixels, which reaches one of them further. BatchNorm's
    statistics are fixed once trained, and the gates weigh pixel by pixel.

    The radius holds where both sides are multiples of 2^depth; elsewhere the up-sampling's positions
    depend on the size of the whole image, and no halo makes tiles agree with it.
    """
    both_ways = sum(4 << level for level in range(depth))
    mixed = sum(1 << level for level in range(1, depth + 1))
    radius = both_ways + (2 << depth) + mixed
    levels = tuple(base_channels << level for level in range(depth + 1))
    return NetworkFacts("AttentionUNet", depth, radius, base_channels, uses_attention=True, features=levels)


@dataclass(frozen=True)
class ForeignFacts(NetworkFacts):
    """Facts of a network in a file, as its card states them.

    Attributes
    ----------
    halo, step, smallest
        As `ForeignArguments` has them.
    largest
        The longest side that it takes; None: any.
    """

    halo: int = 0
    step: int = 1
    smallest: int = 1
    largest: int | None = None

    @property
    def grid(self) -> int:
        """Pixels by which sides grow."""
        return self.step

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the next size that the network takes, whatever is its largest."""
        return self.accepted_side(height), self.accepted_side(width)

    def accepted_side(self, side: int) -> int:
        """Return the least side that it takes which is not below `side`, whatever is its largest."""
        return self.smallest + max(-(-(side - self.smallest) // self.step), 0) * self.step

    def side_below(self, side: int) -> int:
        """Return the longest side that it takes which is not above `side`; the least one where there is none."""
        most = side if self.largest is None else min(side, self.largest)
        return self.smallest + max((most - self.smallest) // self.step, 0) * self.step

    def takes(self, height: int, width: int) -> bool:
        """Whether it takes exactly this size."""
        return self.accepted_size(height, width) == (height, width) and (
            self.largest is None or max(height, width) <= self.largest
        )


def foreign_facts(architecture: str, arguments: Mapping[str, Any]) -> ForeignFacts:
    """Return the facts of a foreign network.

    Raises
    ------
    ValueError
        As `foreign_arguments` does.
    """
    given = foreign_arguments(arguments)
    return ForeignFacts(
        {"onnx_graph": "OnnxGraph", "torchscript": "TorchScriptProgram"}[architecture],
        depth=0,
        receptive_radius=given.halo or None,
        base_channels=0,
        halo=given.halo,
        step=given.step,
        smallest=given.smallest,
        largest=None if given.largest is None else given.largest_side,
    )


_FACTS: Mapping[str, Callable[[Mapping[str, Any]], NetworkFacts]] = {
    "unet": lambda given: unet_facts(given.get("features", UNET_FEATURES), given.get("norm", NORM)),
    "cbam_resunet": lambda given: cbam_resunet_facts(given.get("features", CBAM_RESUNET_FEATURES)),
    "hrnet": lambda given: hrnet_facts(given.get("widths", HRNET_WIDTHS)),
    "attention_unet": lambda given: attention_unet_facts(
        given.get("base_channels", ATTENTION_UNET_CHANNELS), given.get("depth", ATTENTION_UNET_DEPTH)
    ),
    **{name: partial(foreign_facts, name) for name in FOREIGN_SUFFIXES},
    "subpixel_unet": lambda given: subpixel_unet_facts(
        given.get("features", SUBPIXEL_UNET_FEATURES), given.get("norm", NORM), given.get("block", BLOCK)
    ),
}


def check_limits(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of a network that no computer could hold, before anything is made of them.

    Raises
    ------
    ValueError
        If the network would be deeper than `MAX_DEPTH`, or a map would have more than `MAX_CHANNELS`.
    """
    depth = _number(arguments.get("depth", 0))
    levels = max((len(value) - 1 for value in arguments.values() if isinstance(value, list | tuple)), default=0)
    if max(depth, levels) > MAX_DEPTH:
        raise ValueError(f"the network may halve its maps {MAX_DEPTH} times at most")
    given = (value if isinstance(value, list | tuple) else [value] for value in arguments.values())
    widest = max((_number(value) for values in given for value in values), default=0)
    if "base_channels" in arguments:
        widest = max(widest, _number(arguments["base_channels"]) * 2 ** max(depth, 0))
    if widest > MAX_CHANNELS:
        raise ValueError(f"a map of the network may have {MAX_CHANNELS} channels at most")


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0


def network_facts(architecture: str, arguments: Mapping[str, Any]) -> NetworkFacts:
    """Return the facts of the network that `napari_unetseg.networks.build` makes of the same.

    Raises
    ------
    KeyError
        If no architecture has that name.
    ValueError
        If no network can be built from the arguments.
    """
    facts = _FACTS[architecture]
    try:
        if not is_foreign(architecture):
            check_limits(arguments)
        return facts(arguments)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"No {architecture} can be built from {dict(arguments)}.") from error
