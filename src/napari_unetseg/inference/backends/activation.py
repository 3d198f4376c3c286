"""From a network's output to probabilities, the same for every runtime."""

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_unetseg.zoo.card import Head


def to_probabilities(output: Tensor, heads: Sequence[Head], out: Tensor) -> None:
    """Apply the sigmoid to those heads whose activation the network left out.

    Parameters
    ----------
    output
        float32 (N, heads, H, W) or a few pixels larger, on any device.
    heads
        One an output channel, with the activation that the network already applied.
    out
        float32 (N, heads, H, W) on the same device: where the probabilities are written.
    """
    kept = output[..., : out.shape[-2], : out.shape[-1]]
    if all(head.activation == "none" for head in heads):
        torch.sigmoid(kept, out=out)
        return
    for index, head in enumerate(heads):
        out[:, index] = kept[:, index] if head.activation == "sigmoid" else kept[:, index].sigmoid()
