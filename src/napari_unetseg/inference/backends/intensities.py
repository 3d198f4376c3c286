"""Intensities of any type as numbers around 0 and 1: the one formula of the host, the devices and the training."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BOUND = 1e4
"""Rescaled values stay within this of 0. Only single extreme pixels on an almost constant image reach
it; without it they would overflow inside the network and spoil every pixel near them."""


def rescale(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Map `low` to 0 and `high` to 1, without clipping (but see `BOUND`).

    Returns
    -------
    float32 array of the same shape
        All zeros if low equals high. NaN and inf become 0.
    """
    span = high / 2 - low / 2
    if span == 0:
        return np.zeros(pixels.shape, np.float32)
    values = halved(pixels)
    values[~np.isfinite(values)] = low / 2
    values -= low / 2
    with np.errstate(over="ignore"):
        values /= span
    return np.clip(values, -BOUND, BOUND, out=values).astype(np.float32)


def halved(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return half the values, as float64: differences of any two of them cannot overflow."""
    values = pixels.astype(np.float64)
    values *= 0.5
    return values


def lookup_table(dtype: DTypeLike, low: float, high: float) -> NDArray[np.float32]:
    """Return what `rescale` gives of each value of a type of one or two bytes.

    Returns
    -------
    float32 array of 256 or 65536
        In the order of the values' bits, read as an unsigned integer.
    """
    kind = np.dtype(dtype)
    bits = np.arange(256**kind.itemsize, dtype=f"u{kind.itemsize}")
    with np.errstate(invalid="ignore"):  # among the floats are those that signal
        return rescale(bits != 0 if kind == np.bool_ else bits.view(kind), low, high)
