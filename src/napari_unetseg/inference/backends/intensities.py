"""Intensities of any type as numbers around 0 and 1: the one formula of the host, the devices and the training."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BOUND = 1e4
"""Rescaled values stay within this of 0. Only single extreme pixels on an almost constant image reach
it; without it they would overflow inside the network and spoil every pixel near them."""

LIMITS = -BOUND, BOUND

_AT_ONCE = 2**15


def rescale(
    pixels: NDArray[Any],
    low: float,
    high: float,
    out: NDArray[np.float32] | None = None,
    limits: tuple[float, float] = LIMITS,
) -> NDArray[np.float32]:
    """Map `low` to 0 and `high` to 1; what would lie beyond `limits` is set to them.

    Returns
    -------
    float32 array of the same shape, `out` if it is given
        All zeros if low equals high. NaN and inf become 0. A 0 beyond `limits` becomes the nearer of them.
    """
    result = np.empty_like(pixels, np.float32, subok=False) if out is None else out
    span = high / 2 - low / 2
    if span == 0 or pixels.size == 0:
        result[...] = np.clip(0, *limits)
        return result
    values = np.empty(min(_AT_ONCE, pixels.size))
    # Piece by piece, so that all steps but the first find the pixels in the processor's cache.
    pieces = np.nditer(
        [pixels, result],
        ["external_loop", "buffered"],
        [["readonly"], ["writeonly"]],
        [np.dtype(np.float64), np.dtype(np.float32)],
        casting="same_kind",
        buffersize=_AT_ONCE,
    )
    with pieces, np.errstate(over="ignore"):
        for piece, rescaled in pieces:
            part = np.multiply(piece, 0.5, out=values[: len(piece)])
            if pixels.dtype.kind == "f" and not (finite := np.isfinite(part)).all():
                part[~finite] = low / 2
            part -= low / 2
            part /= span
            rescaled[...] = np.clip(part, *limits, out=part)
    return result


def halved(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return half the values, as float64: differences of any two of them cannot overflow."""
    values = pixels.astype(np.float64)
    values *= 0.5
    return values


def lookup_table(
    dtype: DTypeLike, low: float, high: float, limits: tuple[float, float] = LIMITS
) -> NDArray[np.float32]:
    """Return what `rescale` gives of each value of a type of one or two bytes.

    Returns
    -------
    float32 array of 256 or 65536
        In the order of the values' bits, read as an unsigned integer.
    """
    kind = np.dtype(dtype)
    bits = np.arange(256**kind.itemsize, dtype=f"u{kind.itemsize}")
    with np.errstate(invalid="ignore"):  # among the floats are those that signal
        return rescale(bits != 0 if kind == np.bool_ else bits.view(kind), low, high, limits=limits)
