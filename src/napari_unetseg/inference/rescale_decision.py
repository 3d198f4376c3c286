"""Whether an image should be shown to a model again at another size, by what the model found in it at its own."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.inference.size_estimate import area_weighted_diameter
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE, middle_span
from napari_unetseg.postprocessing.decoding import decode
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


def diameter_to_rescale_by(maps: NDArray[np.floating[Any]], card: SizedCard) -> float | None:
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

    Returns
    -------
    float or None
        Equivalent diameter in pixels, the median over the objects' pixels, where it lies outside of what the card
        names, but at most `MAX_RESCALING` times off the card's own; of fewer than `MIN_OBJECTS` objects nothing is
        known. The median over objects would follow specks, which noise and blur leave, rather than the objects.
    """
    if card.object_sizes is None or card.object_size is None:
        return None
    middle: tuple[slice | int, ...] = (slice(None), *middle_plane(maps.shape[1:-2]))
    plane = maps[middle]
    seen = plane[:, *(middle_span(length, MIDDLE_SIDE) for length in plane.shape[1:])]
    sure = min(card.parameters.min_confidence, MIN_CONFIDENCE)
    parameters = card.parameters.model_copy(update={"min_confidence": sure})
    found = area_weighted_diameter(decode(seen, card.heads, parameters), MIN_OBJECTS)
    least, most = card.object_sizes
    if found is None or least <= found <= most:
        return None
    return round(min(max(found, card.object_size / MAX_RESCALING), card.object_size * MAX_RESCALING), 1)


def rescaled_warning(image: str, diameter: float, card: ModelCard) -> Sentence:
    """Say that an image was rescaled, why, and how to have it otherwise."""
    return Sentence(
        "{image} was rescaled for the model: objects seemed {diameter:.3g} px wide, not {expected:g}. "
        "A diameter of {expected:g} px prevents that.",
        image=image,
        diameter=diameter,
        expected=card.object_size,
    )
