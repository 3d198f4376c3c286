"""What the channels of a package's output mean: which is the foreground, and whether they are probabilities."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.bioimageio.description import OutputTensor
from napari_unetseg.zoo.bioimageio.processing import Answered, CannotTranslate
from napari_unetseg.zoo.card import Head

HEADS = ("foreground", "boundary", "distance")
"""What a channel can be called when a user says it."""

_WORDS = {
    "foreground": {"foreground", "fg", "probability", "probabilities", "prob", "nucleus", "nuclei", "cell", "cells"}
    | {"mask", "object", "objects", "interior", "segmentation"},
    "boundary": {"boundary", "boundaries", "border", "borders", "contour", "contours", "edge", "edges", "outline"},
    "distance": {"distance", "distances", "dist", "distmap"},
}
_GUESSES = {1: ("foreground",), 2: ("foreground", "boundary"), 3: ("foreground", "boundary", "distance")}
# Network outputs that are meant as probabilities may pass 0 and 1 by as much.
_SLACK = 1e-3


@dataclass(frozen=True)
class OutputNames:
    """What the channels of an output mean.

    Attributes
    ----------
    channels
        What the package calls them; numbers where it does not call them anything.
    heads
        What they mean here, as far as it can be told.
    asks
        Whether that is a guess, which a user has to confirm.
    """

    channels: tuple[str, ...]
    heads: tuple[str, ...]
    asks: bool


def name_outputs(tensor: OutputTensor, count: int) -> OutputNames:
    """Say what the channels of an output mean, by their names.

    Parameters
    ----------
    tensor
        The output.
    count
        How many channels it has.

    Raises
    ------
    CannotTranslate
        If there are more than can have a meaning here.
    """
    channels = tensor.channel_names if len(tensor.channel_names) == count else ()
    if count not in _GUESSES:
        names = ", ".join(channels) or str(count)
        raise CannotTranslate(
            Sentence(
                "The network gives {count} channels ({names}). Here there are three at most: foreground, boundary and "
                "distance.",
                count=count,
                names=names,
            )
        )
    meant = [_meaning(name) for name in channels or ((tensor.name,) if count == 1 else ())]
    shown = channels or tuple(str(number) for number in range(1, count + 1))
    if len(set(meant)) == count and None not in meant and "foreground" in meant:
        return OutputNames(shown, tuple(map(str, meant)), asks=False)
    # One channel without a name of its own is what the model is for.
    plain = count == 1 and meant == [None]
    return OutputNames(shown, _GUESSES[count], asks=not plain)


def parse_outputs(words: str | Sequence[str], count: int) -> tuple[str, ...]:
    """Read ``"foreground,boundary"``: what each channel means, in order.

    Raises
    ------
    ModelError
        If there are more or fewer, or one is not known.
    """
    names = tuple(word.strip().lower() for word in (words.split(",") if isinstance(words, str) else words))
    if len(names) != count or set(names) - set(HEADS) or len(set(names)) != count or "foreground" not in names:
        raise ModelError(
            Sentence(
                "{names}: say for each of the {count} channels of the output what it means, in order and separated by "
                "commas: {heads}. One of them has to be foreground.",
                names=",".join(names),
                count=count,
                heads=", ".join(HEADS),
            )
        )
    return names


def heads_of(
    names: Sequence[str], tensor: OutputTensor, answered: Answered, found: tuple[float, float] | None
) -> tuple[tuple[Head, ...], float | None, str | None]:
    """Return the heads of a network that is run as it is, the threshold of its foreground, and a remark.

    Parameters
    ----------
    names
        What the channels mean.
    tensor, answered
        The output, and its postprocessing.
    found
        Least and greatest value of the package's own answer to its test image; None without one.

    Raises
    ------
    CannotTranslate
        If the values can be neither probabilities nor their logits.
    """
    threshold = answered.threshold
    if answered.sigmoid:
        return _heads(names, "none"), threshold, None
    if threshold is not None:
        if 0 < threshold < 1:
            return _heads(names, "sigmoid"), threshold, None
        # Above a value is above the sigmoid of it.
        return _heads(names, "none"), 1 / (1 + math.exp(-max(min(threshold, 700.0), -700.0))), None
    stated = tensor.data_range
    if found is None and stated and None not in stated and not any(map(math.isinf, filter(None, stated))):
        found = (float(stated[0] or 0), float(stated[1] or 0))
    if found is None:
        raise CannotTranslate(
            Sentence(
                "The package says neither by a sigmoid nor by a range of values or a test image that its output is a "
                "probability."
            )
        )
    low, high = found
    if low >= -_SLACK and high <= 1 + _SLACK:
        return _heads(names, "sigmoid"), None, None
    if low < -1 and high > 1:
        return (
            _heads(names, "none"),
            None,
            Sentence(
                "The output has values from {low:.3g} to {high:.3g} and no sigmoid, so it is taken as logits: an "
                "object is where they are above 0.",
                low=low,
                high=high,
            ),
        )
    raise CannotTranslate(
        Sentence(
            "The output has values from {low:.3g} to {high:.3g}, which are no probabilities. Only networks that give a "
            "foreground can be used.",
            low=low,
            high=high,
        )
    )


def _heads(names: Sequence[str], activation: str) -> tuple[Head, ...]:
    return tuple(Head.model_validate({"name": name, "activation": activation}) for name in names)


def _meaning(name: str) -> str | None:
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((head for head in ("boundary", "distance", "foreground") if words & _WORDS[head]), None)
