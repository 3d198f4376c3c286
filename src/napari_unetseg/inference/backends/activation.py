"""From a network's output to probabilities, the same for every runtime."""

from collections.abc import Sequence

from torch import Tensor

from napari_unetseg.zoo.card import Head


def to_probabilities(output: Tensor, heads: Sequence[Head]) -> None:
    """Apply the sigmoid to those heads whose activation the network left out, in place.

    Parameters
    ----------
    output
        float32 (N, heads, H, W).
    heads
        One an output channel, with the activation that the network already applied.
    """
    logits = [index for index, head in enumerate(heads) if head.activation == "none"]
    if len(logits) == output.shape[1]:
        output.sigmoid_()
    else:
        for head in logits:
            output[:, head].sigmoid_()
