"""The annotated parts of corrected images, as the model that is to learn from them sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.language import Sentence
from napari_unetseg.training.corrected_images import NOT_ANNOTATED, CorrectedImage, CorrectedImageError
from napari_unetseg.training.dataset import object_diameters
from napari_unetseg.zoo.card import ModelCard

LARGEST = 1536
"""Longest side of a region; what is annotated further is divided, so that a part of it can be held back."""

NEAR = 32
"""Annotated parts nearer to each other than this many pixels are one region."""

AROUND = 64
"""Pixels around the annotated ones that are looked at, too: what lies beyond an edge helps to tell what it is."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an image in which somebody looked at most pixels, with its surroundings.

    Attributes
    ----------
    image
        Name of the image.
    pixels
        float32 (C, Y, X), normalised as the model will see the whole image.
    labels
        int32 (Y, X), `NOT_ANNOTATED` where nobody looked and around the region.
    """

    image: str
    pixels: NDArray[np.float32]
    labels: NDArray[np.int32]

    @property
    def annotated(self) -> int:
        """Number of annotated pixels."""
        return int(np.count_nonzero(self.labels >= 0))


def find_regions(images: Sequence[CorrectedImage], card: ModelCard) -> list[Region]:
    """Find what is annotated: of an image annotated all over the whole, of others each part by itself.

    Raises
    ------
    CorrectedImageError
        If no pixel is annotated.
    """
    regions = [region for image in images for region in _regions_of(image, card)]
    if not regions:
        raise CorrectedImageError(
            Sentence(
                "{images}: nothing is annotated. Correct the objects in at least one rectangle.",
                images=", ".join(image.name for image in images) or "There are no images",
            )
        )
    return regions


def divide(region: Region) -> list[Region]:
    """Divide a region across its longer side into two, each with half of its annotated pixels."""
    known = region.labels >= 0
    axis = int(np.argmax([np.ptp(np.flatnonzero(known.any(axis=1 - axis))) for axis in (0, 1)]))
    counts = np.cumsum(known.sum(axis=1 - axis))
    last = int(np.flatnonzero(known.any(axis=1 - axis))[-1])  # may hold more than half
    middle = min(int(np.searchsorted(counts, counts[-1] / 2)) + 1, last)
    halves = []
    for part in (slice(None, middle), slice(middle, None)):
        labels = np.full_like(region.labels, NOT_ANNOTATED)
        place = (part, slice(None)) if axis == 0 else (slice(None), part)
        labels[place] = region.labels[place]
        halves.append(_trimmed(replace(region, labels=labels)))
    return halves


def typical_diameter_of(regions: Sequence[Region]) -> float | None:
    """Return the diameter, in pixels, that half of the objects' pixels lie in objects of, or wider ones."""
    diameters = np.concatenate([object_diameters(whole_objects(region.labels)) for region in regions])
    if not diameters.size:
        diameters = np.concatenate([object_diameters(np.maximum(region.labels, 0)) for region in regions])
    if not diameters.size:
        return None
    ordered = np.sort(diameters)
    areas = np.cumsum(ordered**2)
    return float(ordered[np.searchsorted(areas, areas[-1] / 2)])


def whole_objects(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the objects that go on neither where nobody looked nor beyond the image, 0 elsewhere."""
    unknown = np.pad(labels < 0, 1, constant_values=True)
    beside = ndimage.maximum_filter(unknown, 3)[1:-1, 1:-1]
    cut = np.unique(labels[beside])
    whole: NDArray[np.int32] = np.where(np.isin(labels, cut), 0, np.maximum(labels, 0)).astype(np.int32)
    return whole


def with_parts_numbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each part of a mask that has one value a number of its own; labels that have several stay."""
    if len(np.unique(labels[labels > 0])) != 1:
        return labels
    numbered = ndimage.label(labels > 0)[0].astype(np.int32)
    numbered[labels < 0] = NOT_ANNOTATED
    return numbered


def _regions_of(corrected: CorrectedImage, card: ModelCard) -> list[Region]:
    labels = with_parts_numbered(corrected.labels)
    boxes = _boxes(labels >= 0)
    if not boxes:
        return []
    seen = normalise(corrected.image, card.normalisation, card.input_channels)
    regions = []
    for number, box in boxes:
        outer = tuple(slice(max(side.start - AROUND, 0), side.stop + AROUND) for side in box)
        rows, columns = (
            np.arange(side.start, min(side.stop, length)) for side, length in zip(outer, labels.shape, strict=True)
        )
        own = np.full(labels.shape, NOT_ANNOTATED, np.int32)
        own[box] = np.where(number[box], labels[box], NOT_ANNOTATED)
        regions.append(Region(corrected.name, seen.read(rows, columns), own[outer]))
    return regions


def _boxes(annotated: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], tuple[slice, slice]]]:
    """Return which pixels belong to each region, and the rectangle that holds them."""
    if not annotated.any():
        return []
    if annotated.all():
        parts: NDArray[np.int32] = np.ones(annotated.shape, np.int32)
    else:
        far = ndimage.distance_transform_cdt(~annotated, "chessboard") <= NEAR // 2
        parts = ndimage.label(far, np.ones((3, 3)))[0].astype(np.int32)
    found = []
    for number in range(1, int(parts.max()) + 1):
        own = annotated & (parts == number)
        rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        for top in _steps(rows[0], rows[-1] + 1):
            for left in _steps(columns[0], columns[-1] + 1):
                box = (top, left)
                if np.count_nonzero(own[box]) > 1:  # a pixel teaches nothing, and has no halves
                    found += [(own, box)]
    return found


def _steps(start: int, stop: int) -> list[slice]:
    count = -(-(stop - start) // LARGEST)
    ends = np.linspace(start, stop, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _trimmed(region: Region) -> Region:
    known = region.labels >= 0
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    box = tuple(slice(max(int(side[0]) - AROUND, 0), int(side[-1]) + 1 + AROUND) for side in (rows, columns))
    return replace(region, pixels=region.pixels[:, *box], labels=region.labels[box])
