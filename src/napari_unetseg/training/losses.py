"""What training minimises."""

from torch import Tensor
from torch.nn import functional


def segmentation_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of both heads plus the foreground's soft Dice loss.

    Parameters
    ----------
    logits, targets
        float32 (N, 2, Y, X): foreground, then normalised distance; targets lie in 0..1.

    Notes
    -----
    Cross-entropy against a soft target is least where the sigmoid equals it, and unlike an absolute
    difference its gradient does not vanish where the sigmoid is saturated. The Dice term (Milletari
    et al. 2016) keeps sparse foreground from being outvoted.
    """
    foreground, distance = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").unbind(1)
    probability, truth = logits[:, 0].sigmoid(), targets[:, 0]
    overlap = (probability * truth).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
    dice_loss = 1 - (2 * overlap + 1) / (total + 1)
    return foreground.mean() + 2 * distance.mean() + 0.5 * dice_loss.mean()
