"""Which network a state dict belongs to, read off the names and shapes of its weights."""

from collections.abc import Callable, Mapping, Sequence

import torch
from pydantic import ValidationError
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence, joined
from napari_unetseg.networks import build
from napari_unetseg.zoo.card import Architecture
from napari_unetseg.zoo.compatibility import Shapes, list_first, weight_mismatch

Reader = Callable[[Shapes], Architecture | None]
"""Says what network the shapes look like; None where they do not. It need not look at all of them."""

_MAX_LEVELS = 16
"""More than any network of use has; a file from a stranger may name thousands."""


def read_unet(shapes: Shapes) -> Architecture | None:
    """Recognise `UNet`: its features, channels and normalisation."""
    first, last = "init_conv.double_conv.0.weight", "final_conv.weight"
    ups = _numbered(shapes, "ups.{}.weight")
    if not _kernels(shapes, first, last, "bottleneck.double_conv.0.weight") or not ups:
        return None
    # Each up-sampling maps the channels below it to those of its own level; the first is the deepest.
    features = [shape[1] for shape in reversed(ups)] + [ups[0][0]]
    norm = "batch" if "init_conv.double_conv.1.running_mean" in shapes else "instance"
    return Architecture(
        name="unet",
        arguments={
            "in_channels": shapes[first][1],
            "out_channels": shapes[last][0],
            "features": features,
            "norm": norm,
        },
    )


def read_cbam_resunet(shapes: Shapes) -> Architecture | None:
    """Recognise `CBAMResUNet`: its features and channels."""
    first, last = "init_conv.0.weight", "final_conv.4.weight"
    blocks = _numbered(shapes, "downs.{}.conv1.weight")
    if not _kernels(shapes, first, last) or not blocks or "downs.0.cbam.spatial_attention.conv.weight" not in shapes:
        return None
    features = [shape[0] for shape in blocks]
    return Architecture(
        name="cbam_resunet",
        arguments={"in_channels": shapes[first][1], "out_channels": shapes[last][0], "features": features},
    )


def read_hrnet(shapes: Shapes) -> Architecture | None:
    """Recognise `HRNet`: the widths of its branches and its channels."""
    first, last = "conv1.weight", "last_layer.3.weight"
    branches = _numbered(shapes, "stage4.0.branches.{}.0.conv1.weight")
    if not _kernels(shapes, first, last) or len(branches) != 4:
        return None
    widths = [shape[0] for shape in branches]
    return Architecture(
        name="hrnet", arguments={"in_channels": shapes[first][1], "out_channels": shapes[last][0], "widths": widths}
    )


def read_attention_unet(shapes: Shapes) -> Architecture | None:
    """Recognise `AttentionUNet` in any of its variants: its base channels, depth and channels."""
    first, last = "encoder_blocks.0.conv1.block.0.weight", "final_conv.weight"
    levels = _numbered(shapes, "encoder_blocks.{}.conv1.block.0.weight")
    if not _kernels(shapes, first, last) or len(levels) < 2:
        return None
    return Architecture(
        name="attention_unet",
        arguments={
            "in_channels": shapes[first][1],
            "out_channels": shapes[last][0],
            "base_channels": shapes[first][0],
            "depth": len(levels) - 1,
        },
    )


def read_subpixel_unet(shapes: Shapes) -> Architecture | None:
    """Recognise `SubpixelUNet`: the U-Net within it, which takes the pixels of a block as channels."""
    within = read_unet({key.removeprefix("unet."): shape for key, shape in shapes.items() if key.startswith("unet.")})
    if within is None:
        return None
    taken, given = within.arguments["in_channels"], within.arguments["out_channels"]
    block = next((side for side in (2, 4) if taken in (side**2, 3 * side**2) and given % side**2 == 0), None)
    if block is None:
        return None
    channels = {"in_channels": taken // block**2, "out_channels": given // block**2, "block": block}
    return Architecture(name="subpixel_unet", arguments={**within.arguments, **channels})


# The last kernel of each network, by which it is found under a wrapper's name. That of a sub-pixel U-Net is within
# another U-Net, which is no network by itself.
_LAST_KERNELS = ("unet.final_conv.weight", "final_conv.weight", "final_conv.4.weight", "last_layer.3.weight")
_MAX_NETWORKS = 8


def find_networks(shapes: Shapes) -> tuple[str, ...]:
    """Return the prefixes of the names under which there is something like a known network; "" where there is none."""
    prefixes: list[str] = []
    for key in shapes:
        for end in _LAST_KERNELS:
            if f".{key}".endswith(f".{end}") and len(prefixes) < _MAX_NETWORKS:
                prefix = key.removesuffix(end)
                below = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
                if any(reader(below) for reader in READERS):
                    prefixes.append(prefix)
                    break
    return tuple(prefixes)


READERS: tuple[Reader, ...] = (read_unet, read_cbam_resunet, read_hrnet, read_attention_unet, read_subpixel_unet)
RECOGNISED = ("unet", "cbam_resunet", "hrnet", "attention_unet", "subpixel_unet")


def recognise(state: Mapping[str, Tensor], readers: Sequence[Reader] = READERS) -> tuple[Architecture, ...]:
    """Find the networks that a state dict fits exactly: every name, every shape, none missing, none more.

    Parameters
    ----------
    state
        Weights by name, without wrappers' prefixes and unused parts (see `read_checkpoint`).
    readers
        What to try.

    Returns
    -------
    tuple of Architecture
        One, as a rule; never none.

    Raises
    ------
    ModelError
        If no network fits: the message lists what differs from the one that the weights look like, or
        what was seen where they look like none.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    try:
        candidates = [architecture for reader in readers if (architecture := reader(shapes))]
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ModelError(
            Sentence("The weights are of a network beyond what can be run: {reason}.", reason=reason)
        ) from error
    faults = [_mismatch(candidate, shapes) for candidate in candidates]
    fitting = tuple(candidate for candidate, fault in zip(candidates, faults, strict=True) if not fault)
    if fitting:
        return fitting
    if candidates:
        looks = [
            Sentence("{network}, but {fault}", network=describe_architecture(candidate), fault=fault)
            for candidate, fault in zip(candidates, faults, strict=True)
        ]
        raise ModelError(Sentence("The weights look like {looks}.", looks=joined(looks, "; or like ")))
    seen = list_first([f"{key} {shape}" for key, shape in shapes.items()])
    raise ModelError(
        Sentence(
            "The weights belong to none of {networks}. Seen: {seen}.",
            networks=", ".join(RECOGNISED),
            seen=seen or "nothing",
        )
    )


def _kernels(shapes: Shapes, *keys: str) -> bool:
    return all(len(shapes.get(key, ())) == 4 for key in keys)


def _numbered(shapes: Shapes, pattern: str) -> list[tuple[int, ...]]:
    """Return the shapes of kernels number 0, 1, 2... up to the first that is missing."""
    found: list[tuple[int, ...]] = []
    while len(found) < _MAX_LEVELS and _kernels(shapes, pattern.format(len(found))):
        found.append(shapes[pattern.format(len(found))])
    return found


def _mismatch(architecture: Architecture, shapes: Shapes) -> str:
    try:
        with torch.device("meta"):
            network = build(architecture.name, architecture.arguments)
    except (ValueError, TypeError, RuntimeError) as error:
        return f"cannot be built so ({error})"
    return weight_mismatch({key: tuple(value.shape) for key, value in network.state_dict().items()}, shapes)


def describe_architecture(architecture: Architecture) -> str:
    """Say what a network is, as messages do."""
    return f"{architecture.name} ({', '.join(f'{key} {value}' for key, value in architecture.arguments.items())})"
