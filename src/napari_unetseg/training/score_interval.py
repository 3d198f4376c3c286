"""How sure a score of a few images is: what it is a sum of, and the interval by drawing that anew."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.training.scores import count_matches, iou_matrix

ENOUGH_IMAGES = 5
"""From so many images on the interval is of images drawn anew; of fewer, of the objects of each."""

CONFIDENCE = 0.95
_DRAWS = 2000
_BLOCKS = 8  # along each side of an image whose pixels are drawn anew


def object_shares(predicted: NDArray[np.int32], truth: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return a row for each matched pair, (1, 1), and each object without a match, (0, 1): their ratio is AP@0.5."""
    iou = iou_matrix(predicted, truth)
    matches = count_matches(iou, 0.5)
    shares = np.ones((sum(iou.shape) - matches, 2))
    shares[matches:, 0] = 0
    return shares


def pixel_shares(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a row for each part of the image: twice the overlap, and the sum of the areas. Their ratio is Dice."""
    rows, columns = (np.linspace(0, length, _BLOCKS + 1).astype(int)[:-1] for length in truth.shape)
    sums = [
        np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), np.unique(rows), 0), np.unique(columns), 1).ravel()
        for pixels in (predicted & truth, predicted, truth)
    ]
    return np.column_stack([2 * sums[0], sums[1] + sums[2]])


def ratio(shares: NDArray[np.float64]) -> float:
    """Return the score of an image; 1 where there is nothing to find and nothing was found."""
    above, below = shares.sum(axis=0)
    return float(above / below) if below else 1.0


def interval(shares: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the percentile bootstrap interval (Efron 1979) of the mean score of images.

    Of `ENOUGH_IMAGES` or more images, images are drawn anew, with replacement; of fewer the objects, or parts, of each.

    Parameters
    ----------
    shares
        For each image float64 (N, 2), as `object_shares` and `pixel_shares` return it.
    """
    random = np.random.default_rng(0)
    if len(shares) >= ENOUGH_IMAGES:
        scores = np.array([ratio(one) for one in shares])
        means = scores[random.integers(len(scores), size=(_DRAWS, len(scores)))].mean(axis=1)
    else:
        means = np.mean([_redrawn(one, random) for one in shares], axis=0)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _redrawn(shares: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the score of an image, float64 (draws,), whose rows are drawn anew, with replacement."""
    kinds, of_each = np.unique(shares, axis=0, return_counts=True)
    sums = random.multinomial(len(shares), of_each / len(shares), _DRAWS) @ kinds
    return np.divide(sums[:, 0], sums[:, 1], out=np.ones(_DRAWS), where=sums[:, 1] > 0)
