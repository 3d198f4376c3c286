"""What the window says about object sizes. Pure functions, so that they can be read and tested without one."""

from napari_unetseg.inference.size_estimate import FAR_OFF
from napari_unetseg.language import tr
from napari_unetseg.zoo.card import ModelCard


def pixels(diameter: float) -> str:
    """Return ``"8.5"`` or ``"27"``: a decimal only where it tells something."""
    return f"{diameter:.1f}".removesuffix(".0") if diameter < 10 else f"{diameter:.0f}"


def comparison(card: ModelCard | None, found: float | None, guessed: float | None) -> str:
    """Say which size a model expects, and which the objects have as they were found or guessed."""
    if card is None:
        return ""
    if card.image_size is not None:
        height, width = card.image_size
        return tr("sees all images at {height} x {width} px").format(height=height, width=width)
    if card.object_size is None:
        return tr("does not say which object size it expects")
    expected, yours = pixels(card.object_size), believed(found, guessed)
    if yours is None:
        return tr("expects objects of {expected} px").format(expected=expected)
    told = f"{'' if yours == found else '~'}{pixels(yours)}"
    return tr("expects objects of {expected} px, yours: {yours} px").format(expected=expected, yours=told)


def believed(found: float | None, guessed: float | None) -> float | None:
    """Return the diameter to go by: what a run found, else what was guessed from the pixels.

    A model that sees objects much larger than those it knows finds pieces of them, so a guess that is far
    larger than what was found is believed instead.
    """
    if found is None or (guessed is not None and guessed > FAR_OFF * found):
        return guessed
    return found


def can_rescale(card: ModelCard | None) -> bool:
    """Whether a model knows its object size and can see images at another size."""
    return card is not None and card.image_size is None and card.object_size is not None


def rescales_by_itself(card: ModelCard | None) -> bool:
    """Whether a model, unless a diameter is set, sees an image again at another size where it did not see it well."""
    return card is not None and can_rescale(card) and card.object_sizes is not None


def is_far_off(card: ModelCard | None, yours: float | None, diameter: float | None) -> bool:
    """Whether the model, if the image is rescaled for `diameter`, sees objects far from the size it expects.

    Never where no diameter is set and the model rescales by itself what it does not see well.
    """
    if card is None or card.object_size is None or yours is None or not can_rescale(card):
        return False
    if diameter is None and rescales_by_itself(card):
        return False
    ratio = yours / (diameter or card.object_size)
    return not 1 / FAR_OFF <= ratio <= FAR_OFF
