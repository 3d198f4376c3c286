"""What can be measured of an image and its mask before anything is learnt from them.

Nothing here imports torch.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.training.mask_faults import find_pieces, likely_merged, torn_objects

LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
_SAMPLED_SIDE = 1024
_MOST_PIXELS = 2**16  # values of a channel that are hashed at most


@dataclass(frozen=True)
class PairFacts:
    """An image and its mask in numbers.

    Attributes
    ----------
    shape, channels, dtype
        Of the image.
    fingerprint
        Equal for images of equal pixels.
    range
        Low, median and high intensity of all channels: percentiles 1, 50 and 99.8.
    levels
        How many different intensities there are between low and high, at most 256.
    saturated
        Part of the pixels that have the largest value that the type can hold, or the image has.
    values
        How many different numbers above 0 the mask has.
    areas
        Pixels of each object: of each number, or of each piece where there is one number alone.
    largest_value
        The largest number of the mask.
    annotated, foreground
        Parts of the mask that say anything, and that are objects.
    torn
        Numbers that are on several pieces of some size.
    merged
        Numbers that look like several touching objects.
    contrast
        Mean intensity of objects less that of the background, in parts of the range; None without either.
    """

    shape: tuple[int, int]
    channels: int
    dtype: str
    fingerprint: str
    range: tuple[float, float, float]
    levels: int
    saturated: float
    values: int
    areas: NDArray[np.int64]
    largest_value: int
    annotated: float
    foreground: float
    torn: tuple[int, ...]
    merged: tuple[int, ...]
    contrast: float | None

    @property
    def median_area(self) -> float | None:
        """Pixels of the median object; None without objects."""
        return float(np.median(self.areas)) if self.areas.size else None

    @property
    def diameter(self) -> float | None:
        """Diameter in pixels of the disc as large as the median object; None without objects."""
        return None if self.median_area is None else float(np.sqrt(4 * self.median_area / np.pi))


def read_checked(image_path: Path, mask_path: Path) -> tuple[Image, NDArray[np.int64]]:
    """Read a pair as training will.

    Returns
    -------
    Image, ndarray
        One plane, and the mask as int64 (Y, X).

    Raises
    ------
    ImageError
        If one of them cannot be read or is of no use, or the two differ in size.
    """
    from napari_unetseg.io import read_image, read_label_image

    image = read_image(image_path)
    if image.stack_axes:
        raise ImageError(
            Sentence("The image is a stack ({axes}). Save the plane to learn from by itself.", axes=image.axes)
        )
    mask: NDArray[Any] = np.asarray(read_label_image(mask_path).array)
    if mask.ndim != 2:
        raise ImageError(
            Sentence("The mask is a picture of several colours or planes. Save one plane of numbers, one an object.")
        )
    if mask.dtype.kind not in "bui":
        raise ImageError(Sentence("The mask holds fractions. Save whole numbers, 0 for background."))
    if mask.shape != image.shape:
        raise ImageError(
            Sentence(
                "The mask has {mask_height} x {mask_width} pixels, its image {height} x {width}. They must agree.",
                mask_height=mask.shape[0],
                mask_width=mask.shape[1],
                height=image.shape[0],
                width=image.shape[1],
            )
        )
    return image, mask.astype(np.int64)


def measure_pair(image: Image, mask: NDArray[np.int64]) -> PairFacts:
    """Measure an image and its mask, int64 (Y, X), whose values below 0 are not annotated."""
    from skimage.measure import label

    pixels = _known(np.asarray(_sampled(image.channels_first)))
    low, middle, high = (float(value) for value in np.percentile(pixels, (1, 50, 99.8)))
    numbers, areas = np.unique(mask[mask > 0], return_counts=True)
    pieces = label(np.maximum(mask, 0), connectivity=2)
    torn: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()
    if numbers.size == 1:
        areas = np.bincount(pieces.ravel())[1:]
    elif numbers.size:
        torn = torn_objects(find_pieces(mask))
        merged = likely_merged(mask, numbers, areas)
    return PairFacts(
        shape=image.shape,
        channels=len(image.channels_first),
        dtype=str(image.array.dtype),
        fingerprint=_fingerprint(image),
        range=(low, middle, high),
        levels=_levels(pixels, low, high),
        saturated=_saturated(pixels),
        values=int(numbers.size),
        areas=areas.astype(np.int64),
        largest_value=int(numbers[-1]) if numbers.size else 0,
        annotated=float(np.mean(mask >= 0)),
        foreground=float(np.mean(mask > 0)),
        torn=torn,
        merged=merged,
        contrast=_contrast(pixels, np.asarray(_sampled(mask)), low, high),
    )


def _known(pixels: NDArray[Any]) -> NDArray[Any]:
    """Replace what is no number by the lowest intensity, as the network sees it, and truths by numbers."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8)
    known = np.isfinite(pixels)
    if known.all():
        return pixels
    return np.where(known, pixels, pixels[known].min() if known.any() else 0)


def _sampled(array: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th row and column of (..., Y, X), so that no side is longer than needed."""
    step = max(1, -(-max(array.shape[-2:]) // _SAMPLED_SIDE))
    return array[..., ::step, ::step]


def _fingerprint(image: Image) -> str:
    planes = image.channels_first
    step = max(1, int(np.sqrt(planes.shape[1] * planes.shape[2] / _MOST_PIXELS)))
    part = np.ascontiguousarray(planes[:, ::step, ::step])
    return hashlib.sha256(f"{planes.shape}{part.dtype}".encode() + part.tobytes()).hexdigest()


def _levels(pixels: NDArray[Any], low: float, high: float) -> int:
    if high <= low:
        return 1
    return int(np.unique(pixels[(pixels >= low) & (pixels <= high)][:: max(1, pixels.size // 2**20)])[:256].size)


def _saturated(pixels: NDArray[Any]) -> float:
    largest = pixels.max()
    return float(np.mean(pixels == largest)) if pixels.min() < largest else 0.0


def _contrast(pixels: NDArray[Any], mask: NDArray[np.int64], low: float, high: float) -> float | None:
    objects, background = mask > 0, mask == 0
    if high <= low or not objects.any() or not background.any():
        return None
    grey = pixels.mean(axis=0, dtype=np.float64)
    return float((grey[objects].mean() - grey[background].mean()) / (high - low))
