"""Which level of a pyramid is meant: by its number, by the size of its pixels, or by how many there are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from napari_unetseg.errors import ImageError
from napari_unetseg.io.physical_size import known_size, known_step
from napari_unetseg.language import Sentence

_SIZE = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)\s*([^\s\d.].*)")
_PIXELS = ("px", "pixel", "pixels")


@dataclass(frozen=True)
class Level:
    """A level of a pyramid.

    Attributes
    ----------
    shape
        Height and width in pixels.
    scale, unit
        Size of its pixels along (Y, X) with its unit; None where it is not known.
    """

    shape: tuple[int, int]
    scale: tuple[float, float] | None = None
    unit: str | None = None


def level_number(wanted: int | str, levels: Sequence[Level], label: str) -> int:
    """Return the number of a level.

    Parameters
    ----------
    wanted
        A number, 0 the largest level, -1 the smallest; the size of a pixel, such as ``"0.5 µm"``, for the level whose
        pixels are nearest to it; or a number of pixels, such as ``"4096 px"``, for the largest level no side of which
        is longer, else the smallest.
    levels
        Those there are, the largest first.
    label
        The file, for messages.

    Raises
    ------
    ImageError
        If there is no such level, or if the size of its pixels is not known.
    """
    text = str(wanted).strip()
    if re.fullmatch(r"[+-]?\d+", text):
        number = int(text)
        if -len(levels) <= number < len(levels):
            return number % len(levels)
        raise ImageError(
            Sentence(
                "{path}: level {level} does not exist; there are 0 to {last}, the largest first.",
                path=label,
                level=number,
                last=len(levels) - 1,
            )
        )
    found = _SIZE.fullmatch(text)
    if found and found[2].lower() in _PIXELS:
        fitting = (at for at, level in enumerate(levels) if max(level.shape) <= float(found[1]))
        return next(fitting, len(levels) - 1)
    if found is None or (size := known_step(found[1], found[2])) is None:
        raise ImageError(
            Sentence(
                "{level}: names no level of a pyramid. Write its number, the size of its pixels such as {size}, or how "
                "many they are at most along each side, such as {pixels}.",
                level=repr(wanted),
                size="0.5 µm",
                pixels="4096 px",
            )
        )
    return min(range(len(levels)), key=lambda at: (_distance(levels[at], size, label), at))


def _distance(level: Level, size: tuple[float, str], label: str) -> float:
    """Return how far the pixels of a level are from a size, as the logarithm of their ratio."""
    # In the unit that is asked for: that of the first of both sizes.
    found = None
    if level.scale is not None and level.unit is not None:
        side = sqrt(level.scale[0] * level.scale[1])
        found, _ = known_size((size[0], side), (size[1], level.unit))
    if found is None:
        raise ImageError(
            Sentence("{path}: does not state the size of its pixels; choose a level by its number.", path=label)
        )
    return abs(log(found[1] / found[0]))
