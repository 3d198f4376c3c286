"""Whether weights and an image size fit a network, in words where they do not."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from napari_unetseg.language import Sentence
from napari_unetseg.networks.facts import ForeignFacts

if TYPE_CHECKING:
    from napari_unetseg.networks import SegmentationNetwork

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each weight, by its name."""

_LISTED = 8


def weight_mismatch(expected: Shapes, found: Shapes) -> str:
    """List the weights that are missing, unexpected or of the wrong shape; empty if there are none."""
    misshapen = [
        f"{key} is {found[key]} instead of {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    faults = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of the wrong shape": misshapen,
    }
    return "; ".join(f"{len(keys)} {fault} ({list_first(keys)})" for fault, keys in faults.items() if keys)


def size_mismatch(network: "SegmentationNetwork", size: tuple[int, int] | None) -> str:
    """Say why images cannot be stretched to a size for a network; empty if they can, or keep their size.

    A network halves its maps `depth` times, and of a map of one pixel InstanceNorm has no statistics.
    """
    if size is None or network.facts.takes(*size):
        return ""
    if isinstance(network.facts, ForeignFacts):
        return Sentence("{size} is no size that this network takes", size=" x ".join(map(str, size)))
    least = " x ".join(map(str, network.accepted_size(1, 1)))
    return Sentence(
        "{height} x {width} is too small for this network, which takes {least} and more",
        height=size[0],
        width=size[1],
        least=least,
    )


def unused_entries(dropped: Sequence[str], extras: Sequence[str]) -> list[str]:
    """Say what of a checkpoint is not used: entries besides the weights, and blocks of weights; see `Checkpoint`."""
    blocks: dict[str, int] = {}
    for key in dropped:
        block = ".".join(key.split(".")[:2])
        blocks[block] = blocks.get(block, 0) + 1
    unused = (
        Sentence("{block} ({n} weights that no output depends on)", block=block, n=count)
        for block, count in blocks.items()
    )
    return [*extras, *unused]


def list_first(names: Sequence[str]) -> str:
    """List the first names, and how many more there are."""
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
