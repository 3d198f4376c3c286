"""What training minimises."""

from torch import Tensor
from torch.nn import functional

CROWDED_WEIGHT = 5.0
"""How much more a crowded pixel counts than another."""


def segmentation_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of both heads, crowded pixels weighted, plus the foreground's soft Dice loss.

    Parameters
    ----------
    logits
        float32 (N, 2, Y, X): foreground and distance.
    targets
        float32 (N, 3, Y, X), values 0..1: foreground, distance and crowding.

    Notes
    -----
    Cross-entropy against a soft target is least where the sigmoid equals it, and unlike an absolute
    difference its gradient does not vanish where the sigmoid is saturated. The Dice term (Milletari
    et al. 2016) keeps sparse foreground from being outvoted.
    """
    truth, crowding = targets[:, :2], targets[:, 2:]
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    foreground, distance = (entropy * (1 + CROWDED_WEIGHT * crowding)).unbind(1)
    probability, mask = logits[:, 0].sigmoid(), truth[:, 0]
    overlap = (probability * mask).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + mask.sum(dim=(1, 2))
    dice_loss = 1 - (2 * overlap + 1) / (total + 1)
    return foreground.mean() + 2 * distance.mean() + 0.5 * dice_loss.mean()
