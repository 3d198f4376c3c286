"""How sure the model was, as means of its foreground probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import CACHED_STRIP, strips
from napari_unetseg.postprocessing.side_by_side import side_by_side
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
    sizes, sums = _sums(labels, foreground, with_background=True)
    present = np.flatnonzero(sizes[1:]) + 1
    return Confidence(
        overall_mean=float(sums.sum() / sizes.sum()),
        mask_mean=float(sums[present].sum() / sizes[present].sum()) if len(present) else None,
        background_mean=float(sums[0] / sizes[0]) if sizes[0] else None,
        objects=(sums[present] / sizes[present]).astype(np.float32),
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
    sizes, sums = _sums(labels, values, with_background=False)
    present = np.flatnonzero(sizes)
    return sizes[present], (sums[present] / sizes[present]).astype(np.float32)


def _sums(
    labels: NDArray[np.integer], values: NDArray[np.floating], *, with_background: bool
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Count the pixels of each label, and add up their values; of the background, which is 0, both may stay 0.

    The sums of strips are added up, and those of a strip are taken pixel by pixel, so a label's is the same to the last
    bit whatever else is summed.
    """
    count = int(labels.max(initial=0)) + 1

    def strip_sums(at: tuple[tuple[int, ...], slice]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        index, rows = at
        strip, strip_values = labels[index][rows], values[index][rows]
        sizes, sums = np.zeros(count, np.intp), np.zeros(count)
        for part in strips(strip.shape, CACHED_STRIP):
            owners, weights = strip[part].ravel(), strip_values[part].ravel()
            if not with_background:
                pixels = np.flatnonzero(owners > 0)
                owners, weights = owners[pixels], weights[pixels]
            owners = owners.astype(np.intp, copy=False)
            sizes += np.bincount(owners, minlength=count)
            np.add.at(sums, owners, weights.astype(np.float64, copy=False))
        drop_cached_pages(values)
        return sizes, sums

    sizes, sums = np.zeros(count, np.intp), np.zeros(count)
    parts = ((index, rows) for index in np.ndindex(labels.shape[:-2]) for rows in strips(labels.shape[-2:]))
    for strip_size, strip_sum in side_by_side(strip_sums, parts):
        sizes += strip_size
        sums += strip_sum
    return sizes, sums
