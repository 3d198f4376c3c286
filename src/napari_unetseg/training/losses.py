"""What training minimises."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from napari_unetseg.training.targets import FLOWS, TARGETS, HeadName

CROWDED_WEIGHT = 5.0
"""How much more a crowded pixel counts than another."""

HEAD_WEIGHTS: dict[HeadName, float] = {
    "foreground": 1.0,
    "distance": 2.0,
    "boundary": 1.0,
    "flow_y": 2.0,
    "flow_x": 2.0,
}
"""How much the cross-entropy of each head counts."""


def segmentation_loss(logits: Tensor, targets: Tensor, heads: Sequence[HeadName]) -> Tensor:
    """Cross-entropy of every head, crowded pixels weighted, plus the foreground's soft Dice loss.

    Parameters
    ----------
    logits
        float32 (N, heads, Y, X).
    targets
        float32 (N, 5, Y, X), one plane a name of `TARGETS`; values 0..1, of the flows -1..1, and NaN where a head has
        nothing to learn.
    heads
        What the planes of `logits` mean; ``"foreground"`` is among them.

    Notes
    -----
    Cross-entropy against a soft target is least where the sigmoid equals it, and unlike an absolute
    difference its gradient does not vanish where the sigmoid is saturated. The Dice term (Milletari
    et al. 2016) keeps sparse foreground from being outvoted.
    """
    shares = torch.cat([targets[:, : FLOWS.start], (1 + targets[:, FLOWS]) / 2], dim=1)
    # Lists of numbers, as indices or as weights, would go to the device and be waited for.
    truth = torch.stack([shares[:, TARGETS.index(head)] for head in heads], dim=1)
    known = ~truth.isnan()
    truth = truth.nan_to_num(nan=0.0)
    crowding = targets[:, TARGETS.index("boundary")].nan_to_num(nan=0.0).unsqueeze(1)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    counted = known * (1 + CROWDED_WEIGHT * crowding)
    means = (entropy * counted).sum(dim=(0, 2, 3)) / known.sum(dim=(0, 2, 3)).clamp(min=1)
    foreground = heads.index("foreground")
    seen = logits[:, foreground].sigmoid() * known[:, foreground]
    total = torch.stack([HEAD_WEIGHTS[head] * mean for head, mean in zip(heads, means, strict=True)]).sum()
    return total + 0.5 * _dice_loss(seen, truth[:, foreground])


def _dice_loss(probability: Tensor, mask: Tensor) -> Tensor:
    overlap = (probability * mask).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + mask.sum(dim=(1, 2))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()
