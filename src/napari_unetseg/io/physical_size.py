"""Sizes of pixels and steps, as files state them: units under many names, and numbers that are no size."""

import math
from collections.abc import Sequence
from typing import Any

Step = tuple[float, str]
"""The size of a step along an axis, and its unit."""

# By the name that is used everywhere else: OME's symbol, metres, and what else programs write.
_LENGTHS: dict[str, tuple[str, float, str]] = {
    "picometer": ("pm", 1e-12, "picometers picometre picometres"),
    "angstrom": ("Å", 1e-10, "angstroms ångström ångströms ångstrom angström \u212b"),
    "nanometer": ("nm", 1e-9, "nanometers nanometre nanometres"),
    # The micro sign, the Greek letter, what is written for want of both, and how ImageJ and Java escape them.
    "micrometer": (
        "\u00b5m",
        1e-6,
        "\u03bcm um \\u00b5m \\u03bcm micron microns micrometers micrometre micrometres \u00b5 \u03bc",
    ),
    "millimeter": ("mm", 1e-3, "millimeters millimetre millimetres"),
    "centimeter": ("cm", 1e-2, "centimeters centimetre centimetres"),
    "decimeter": ("dm", 1e-1, "decimeters decimetre decimetres"),
    "meter": ("m", 1.0, "meters metre metres"),
    "kilometer": ("km", 1e3, "kilometers kilometre kilometres"),
    "inch": ("in", 0.0254, 'inches "'),
    "foot": ("ft", 0.3048, "feet"),
}
_TIMES: dict[str, tuple[str, float, str]] = {
    "nanosecond": ("ns", 1e-9, "nanoseconds nsec"),
    "microsecond": ("\u00b5s", 1e-6, "\u03bcs us microseconds usec"),
    "millisecond": ("ms", 1e-3, "milliseconds msec"),
    "second": ("s", 1.0, "seconds sec secs"),
    "minute": ("min", 60.0, "minutes mins"),
    "hour": ("h", 3600.0, "hours hr hrs"),
    "day": ("d", 86400.0, "days"),
}
# A symbol says another thing in capitals (mm and Mm), a word does not.
_SYMBOLS = {symbol: name for table in (_LENGTHS, _TIMES) for name, (symbol, _, _) in table.items()}
_WORDS = {"å": "angstrom"} | {
    word: name
    for table in (_LENGTHS, _TIMES)
    for name, (_, _, words) in table.items()
    for word in (name, *words.split())
}


def unit_name(text: Any) -> str | None:
    """Return the one name of a unit of length or time, such as ``"micrometer"``; None for one that is not known."""
    text = str(text or "").strip()
    return _SYMBOLS.get(text) or _WORDS.get(text.lower())


def length_symbol(unit: Any) -> str | None:
    """Return OME's symbol of a unit of length, such as ``"µm"``; None where it is none."""
    name = unit_name(unit)
    return _LENGTHS[name][0] if name in _LENGTHS else None


def time_symbol(unit: Any) -> str | None:
    """Return OME's symbol of a unit of time, such as ``"s"``; None where it is none."""
    name = unit_name(unit)
    return _TIMES[name][0] if name in _TIMES else None


def length(value: Any) -> float | None:
    """Return the magnitude of a size, which programs that flip images make negative; None for what is no size."""
    try:
        size = abs(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if 0 < size < math.inf else None


def known_step(size: Any, unit: Any, *, time: bool = False) -> Step | None:
    """Return the size of a step in space or time with the name of its unit; None unless both are known."""
    number, name = length(size), unit_name(unit)
    if number is None or name not in (_TIMES if time else _LENGTHS):
        return None
    return number, str(name)


def known_size(sizes: Sequence[Any], units: Sequence[Any]) -> tuple[tuple[float, float] | None, str | None]:
    """Return the pixel size along (Y, X) in the unit of Y, and this unit; nothing unless all of it is known."""
    rows, columns = (known_step(size, unit) for size, unit in zip(sizes, units, strict=True))
    if rows is None or columns is None:
        return None, None
    if rows[1] == columns[1]:
        return (rows[0], columns[0]), rows[1]
    return (rows[0], columns[0] * _LENGTHS[columns[1]][1] / _LENGTHS[rows[1]][1]), rows[1]
