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
"""What a channel can be."""

UNUSED = "unused"
"""What a channel is called that nothing here needs, such as the background."""

_MOST_CHANNELS = 16
_BACKGROUND = frozenset({"background", "bg"})

_WORDS = {
    "foreground": {"foreground", "fg", "probability", "probabilities", "prob", "nucleus", "nuclei", "cell", "cells"}
    | {"mask", "object", "objects", "interior", "segmentation"},
    "boundary": {"boundary", "boundaries", "border", "borders", "contour", "contours", "edge", "edges", "outline"},
    "distance": {"distance", "distances", "dist", "distmap"},
}
# Network outputs that are meant as probabilities may pass 0 and 1 by as much.
_SLACK = 1e-3


@dataclass(frozen=True)
class OutputNames:
    """What the channels of an output mean.

    Attributes
    ----------
    channels
        What the package calls them; numbers where it does not call them anything.
    meanings
        One of `HEADS`, or `UNUSED`, for each, as far as it can be told.
    asks
        Whether that is a guess, which a user has to confirm.
    """

    channels: tuple[str, ...]
    meanings: tuple[str, ...]
    asks: bool

    @property
    def heads(self) -> tuple[str, ...]:
        """The meanings of those that are used."""
        return tuple(meaning for meaning in self.meanings if meaning != UNUSED)

    @property
    def used(self) -> tuple[int, ...]:
        """The numbers of those that are used."""
        return tuple(number for number, meaning in enumerate(self.meanings) if meaning != UNUSED)


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
        If there are more than can be.
    """
    channels = tensor.channel_names if len(tensor.channel_names) == count else ()
    if count > _MOST_CHANNELS:
        raise CannotTranslate(
            Sentence("The network gives {count} channels; up to {most} can be used.", count=count, most=_MOST_CHANNELS)
        )
    meant = [_meaning(name) for name in channels or ((tensor.name,) if count == 1 else ())]
    shown = channels or tuple(str(number) for number in range(1, count + 1))
    found = OutputNames(shown, tuple(map(str, meant)), asks=False)
    if len(meant) == count and None not in meant and _is_whole(found.meanings):
        return found
    guess = (*HEADS[:2], *(UNUSED for _ in range(count - 2)))[:count]
    # One channel without a name of its own is what the model is for.
    return OutputNames(shown, guess, asks=count > 1 or meant != [None])


def parse_outputs(words: str | Sequence[str], count: int) -> tuple[str, ...]:
    """Read ``"foreground,boundary"``: what each channel means, in order.

    Raises
    ------
    ModelError
        If there are more or fewer, or one is not known.
    """
    names = tuple(word.strip().lower() for word in (words.split(",") if isinstance(words, str) else words))
    if len(names) != count or set(names) - {*HEADS, UNUSED} or not _is_whole(names):
        raise ModelError(
            Sentence(
                "{names}: say for each of the {count} channels of the output what it means, in order and separated by "
                "commas: {heads}. Each of them stands for one channel, and one has to be foreground.",
                names=",".join(names),
                count=count,
                heads=", ".join((*HEADS, UNUSED)),
            )
        )
    return names


def _is_whole(meanings: Sequence[str]) -> bool:
    used = [meaning for meaning in meanings if meaning != UNUSED]
    return "foreground" in used and len(set(used)) == len(used)


def heads_of(
    names: Sequence[str], tensor: OutputTensor, answered: Answered, found: tuple[float, float] | None
) -> tuple[tuple[Head, ...], float | None, str | None]:
    """Return the heads of a network that is run as it is, the threshold of its foreground, and a remark.

    Parameters
    ----------
    names
        What the channels that are used mean.
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
    if words & _BACKGROUND:
        return UNUSED
    return next((head for head in ("boundary", "distance", "foreground") if words & _WORDS[head]), None)
