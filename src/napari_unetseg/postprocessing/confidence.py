"""How sure the model was, as means of its foreground probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import strips
from napari_unetseg.probability_maps import drop_cached_pages


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
    count = int(labels.max(initial=0)) + 1
    sizes, sums = np.zeros(count, np.intp), np.zeros(count)
    # Strip by strip: at once, a large image would take five times its memory.
    for index in np.ndindex(labels.shape[:-2]):
        for rows in strips(labels.shape[-2:]):
            strip = labels[index][rows].ravel().astype(np.intp, copy=False)  # once, and not in each count
            sizes += np.bincount(strip, minlength=count)
            sums += np.bincount(strip, weights=foreground[index][rows].ravel(), minlength=count)
            drop_cached_pages(foreground)
    present = np.flatnonzero(sizes[1:]) + 1
    return Confidence(
        overall_mean=float(sums.sum() / sizes.sum()),
        mask_mean=float(sums[present].sum() / sizes[present].sum()) if len(present) else None,
        background_mean=float(sums[0] / sizes[0]) if sizes[0] else None,
        objects=(sums[present] / sizes[present]).astype(np.float32),
    )
