"""What intensities an image has: its ends, its percentiles, and where there are none.

All of it is plain numpy and serves the training too, so that a network meets the same numbers in both places.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.inference.backends.intensities import halved
from napari_unetseg.postprocessing.blocks import Block

EXACT_PIXELS = 2**23
"""Values up to which percentiles are exact; above, they are those of a regular subsample."""

_PIECE = 2**24
"""Values of what is not in memory that are read together."""

_IN_CACHE = 2**18
"""Values that are looked at more than once before the next ones are."""

_A_LOOK = 2**13
"""Values among which there are nearly always two that differ, if there are any."""

_PAIRS_PAY = 2**17
"""Bytes from which it is quicker to count 65536 pairs of them."""

_STEPS = 2.0**26
"""Steps into which the range of an image is divided for its mean, about the precision of float32."""

_INTEGER_ENDS = (255.0, 4095.0, 65535.0)


def percentile_range(pixels: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """Return the `low` and `high` percentile of the finite pixels.

    Where both percentiles coincide although the image is not constant (few objects on a background
    of exactly one value), the smallest and largest value are returned instead.

    Parameters
    ----------
    pixels
        (..., Y, X), bool, integers or floats. Above `EXACT_PIXELS` values, every k-th row and column
        is used, k being `sampling_step`.
    low, high
        Percentiles, 0 to 100, linearly interpolated.

    Returns
    -------
    tuple of float
        Low and high; both 0 if no pixel is finite.
    """
    step = sampling_step(pixels.size)
    values = np.asarray(pixels[..., ::step, ::step]).ravel(order="K")
    values = values.astype(native(values.dtype), copy=False)
    if values.dtype.kind in "bui" and values.dtype.itemsize <= 2:
        bottom, top = _halved_percentiles(_ranked_by_counting, values, low, high)
    elif (finite := _finite(values)).size:
        bottom, top = _halved_percentiles(_ranked, finite, low, high)
    else:
        return extremes(pixels)
    if top > bottom:
        return 2 * float(bottom), 2 * float(top)
    return extremes(pixels)


def _halved_percentiles(
    ranked: Callable[[NDArray[Any], list[int]], Sequence[Any]], values: NDArray[Any], low: float, high: float
) -> NDArray[np.float64]:
    """Return what `np.percentile` gives of half the values, bit for bit.

    `ranked` finds the values that would stand at some places if all were sorted, in a fraction of the time.
    """
    last = values.size - 1
    at = last * (np.array((low, high)) / 100)
    before = np.minimum(np.floor(at), last)
    places = np.minimum(np.concatenate([before, before + 1]), last).astype(np.intp)
    below, above = halved(np.array(ranked(values, places.tolist()))).reshape(2, 2)
    # As NumPy interpolates: from the nearer end.
    share, step = at - before, above - below
    return np.where(share < 0.5, below + step * share, above - step * (1 - share))


def _ranked_by_counting(values: NDArray[Any], places: list[int]) -> list[int]:
    """Return what would stand at these places of the sorted values, integers of 16 bits or less."""
    if values.dtype.kind != "i" and values.itemsize == 1 and len(values) > _PAIRS_PAY:
        least, counts = 0, _counts_of_bytes(values.view(np.uint8))
    else:
        least = int(values.min())
        counts = _counts(values, least, int(values.max()))
    found: list[int] = (np.searchsorted(np.cumsum(counts), places, side="right") + least).tolist()
    return found


def _counts(values: NDArray[Any], least: int, most: int) -> NDArray[np.intp]:
    """Return how often each integer occurs."""
    counts = np.zeros(most - least + 1, np.intp)
    # Piece by piece, as NumPy counts in a wide copy.
    for start in range(0, len(values), _IN_CACHE):
        part = np.bincount(values[start : start + _IN_CACHE].astype(np.intp) - least)
        counts[: len(part)] += part
    return counts


def _counts_of_bytes(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return how often each byte occurs, of many bytes: two are counted at once."""
    even = len(values) // 2 * 2
    pairs = _counts(np.ascontiguousarray(values[:even]).view(np.uint16), 0, 2**16 - 1).reshape(2**8, 2**8)
    counts = _counts(values[even:], 0, 2**8 - 1)
    counts += pairs.sum(axis=0)
    counts += pairs.sum(axis=1)
    return counts


def _ranked(values: NDArray[Any], places: list[int]) -> list[Any]:
    """Return what would stand at these places of the sorted values, none of which is NaN."""
    rest, start = values.copy(), 0
    found = {}
    # One after the other, which NumPy does much faster than all at once.
    for place in sorted(set(places)):
        if place == start:
            found[place] = rest.min()
        else:
            rest.partition(place - start)
            found[place] = rest[place - start]
            rest, start = rest[place - start + 1 :], place + 1
    return [found[place] for place in places]


def sampling_step(size: int) -> int:
    """Return k where every k-th row and column of an image of so many values are looked at for its percentiles."""
    return int(np.ceil(np.sqrt(size / EXACT_PIXELS))) if size > EXACT_PIXELS else 1


def full_range(pixels: NDArray[Any]) -> float:
    """Return the intensity that is full white: what a network that expects 0..1 should see as 1.

    For integers the end of 8, 12 or 16 bits (255, 4095, 65535), whichever holds the brightest pixel:
    8-bit images always end at 255, and of 16-bit files those of a 12-bit camera at 4095. Brighter
    integers end at the brightest. Floats within 0..1 end at 1, others at the brightest.
    """
    highest = extremes(pixels)[1]
    if pixels.dtype.kind == "f" or pixels.dtype.kind == "b":
        return max(highest, 1.0)
    return next((end for end in _INTEGER_ENDS if highest <= end), highest)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type with its bytes in the order of this machine."""
    return dtype.newbyteorder("=")


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """Drop NaN and inf; of floats, what float32 or float64 can hold is left."""
    if values.dtype.kind != "f":
        return values
    values = values.astype(np.float32 if values.itemsize <= 4 else np.float64, copy=False)
    return values if _ends_if_finite(values) is not None else values[np.isfinite(values)]


def extremes(pixels: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest finite value, without a copy of the image; both 0 if there is none."""
    read = (np.asarray(pixels[..., rows, columns]) for rows, columns in pieces(pixels))
    found = [ends for piece in read if (ends := _finite_extremes(piece)) is not None]
    if not found:
        return 0.0, 0.0
    lows, highs = zip(*found, strict=True)
    return float(min(lows)), float(max(highs))


def moments(pixels: NDArray[Any]) -> tuple[float, float]:
    """Return mean and standard deviation of the finite pixels; both 0 if there is none.

    They are sums of whole numbers, so that they are the same to the last bit in whatever pieces an image is read:
    integers of up to 16 bits as they are, all else in steps of a 2^26th of the range of the image.

    Parameters
    ----------
    pixels
        (..., Y, X), bool, integers or floats.
    """
    is_small = pixels.dtype.kind in "bui" and pixels.dtype.itemsize <= 2
    low, high = (0.0, 1.0) if is_small else extremes(pixels)
    step = 1.0 if is_small else high / _STEPS - low / _STEPS
    if step == 0:
        return low, 0.0
    count = total = squares = 0
    for rows, columns in pieces(pixels):
        values = np.asarray(pixels[..., rows, columns]).ravel()
        for start in range(0, len(values), _IN_CACHE):
            part = values[start : start + _IN_CACHE]
            whole = part.astype(np.int64) if is_small else _in_steps(part, low, step)
            count += len(whole)
            total += int(whole.sum())
            squares += _sum_of_squares(whole)
    mean = total / count
    # Whole numbers up to here, as a difference of large floats would lose the small one between them.
    variance = (squares * count - total * total) / (count * count)
    return low + mean * step, math.sqrt(variance) * step


def _in_steps(values: NDArray[Any], low: float, step: float) -> NDArray[np.int64]:
    """Return how many steps above `low` the finite values are."""
    wide = values.astype(np.float64)
    if values.dtype.kind == "f":
        wide = wide[np.isfinite(wide)]
    halves = wide * 0.5  # differences of any two of which cannot overflow
    return np.rint((halves - low / 2) / (step / 2)).astype(np.int64)


def _sum_of_squares(whole: NDArray[np.int64]) -> int:
    """Return the sum of the squares of numbers below 2^27, none of whose parts overflows."""
    upper, lower = whole >> 13, whole & (2**13 - 1)
    parts = ((upper * upper).sum(), (upper * lower).sum(), (lower * lower).sum())
    highest, middle, lowest = (int(part) for part in parts)
    return (highest << 26) + (middle << 14) + lowest


def _finite_extremes(pixels: NDArray[Any]) -> tuple[Any, Any] | None:
    ends = _ends_if_finite(pixels)
    if ends is not None:
        return ends
    finite = np.isfinite(pixels)
    if not finite.any():
        return None
    low, high = (extreme(pixels, where=finite, initial=pixels[finite][0]) for extreme in (np.min, np.max))
    return low, high


def _ends_if_finite(pixels: NDArray[Any]) -> tuple[Any, Any] | None:
    """Return the smallest and the largest of some pixels, None if one is NaN or infinite."""
    if pixels.size == 0:
        return None
    with np.errstate(invalid="ignore"):
        low, high = pixels.min(), pixels.max()
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None


def pieces(pixels: NDArray[Any], in_memory: int = _IN_CACHE, elsewhere: int = _PIECE) -> Iterator[Block]:
    """Divide an image (..., Y, X) into rows and columns that are read together, from top to bottom.

    They have about so many values: of what is in memory those of `in_memory`, of anything else those of `elsewhere`, in
    whole chunks.
    """
    height, width = pixels.shape[-2:]
    planes = max(pixels.size // (height * width), 1)
    if isinstance(pixels, np.ndarray):
        rows, columns = max(in_memory // (planes * width), 1), width
    else:
        down, across = (_chunk_length(pixels, axis) for axis in (-2, -1))
        columns = min(_whole_chunks(math.isqrt(elsewhere // planes), across), width)
        rows = _whole_chunks(elsewhere // (planes * columns), down)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))


def _chunk_length(pixels: Any, axis: int) -> int:
    """Return how long a chunk is along an axis; 1 where that is not known."""
    chunks = getattr(pixels, "chunks", None)
    length = chunks[axis] if chunks is not None else 1
    return int(length[0] if isinstance(length, tuple) else length)  # dask names all of them


def _whole_chunks(length: int, chunk: int) -> int:
    """Return the largest number of pixels up to `length` that are whole chunks, but at least one of them."""
    return max(length // chunk, 1) * chunk


def varying_planes(planes: NDArray[Any]) -> list[int]:
    """Return which planes of (C, Y, X) have finite pixels of more than one value; read as far as that takes."""
    ends: list[tuple[Any, Any] | None] = [None] * len(planes)
    alike = list(range(len(planes)))
    for part in pieces(planes, _A_LOOK, _PIECE // 16):
        pixels = np.asarray(planes[:, *part])
        for index in alike:
            found = [one for one in (ends[index], _finite_extremes(pixels[index])) if one is not None]
            if found:
                ends[index] = min(low for low, _ in found), max(high for _, high in found)
        alike = [index for index in alike if (one := ends[index]) is None or one[0] == one[1]]
        if not alike:
            break
    return [index for index in range(len(planes)) if index not in alike]


def invalid_pixels(planes: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where a plane of (C, Y, X) is NaN or infinite, bool (Y, X); None if there is no such pixel."""
    if planes.dtype.kind != "f" or _ends_if_finite(planes) is not None:
        return None
    invalid: NDArray[np.bool_] = ~np.isfinite(planes).all(axis=0)
    return invalid if invalid.any() else None


def count_invalid(planes: NDArray[Any]) -> int:
    """Return at how many pixels a plane of (C, Y, X) is NaN or infinite."""
    if planes.dtype.kind != "f":
        return 0
    masks = (invalid_pixels(np.asarray(planes[:, *part])) for part in pieces(planes))
    return sum(int(np.count_nonzero(mask)) for mask in masks if mask is not None)
