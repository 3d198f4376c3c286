"""A label image with what other programs say of its objects, and label images made of areas that may overlap."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour, Ring

Pixels = NDArray[np.int64]
"""Which pixels of an image an object covers: (N,), the row times the image's width, plus the column."""

OBJECT = "object"
"""Class of an object of which nothing else is known."""


@dataclass(frozen=True)
class LabelledImage:
    """The objects of one image.

    Attributes
    ----------
    name
        File name of the image, such as ``"a.tif"``.
    labels
        (Y, X) integers, 0 is background.
    classes
        What objects are, by their label; `OBJECT` where one is not in it.
    scores
        How sure somebody is of an object, 0 to 1, by its label.
    remarks
        What to tell about how it was read.
    """

    name: str
    labels: NDArray[np.integer]
    classes: Mapping[int, str] = field(default_factory=dict)
    scores: Mapping[int, float] = field(default_factory=dict)
    remarks: tuple[Sentence, ...] = ()

    def class_of(self, label: int) -> str:
        """Return what an object is."""
        return self.classes.get(label, OBJECT)


def paint(
    shape: tuple[int, int], objects: Sequence[tuple[int, Pixels]], name: str
) -> tuple[NDArray[np.int32], tuple[Sentence, ...]]:
    """Make a label image of areas that may overlap, in which a pixel belongs to the smallest that covers it.

    Parameters
    ----------
    shape
        Of the image, (Y, X).
    objects
        Label and pixels of each; objects of one label are joined.
    name
        What remarks call the image.

    Returns
    -------
    labels
        int32 (Y, X).
    remarks
        How many pixels were in several objects, and which objects none is left of.
    """
    labels = np.zeros(shape, np.int32)
    flat = labels.reshape(-1)
    joined: dict[int, Pixels] = {}
    for label, pixels in objects:
        joined[label] = np.union1d(joined[label], pixels) if label in joined else np.unique(pixels)
    for label, pixels in sorted(joined.items(), key=lambda item: -len(item[1])):
        flat[pixels] = label
    shared = sum(map(len, joined.values())) - int(np.count_nonzero(flat))
    remarks = []
    if shared:
        remarks.append(
            Sentence(
                "{image}: objects overlap in {pixels} pixels; each of these went to the smallest object.",
                image=name,
                pixels=shared,
            )
        )
    left = set(np.unique(flat).tolist())
    if lost := sum(label not in left for label in joined):
        remarks.append(
            Sentence("{image}: {objects} objects cover no pixel, or lie under others.", image=name, objects=lost)
        )
    return labels, tuple(remarks)


def inside(rings: Iterable[Ring], shape: tuple[int, int]) -> Pixels:
    """Return the pixels whose centres lie in any of the rings.

    Parameters
    ----------
    rings
        Vertices (y, x) about pixel centres; a ring may meet or cross itself, and is filled by the even-odd rule.
    shape
        Of the image, (Y, X).
    """
    from skimage.draw import polygon

    found = [polygon(ring[:, 0], ring[:, 1], shape=shape) for ring in rings]
    pixels = [rows.astype(np.int64) * shape[1] + columns for rows, columns in found]
    return np.unique(np.concatenate(pixels)) if pixels else np.zeros(0, np.int64)


def covered(contour: Contour, shape: tuple[int, int]) -> Pixels:
    """Return the pixels whose centres lie in a contour, outside its holes."""
    area = inside([contour.exterior], shape)
    return np.setdiff1d(area, inside(contour.holes, shape)) if contour.holes else area


def labels_or_numbers(labels: Sequence[int | None]) -> list[int]:
    """Return the labels if each object has one of its own, else the numbers from 1."""
    known = [label for label in labels if label is not None]
    return known if len(set(known)) == len(labels) else list(range(1, len(labels) + 1))
