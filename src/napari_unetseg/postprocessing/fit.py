"""How well an image fits a model, by the model's own probability map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE, middle_span
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import middle_plane

UNLIKE_BELOW = 0.58
"""A score below which an image looks unlike what a model knows: chosen on images of four kinds so that none of 167 that
were shown to their own model lies below (docs/choosing-a-model.md)."""


@dataclass(frozen=True)
class Fit:
    """How well an image fits a model.

    Attributes
    ----------
    doubt
        What the mean probability of the objects' pixels lacks to 1. At the edges of objects every model is in doubt;
        where it does not know what it sees it is so within them.
    dropped
        Part of the foreground, 0 to 1, in pieces that the model's own parameters drop: too small, or too unsure.
    """

    doubt: float
    dropped: float

    @property
    def score(self) -> float:
        """From 1, as the model's training images, down to 0."""
        return max(0.0, 1 - 2 * self.doubt - self.dropped / 2)

    @property
    def is_unlike(self) -> bool:
        """Whether the image looks unlike what the model knows."""
        return self.score < UNLIKE_BELOW


def measure_fit(foreground: NDArray[np.floating], parameters: DecodeParameters) -> Fit | None:
    """Say how well an image fits a model; None where the model sees no foreground at all.

    Objects are not divided for this, which would take longer and change little.

    Parameters
    ----------
    foreground
        (..., Y, X), probabilities 0..1. Its middle is looked at, of a stack that of its middle plane.
    parameters
        Those of the model's card, and not a user's: what a slider does says nothing of the image.
    """
    plane = foreground[middle_plane(foreground.shape[:-2])]
    middle = tuple(middle_span(length, MIDDLE_SIDE) for length in plane.shape)
    seen = np.asarray(plane[middle])
    mask = seen >= parameters.threshold
    if not mask.any():
        return None
    numbered, count = ndimage.label(mask)
    pieces = numbered[mask]  # which are much fewer than all pixels
    sizes = np.bincount(pieces, minlength=count + 1)[1:]
    means = np.bincount(pieces, weights=seen[mask], minlength=count + 1)[1:] / sizes
    kept = (sizes >= parameters.min_size) & (means >= parameters.min_confidence)
    objects = kept if kept.any() else np.ones_like(kept)
    mean = np.average(means[objects], weights=sizes[objects])
    return Fit(doubt=1 - float(mean), dropped=1 - float(sizes[kept].sum() / sizes.sum()))


def unlike_warning(model: str) -> Sentence:
    """Say that an image looks unlike what a model knows, and what to do."""
    return Sentence(
        "The image looks unlike what {model} knows. Try all models, or give the diameter of your objects.", model=model
    )
