"""Whether an image should be shown to a model again at another size, by what the model found in it at its own."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.inference.size_estimate import area_weighted_diameter_of
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE, middle_span
from napari_unetseg.postprocessing.decoding import FoundObjects, find_objects
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import middle_plane
from napari_unetseg.zoo.card import ModelCard

MIN_OBJECTS = 2
"""A single object may be anything; two of a size are enough, as a photo of a hand holds few nails."""

MIN_CONFIDENCE = 0.6
"""Mean probability from which objects count; below that of most cards, as a model is less sure of what it sees at
a size that it does not know."""

MAX_RESCALING = 4.0
"""No image is rescaled further for what a first run found: so far off, it may have found dirt."""


class SizedCard(Protocol):
    """What a model's card, or the recipe of one in training, says of how it reads objects and of which size."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of its maps, in order."""
        ...

    @property
    def parameters(self) -> DecodeParameters:
        """How objects are read off them."""
        ...

    @property
    def object_size(self) -> float | None:
        """The diameter in pixels that it sees best."""
        ...

    @property
    def object_sizes(self) -> tuple[float, float] | None:
        """The least and the largest that it sees well."""
        ...


def diameter_to_rescale_by(
    maps: NDArray[np.floating[Any]], card: SizedCard, found: FoundObjects | None = None
) -> float | None:
    """Return the diameter by which an image should be rescaled; None if the model sees it well as it is.

    Objects are read off the middle of the image, of a stack off that of its middle plane, by the parameters of
    the card (but for `MIN_CONFIDENCE`), whatever a user has set: the size at which an image is seen must not change
    with a slider.

    Parameters
    ----------
    maps
        What the model said of the image at its own size: probabilities of its heads, (heads, [planes...,] Y, X).
    card
        Of the model; see `ModelCard.object_sizes`.
    found
        The objects of a plane that is seen whole (`is_seen_whole`), where they have been read off by the parameters of
        the card already.

    Returns
    -------
    float or None
        Equivalent diameter in pixels, the median over the objects' pixels, where it lies outside of what the card
        names, but at most `MAX_RESCALING` times off the card's own; of fewer than `MIN_OBJECTS` objects nothing is
        known. The median over objects would follow specks, which noise and blur leave, rather than the objects.
    """
    if card.object_sizes is None or card.object_size is None:
        return None
    if found is None:
        middle: tuple[slice | int, ...] = (slice(None), *middle_plane(maps.shape[1:-2]))
        plane = maps[middle]
        seen = plane[:, *(middle_span(length, MIDDLE_SIDE) for length in plane.shape[1:])]
        found = find_objects(seen, card.heads, card.parameters)
    areas = found.areas(min(card.parameters.min_confidence, MIN_CONFIDENCE))
    diameter = area_weighted_diameter_of(areas, MIN_OBJECTS)
    least, most = card.object_sizes
    if diameter is None or least <= diameter <= most:
        return None
    return round(min(max(diameter, card.object_size / MAX_RESCALING), card.object_size * MAX_RESCALING), 1)


def is_seen_whole(shape: tuple[int, ...]) -> bool:
    """Whether the decision looks at all of an image of this shape, and not at its middle alone."""
    return len(shape) == 2 and max(shape) <= MIDDLE_SIDE


def rescaled_warning(image: str, diameter: float, card: ModelCard) -> Sentence:
    """Say that an image was rescaled, why, and how to have it otherwise."""
    return Sentence(
        "{image} was rescaled for the model: objects seemed {diameter:.3g} px wide, not {expected:g}. "
        "A diameter of {expected:g} px prevents that.",
        image=image,
        diameter=diameter,
        expected=card.object_size,
    )
