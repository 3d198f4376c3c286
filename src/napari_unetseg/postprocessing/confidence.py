"""How sure the model was, as means of its foreground probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.exact_sums import ExactSums


@dataclass(frozen=True)
class Confidence:
    """Mean foreground probability over regions of one image.

    Attributes
    ----------
    overall_mean
        Over all pixels.
    mask_mean
        Over the pixels of all objects; None where there is no object.
    background_mean
        Over all other pixels; None where objects cover the whole image.
    objects
        float32 (N,), one mean an object, in the order of rising label.
    """

    overall_mean: float
    mask_mean: float | None
    background_mean: float | None
    objects: NDArray[np.float32]


def measure_confidence(labels: NDArray[np.integer], foreground: NDArray[np.floating]) -> Confidence:
    """Average the foreground probability over the image, its objects and its background.

    Parameters
    ----------
    labels
        (..., Y, X), 0 is background; labels may have gaps.
    foreground
        (..., Y, X), probabilities 0..1.
    """
    sums = ExactSums.of(labels, foreground, int(labels.max(initial=0)) + 1, with_background=True)
    present = np.flatnonzero(sums.sizes[1:]) + 1
    return Confidence(
        overall_mean=float(sums.mean or 0),
        mask_mean=sums.taken(present).mean,
        background_mean=sums.taken(slice(0, 1)).mean,
        objects=sums.taken(present).means,
    )


def mean_of_objects(
    labels: NDArray[np.integer], values: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Count the pixels of each object, and average over them what `measure_confidence` averages over the image, too.

    Parameters
    ----------
    labels
        (..., Y, X), 0 is background; labels may have gaps.
    values
        (..., Y, X).

    Returns
    -------
    sizes, means
        (N,) and float32 (N,), in the order of rising label.
    """
    sums = ExactSums.of(labels, values, int(labels.max(initial=0)) + 1, with_background=False)
    present = np.flatnonzero(sums.sizes)
    return sums.sizes[present], sums.taken(present).means
