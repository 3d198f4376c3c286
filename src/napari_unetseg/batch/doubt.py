"""How likely an object is wrong, and an image in need of a look: from its table, without the network.

The doubt of an object is about the probability that it is wrong, as far as confidence, agreement, size and shape tell
it. Each of these is mapped to such a probability, and they are put together as if they were independent. The curves
below were read off 72 images that the `nuclei` model had not learned from (docs/reviewing.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.batch.object_columns import ObjectColumns
from napari_unetseg.language import Sentence

DOUBTFUL = 0.3
"""Doubt from which an object is worth a look."""

_MISSING = 0
"""Label of a place where there is no object."""

_WITHOUT_OBJECTS = 0.5
_UNLIKE = 0.3
_OF_A_MISSED_ONE = 0.5
_LEAST_OBJECTS = 6  # that tell what is typical of an image
_LEAST_IMAGES = 6  # that tell what is typical of a folder
_TO_SIGMA = 1.4826  # from the median deviation of a normal distribution

Curve = tuple[tuple[float, ...], tuple[float, ...]]

# From the lowest confidence that an object may have, 0, to 1.
_BY_CONFIDENCE: Curve = ((0.0, 0.25, 0.5, 0.75, 1.0), (0.6, 0.45, 0.2, 0.05, 0.0))
_BY_AGREEMENT: Curve = ((0.75, 0.85, 0.92, 0.96), (0.6, 0.3, 0.1, 0.0))
# Logarithm of the area over the typical one.
_BY_SIZE: Curve = ((0.6, 1.0, 2.0, 3.0), (0.0, 0.2, 0.4, 0.6))
# What solidity lacks to the typical one, in its usual deviations.
_BY_SHAPE: Curve = ((1.0, 2.5, 5.0, 7.5), (0.0, 0.1, 0.3, 0.5))
_LEAST_SPREAD_OF_SOLIDITY = 0.02
# How far the logarithm of an image's count or typical area is from those of the folder, in their usual deviations.
_BY_DISTANCE: Curve = ((3.0, 6.0), (0.0, 0.35))
_LEAST_SPREAD_OF_LOGARITHMS = 0.25


@dataclass(frozen=True)
class DoubtfulObject:
    """An object that may be wrong, or a place where one may be missing.

    Attributes
    ----------
    label
        Its number in the label image; 0 where one may be missing.
    plane
        Index of its plane in a stack; ``()`` in a single plane.
    bbox
        First row and column, and those after the last ones, in pixels.
    doubt
        0 to 1, about how likely it is wrong.
    reasons
        Sentences, the weightiest first.
    """

    label: int
    plane: tuple[int, ...]
    bbox: tuple[int, int, int, int]
    doubt: float
    reasons: tuple[Sentence, ...]


@dataclass(frozen=True)
class Typical:
    """What is typical of the objects and the images of a folder.

    Attributes
    ----------
    area
        Median area of an object in pixels; None without objects.
    solidity, solidity_spread
        Median of the solidity, and its usual deviation; None where the tables do not tell it.
    count, size
        Median and usual deviation of the logarithm of an image's number of objects and of its typical area; None where
        there are too few images.
    """

    area: float | None
    solidity: float | None
    solidity_spread: float
    count: tuple[float, float] | None
    size: tuple[float, float] | None

    @classmethod
    def of(cls, tables: Sequence[ObjectColumns]) -> "Typical":
        """Look at all objects of a folder."""
        areas = np.concatenate([table.area for table in tables]) if tables else np.zeros(0)
        solidity = np.concatenate([table.column("solidity") for table in tables]) if tables else np.zeros(0)
        solidity = solidity[np.isfinite(solidity)]
        middle, spread = _middle_and_spread(solidity) if len(solidity) else (None, 0.0)
        sizes = [float(np.log(np.median(table.area))) for table in tables if len(table)]
        return cls(
            area=float(np.median(areas)) if len(areas) else None,
            solidity=middle,
            solidity_spread=max(spread, _LEAST_SPREAD_OF_SOLIDITY),
            count=_typical_logarithm([float(np.log1p(len(table))) for table in tables]),
            size=_typical_logarithm(sizes),
        )


@dataclass(frozen=True)
class ImageDoubt:
    """How much an image is in need of a look.

    Attributes
    ----------
    doubt
        0 to 1: about the part of its objects that are wrong or missing, and more where the whole image is unusual.
    reasons
        Sentences, the weightiest first.
    objects
        Those that are `DOUBTFUL`, the most doubtful first.
    """

    doubt: float
    reasons: tuple[str, ...]
    objects: tuple[DoubtfulObject, ...]


@dataclass(frozen=True)
class _Trait:
    """One of the things that doubt is made of, of each object."""

    doubts: NDArray[np.float64]
    sentences: Mapping[int, Sentence]
    of_the_image: str


def doubt_image(
    table: ObjectColumns,
    typical: Typical,
    *,
    lowest_confidence: float,
    missed: Sequence[DoubtfulObject] = (),
    unlike: Sentence | None = None,
) -> ImageDoubt:
    """Judge the objects of an image, and the image by them.

    Parameters
    ----------
    table
        Its objects.
    typical
        Of the folder.
    lowest_confidence
        Below which nothing is an object: the larger one of the parameters `threshold` and `min_confidence`.
    missed
        Places where objects may be missing.
    unlike
        What says that the model does not know such images; None if nothing does.
    """
    unsure = _unsure(table, lowest_confidence)
    disagree, size, shape = _disagree(table), _size(table, typical), _shape(table, typical)
    traits = [unsure, disagree, size, shape]
    doubts = 1 - np.prod([1 - trait.doubts for trait in traits], axis=0)
    objects = [_doubtful(table, at, doubts, traits) for at in np.flatnonzero(doubts >= DOUBTFUL).tolist()]
    weighty = [(missing_doubt := len(missed) / max(len(table) + len(missed), 1) * _OF_A_MISSED_ONE, _missed(missed))]
    weighty += [(float(trait.doubts.sum()) / max(len(table), 1), _summed(trait, len(table))) for trait in traits]
    whole = [*_unusual(table, typical), *([(_UNLIKE, unlike)] if unlike else [])]
    certain = (1 - (float(doubts.mean()) if len(table) else 0.0)) * (1 - missing_doubt)
    for weight, _ in whole:
        certain *= 1 - weight
    reasons = sorted([*whole, *weighty], key=lambda reason: -reason[0])
    return ImageDoubt(
        doubt=1 - certain,
        reasons=tuple(sentence for _, sentence in reasons if sentence is not None),
        objects=tuple(sorted([*objects, *missed], key=lambda one: (-one.doubt, one.plane, one.bbox))),
    )


def missed_object(plane: tuple[int, ...], bbox: tuple[int, int, int, int], confidence: float) -> DoubtfulObject:
    """Make a place where an object may be missing, with the mean confidence of its pixels."""
    reason = Sentence(
        "There may be an object that was not found (confidence {confidence}).", confidence=_two_places(confidence)
    )
    return DoubtfulObject(_MISSING, plane, bbox, _OF_A_MISSED_ONE, (reason,))


def _unsure(table: ObjectColumns, lowest: float) -> _Trait:
    confidence = table.column("confidence")
    above = (confidence - lowest) / max(1 - lowest, 1e-3)
    return _trait(
        _curve(above, _BY_CONFIDENCE),
        lambda at: Sentence(
            "Low confidence: {confidence}, where {lowest} is the least.",
            confidence=_two_places(confidence[at]),
            lowest=_two_places(lowest),
        ),
        "unsure",
    )


def _disagree(table: ObjectColumns) -> _Trait:
    agreement = table.column("agreement")
    return _trait(
        _curve(agreement, _BY_AGREEMENT),
        lambda at: Sentence(
            "Flipped and turned, the image gives another outline (agreement {agreement}).",
            agreement=_two_places(agreement[at]),
        ),
        "disagree",
    )


def _size(table: ObjectColumns, typical: Typical) -> _Trait:
    usual = float(np.median(table.area)) if len(table) >= _LEAST_OBJECTS else typical.area
    ratio = table.area / (usual or 1.0)
    # One that is cut by the border of the image is small for that.
    distance = np.where(table.at_border & (ratio < 1), 0.0, np.abs(np.log(np.maximum(ratio, 1e-9))))

    def say(at: int) -> Sentence:
        if ratio[at] > 1:
            return Sentence("It is {times} times as large as the others.", times=f"{ratio[at]:.1f}")
        return Sentence("It is small: {percent} % of the usual area.", percent=f"{100 * ratio[at]:.0f}")

    return _trait(_curve(distance, _BY_SIZE), say, "size")


def _shape(table: ObjectColumns, typical: Typical) -> _Trait:
    solidity = table.column("solidity")
    usual = np.nan if typical.solidity is None else typical.solidity
    return _trait(
        _curve((usual - solidity) / typical.solidity_spread, _BY_SHAPE),
        lambda at: Sentence(
            "Its outline is uneven (solidity {solidity}): it may be several objects, or a part of one.",
            solidity=_two_places(solidity[at]),
        ),
        "shape",
    )


def _trait(doubts: NDArray[np.float64], say: Callable[[int], Sentence], of_the_image: str) -> _Trait:
    return _Trait(doubts, {at: say(at) for at in np.flatnonzero(doubts >= _SAID_FROM).tolist()}, of_the_image)


_SAID_FROM = 0.1  # a doubt below is not worth words


def _doubtful(table: ObjectColumns, at: int, doubts: NDArray[np.float64], traits: Sequence[_Trait]) -> DoubtfulObject:
    by_weight = sorted(traits, key=lambda trait: -trait.doubts[at])
    reasons = tuple(trait.sentences[at] for trait in by_weight if at in trait.sentences)
    plane = tuple(int(place) for place in table.plane[at])
    top, left, bottom, right = (int(edge) for edge in table.bbox[at])
    return DoubtfulObject(int(table.label[at]), plane, (top, left, bottom, right), float(doubts[at]), reasons)


def _summed(trait: _Trait, total: int) -> Sentence | None:
    """Say of how many objects of an image it is true."""
    count = len(trait.sentences)
    if not count:
        return None
    if trait.of_the_image == "unsure":
        return Sentence("Low confidence: {count} of {total} objects.", count=count, total=total)
    if trait.of_the_image == "disagree":
        return Sentence("Another outline when flipped: {count} of {total} objects.", count=count, total=total)
    if trait.of_the_image == "size":
        return Sentence("Unusual size: {count} of {total} objects.", count=count, total=total)
    return Sentence("Uneven outline: {count} of {total} objects.", count=count, total=total)


def _missed(missed: Sequence[DoubtfulObject]) -> Sentence | None:
    return Sentence("Objects that may be missing: {count}.", count=len(missed)) if missed else None


def _unusual(table: ObjectColumns, typical: Typical) -> list[tuple[float, Sentence]]:
    """Weigh what sets the image apart from the others of its folder."""
    if not len(table):
        return [(_WITHOUT_OBJECTS, Sentence("No object was found."))]
    found = []
    if typical.count is not None:
        weight = _from_others(float(np.log1p(len(table))), typical.count)
        usual = np.expm1(typical.count[0])
        text = Sentence("{count} objects, where others have about {usual}.", count=len(table), usual=f"{usual:.0f}")
        found.append((weight, text))
    if typical.size is not None:
        area = float(np.median(table.area))
        weight = _from_others(float(np.log(area)), typical.size)
        text = Sentence(
            "Its objects are about {diameter} pixels wide, where others have {usual}.",
            diameter=f"{np.sqrt(4 * area / np.pi):.0f}",
            usual=f"{np.sqrt(4 * np.exp(typical.size[0]) / np.pi):.0f}",
        )
        found.append((weight, text))
    return [(weight, text) for weight, text in found if weight > 0]


def _from_others(value: float, typical: tuple[float, float]) -> float:
    middle, spread = typical
    return float(np.interp(abs(value - middle) / spread, *_BY_DISTANCE))


def _typical_logarithm(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < _LEAST_IMAGES:
        return None
    middle, spread = _middle_and_spread(np.asarray(values))
    return middle, max(spread, _LEAST_SPREAD_OF_LOGARITHMS)


def _middle_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, float(_TO_SIGMA * np.median(np.abs(values - middle)))


def _curve(values: NDArray[np.float64], curve: Curve) -> NDArray[np.float64]:
    """Map values to doubts; one that is not known gives none."""
    return np.where(np.isfinite(values), np.interp(np.nan_to_num(values), *curve), 0.0)


def _two_places(value: float) -> str:
    return f"{value:.2f}"
