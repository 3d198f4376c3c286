"""At which size the network sees an image, so that its objects are as large as those it was trained on."""

import math

from napari_unetseg.errors import ImageError, ParameterError
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import ModelCard

MAX_PIXELS_ENLARGED = 2**30
"""No image is enlarged to more pixels: a CPU would compute an hour or longer, mostly on a mistyped diameter."""


def scale_factor(card: ModelCard, diameter: float | None) -> float:
    """Return by how much an image is enlarged along each axis so that the model sees objects of its own size.

    Parameters
    ----------
    card
        Card of the model; its `object_size` is the diameter it was trained on.
    diameter
        Typical equivalent diameter of the objects in the image, in pixels; None: images keep their size.

    Raises
    ------
    ParameterError
        If the diameter is no length, or the card does not know its own.
    """
    if diameter is None:
        return 1.0
    if not (math.isfinite(diameter) and diameter > 0):
        raise ParameterError(
            Sentence("diameter = {diameter:g}: it is a length in pixels and must be above 0.", diameter=diameter)
        )
    if card.image_size is not None:
        raise ParameterError(
            Sentence(
                "{model} sees every image at {height} x {width} pixels, so a diameter would change nothing. "
                "Leave it out.",
                model=card.display_name,
                height=card.image_size[0],
                width=card.image_size[1],
            )
        )
    if card.object_size is None:
        raise ParameterError(
            Sentence(
                "{model} does not say how large the objects were that it was trained on, so the image cannot "
                "be rescaled to them. Leave the diameter out, or write object_size into the model's card.",
                model=card.display_name,
            )
        )
    return card.object_size / diameter


def size_for_network(
    shape: tuple[int, int], card: ModelCard, diameter: float | None, name: str = "image"
) -> tuple[int, int] | None:
    """Return height and width to which an image is stretched for the network; None if it keeps its size.

    Parameters
    ----------
    shape
        Height and width of the image.
    card, diameter
        As `scale_factor` takes them.
    name
        What the image is called.

    Raises
    ------
    ParameterError
        See `scale_factor`.
    ImageError
        If the image would become less than a pixel wide, or larger than `MAX_PIXELS_ENLARGED`.
    """
    factor = scale_factor(card, diameter)
    if card.image_size is not None:
        return card.image_size
    height, width = shape
    if max(height, width) * factor > MAX_PIXELS_ENLARGED or height * width * factor**2 > max(
        MAX_PIXELS_ENLARGED, height * width
    ):
        raise ImageError(
            Sentence(
                "{image}: for a diameter of {diameter:g} pixels it would have to be enlarged {factor:.3g} "
                "times, beyond {limit:.0f} million pixels. Give the diameter of its objects in its own "
                "pixels.",
                image=name,
                diameter=diameter,
                factor=factor,
                limit=MAX_PIXELS_ENLARGED / 1000000.0,
            )
        )
    size = round(height * factor), round(width * factor)
    if min(size) < 1:
        raise ImageError(
            Sentence(
                "{image}: for a diameter of {diameter:g} pixels its {height} x {width} pixels would shrink "
                "to less than one. Give the diameter of its objects in its own pixels.",
                image=name,
                diameter=diameter,
                height=height,
                width=width,
            )
        )
    return None if size == shape else size
