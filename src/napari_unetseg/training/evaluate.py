"""Scores of any method on annotated images: models as their users get them, and a baseline without learning."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import read_label_image
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.dataset import DatasetError, Pair, read_pair
from napari_unetseg.training.scores import Score, annotated_part, score, score_foreground

Segment = Callable[[Image], NDArray[np.int32]]
"""Gives the label image, int32 (Y, X), of an image."""

Truth = Literal["labels", "parts", "foreground"]
"""What is compared: annotated labels as objects, connected parts of a mask as objects, or foregrounds alone."""


@dataclass(frozen=True)
class Method:
    """What is scored, under the name that tables give it.

    Attributes
    ----------
    divides
        Whether it may divide what touches. A mask without object numbers says nothing of that.
    """

    name: str
    segment: Segment
    divides: bool


@dataclass(frozen=True)
class Failed:
    """A pair that could not be scored, and why."""

    stem: str
    error: Exception


def are_masks(pairs: Sequence[Pair]) -> bool:
    """Whether annotations say only where objects are: none has more than one value besides 0.

    Files that cannot be read say nothing; scoring names them.
    """
    for pair in pairs:
        with suppress(UnetsegError):
            values = np.unique(read_label_image(pair.mask).array)
            if np.count_nonzero(values > 0) > 1:
                return False
    return True


def choose_truth(masks: bool, divides: bool) -> Truth:
    """Say what of the annotations can be compared with a segmentation that divides what touches, or does not."""
    if not masks:
        return "labels"
    return "foreground" if divides else "parts"


def evaluate(method: Method, pairs: Sequence[Pair], truth: Truth) -> Iterator[Score | Failed]:
    """Score pair after pair; one that fails gives a `Failed` in its place and the others go on."""
    for pair in pairs:
        try:
            image, annotation = read_pair(pair)
            if not (annotation >= 0).any():
                raise DatasetError(f"{pair.mask}: no pixel is annotated, so there is nothing to score.")
            yield compare(method.segment(image), annotation, pair, truth)
        except Exception as error:
            yield Failed(pair.stem, error)


def compare(predicted: NDArray[np.int32], annotation: NDArray[np.int32], pair: Pair, truth: Truth) -> Score:
    """Score one label image, int32 (Y, X), against an annotation of the same shape, where that is not below 0."""
    found, true = annotated_part(predicted, annotation)
    if truth == "foreground":
        return score_foreground(found, true, pair.stem, pair.kind)
    return score(found, annotated_objects(true, truth), pair.stem, pair.kind)


def annotated_objects(annotation: NDArray[np.int32], truth: Truth) -> NDArray[np.int32]:
    """Return the label image that an annotation stands for; parts of a mask are 4-connected, as decoded objects are."""
    if truth != "parts":
        return annotation
    parts, _ = ndimage.label(annotation)
    return parts.astype(np.int32, copy=False)


def otsu_watershed(image: Image, min_size: int = 20) -> NDArray[np.int32]:
    """Divide the foreground of Otsu's threshold (1979) by a watershed of its distance transform.

    The side of the threshold that covers less of the image is the foreground, so that dark objects
    on a bright background are found as well. Pixels that are no finite number are background.

    Returns
    -------
    ndarray
        int32 (Y, X).
    """
    grey = image.channels_first[:3].mean(axis=0)
    finite = np.isfinite(grey)
    values = grey[finite]
    if not values.size or values.min() == values.max():
        return np.zeros(grey.shape, np.int32)
    bright = finite & (grey > threshold_otsu(values))
    foreground = bright if bright.mean() <= 0.5 else finite & ~bright
    return decode(foreground[np.newaxis].astype(np.float32), ("foreground",), DecodeParameters(min_size=min_size))


OTSU = Method("Otsu + watershed", otsu_watershed, divides=True)
"""What can be had without learning, to hold a model's scores against."""
