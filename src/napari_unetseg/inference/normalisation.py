"""From intensities of any type to what a network was trained on.

`percentile_range` is plain numpy, as `rescale` is, and serves the training too, so that a network meets
the same numbers in both places.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.backends.intensities import halved, lookup_table, rescale
from napari_unetseg.inference.backends.runs import runs
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import MeanStd, MinMax, Normalisation, Percentile

EXACT_PIXELS = 2**23
"""Values up to which percentiles are exact; above, they are those of a regular subsample."""

_STRIP = 2**24
_IN_CACHE = 2**18
"""Pixels that are looked at more than once before the next ones are."""

_PAIRS_PAY = 2**17
"""Bytes from which it is quicker to count 65536 pairs of them."""

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
    values = values.astype(_native(values.dtype), copy=False)
    if values.dtype.kind in "bui" and values.dtype.itemsize <= 2:
        bottom, top = _halved_percentiles(_ranked_by_counting, values, low, high)
    elif (finite := _finite(values)).size:
        bottom, top = _halved_percentiles(_ranked, finite, low, high)
    else:
        return _extremes(pixels)
    if top > bottom:
        return 2 * float(bottom), 2 * float(top)
    return _extremes(pixels)


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
    highest = _extremes(pixels)[1]
    if pixels.dtype.kind == "f" or pixels.dtype.kind == "b":
        return max(highest, 1.0)
    return next((end for end in _INTEGER_ENDS if highest <= end), highest)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type with its bytes in the order of this machine."""
    return dtype.newbyteorder("=")


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """Drop NaN and inf; of floats, what float32 or float64 can hold is left."""
    if values.dtype.kind != "f":
        return values
    values = values.astype(np.float32 if values.itemsize <= 4 else np.float64, copy=False)
    return values if _ends_if_finite(values) is not None else values[np.isfinite(values)]


def _extremes(pixels: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest finite value, without a copy of the image; both 0 if there is none."""
    found = [ends for strip in _strips(pixels) if (ends := _finite_extremes(strip)) is not None]
    if not found:
        return 0.0, 0.0
    lows, highs = zip(*found, strict=True)
    return float(min(lows)), float(max(highs))


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


def _strips(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Read an image (..., Y, X) from top to bottom in pieces that need little memory."""
    values = _IN_CACHE if isinstance(pixels, np.ndarray) else _STRIP
    rows = max(values // max(pixels.size // pixels.shape[-2], 1), 1)
    for start in range(0, pixels.shape[-2], rows):
        yield np.asarray(pixels[..., start : start + rows, :])


@dataclass(frozen=True)
class Normalised:
    """An image as the network will see it; pixels are converted where and when they are read.

    Attributes
    ----------
    planes
        The planes of the image that are used, (C, Y, X), in their own type.
    channels
        Channels of the network's input.
    ranges
        Low and high intensity that become 0 and 1: one pair for all channels of the network's input,
        or one for each.
    invalid
        bool (Y, X), True where a plane is NaN or infinite; None if there is no such pixel.
    warnings
        Sentences for the user.
    sampled
        Every how many rows and columns were looked at to find `ranges`; 1: all.
    """

    planes: NDArray[Any]
    channels: int
    ranges: tuple[tuple[float, float], ...]
    invalid: NDArray[np.bool_] | None
    warnings: tuple[str, ...]
    sampled: int = 1

    def read(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return the pixels at `rows` x `columns` as float32 (channels, rows, columns), in `out` if it is given."""
        top, left = rows.min(), columns.min()
        # What is not in memory may know slices only.
        window = np.asarray(self.planes[:, top : rows.max() + 1, left : columns.max() + 1])
        found = np.empty((self.channels, len(rows), len(columns)), np.float32) if out is None else out
        # By strips, as the window need not be in memory a second time.
        step = max(_IN_CACHE // (len(window) * len(columns)), 1)
        for start in range(0, len(rows), step):
            strip = slice(start, start + step)
            pixels = _taken(_taken(window, 1, rows[strip] - top), 2, columns - left)
            self._rescale(pixels, found[:, strip])
        return found

    def _rescale(self, pixels: NDArray[Any], out: NDArray[np.float32]) -> None:
        if len(self.ranges) == 1 and len(pixels) not in (1, self.channels):
            values = np.empty_like(pixels, np.float32)
            self._rescale_planes(pixels, values)
            out[:] = _mean(values)
        else:
            self._rescale_planes(pixels, out)

    def _rescale_planes(self, pixels: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Bring each plane to its channel, or one plane to all."""
        if self._tables is not None:
            _look_up(self._tables, pixels, out)
        elif len(self.ranges) > 1:
            for ends, plane, channel in zip(self.ranges, np.broadcast_to(pixels, out.shape), out, strict=True):
                rescale(plane, *ends, out=channel)
        elif len(pixels) == len(out):
            rescale(pixels, *self.ranges[0], out=out)
        else:
            out[:] = rescale(pixels, *self.ranges[0])

    @cached_property
    def _tables(self) -> NDArray[np.float32] | None:
        """What `rescale` gives of each value, a column for each of `ranges`; None where to compute it is quicker."""
        dtype = _native(self.planes.dtype)
        if dtype.itemsize > 2 or self.planes.size < 2 * 256**dtype.itemsize:
            return None
        return np.stack([lookup_table(dtype, *ends) for ends in self.ranges], axis=1)

    @cached_property
    def raw(self) -> RawPixels | None:
        """What a device needs to do the same; None where the pixels are not in memory."""
        is_in_memory = isinstance(self.planes, np.ndarray) and not isinstance(self.planes, np.memmap)
        return RawPixels(self.planes, self.channels, self.ranges) if is_in_memory else None

    @cached_property
    def array(self) -> NDArray[np.float32]:
        """The whole image, float32 (channels, Y, X)."""
        height, width = self.planes.shape[1:]
        return self.read(np.arange(height), np.arange(width))


def _look_up(tables: NDArray[np.float32], pixels: NDArray[Any], out: NDArray[np.float32]) -> None:
    """Write what tables of bits say of planes: each to its channel of `out`, or one to all."""
    places = pixels.astype(_native(pixels.dtype), copy=False).view(f"u{pixels.itemsize}")
    has_channels_last = out.strides[0] < out.strides[2]
    if has_channels_last and len(places) == 1:
        columns = np.ascontiguousarray(np.broadcast_to(tables, (len(tables), len(out))))
        np.take(columns, places[0], axis=0, out=out.transpose(1, 2, 0), mode="clip")
    elif has_channels_last and tables.shape[1] == 1:
        np.take(tables[:, 0], places.transpose(1, 2, 0), out=out.transpose(1, 2, 0), mode="clip")
    else:
        columns = np.broadcast_to(tables, (len(tables), len(out))).T
        for column, plane, channel in zip(columns, np.broadcast_to(places, out.shape), out, strict=True):
            np.take(column, plane, out=channel, mode="clip")


def _mean(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of planes, as `np.mean` does it but plane by plane."""
    total: NDArray[np.float32] = planes[0].copy()
    for plane in planes[1:]:
        total += plane
    total /= np.float32(len(planes))
    return total


def _taken(planes: NDArray[Any], axis: int, indices: NDArray[np.intp]) -> NDArray[Any]:
    """Take rows or columns; a view where they follow each other."""
    parts = []
    for first, last in runs(indices):
        ends = slice(min(first, last), max(first, last) + 1)
        part = planes[:, ends] if axis == 1 else planes[:, :, ends]
        parts.append(part if first <= last else np.flip(part, axis))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def normalise(image: Image, normalisation: Normalisation, channels: int) -> Normalised:
    """Prepare an image for a network with that many input channels.

    Percentiles and extremes are those of all used planes together, so that the ratio of the colours stays.
    Alpha is dropped; a grey image is repeated for a network with three channels; an RGB image is
    averaged for a network with one. An RGB image of which two channels are empty, such as fluorescence
    saved in blue, is the grey image of the third, where percentiles are used. Of an image with other
    channels the first is used, with a warning, unless there are exactly as many as the network takes.
    Pixels without a value become the intensity that maps to 0.
    """
    planes, warnings = _choose_planes(image, channels)
    if planes.nbytes <= READ_AT_ONCE:
        planes = np.asarray(planes)
    if image.rgb and isinstance(normalisation, Percentile):
        planes = _lit_channel(planes)
    invalid = _invalid_pixels(planes)
    if invalid is not None:
        count = int(np.count_nonzero(invalid))
        warnings += (
            Sentence(
                "{image}: {count} of {total} pixels are NaN or infinite; they are taken as background.",
                image=image.name,
                count=count,
                total=invalid.size,
            ),
        )
    if isinstance(normalisation, MeanStd):
        ranges, remarks = _mean_std_ranges(planes, normalisation)
        warnings += tuple(Sentence("{image}: {remark}", image=image.name, remark=sentence) for sentence in remarks)
    elif isinstance(normalisation, MinMax):
        ranges = (_extremes(planes),)
    else:
        ranges = (percentile_range(planes, normalisation.low, normalisation.high),)
    sampled = sampling_step(planes.size) if isinstance(normalisation, Percentile) else 1
    return Normalised(planes, channels, ranges, invalid, warnings, sampled)


def _lit_channel(planes: NDArray[Any]) -> NDArray[Any]:
    """Give the one channel that shows something, (1, Y, X), where the others are of one value; else all."""
    lit = [index for index, plane in enumerate(planes) if _varies(plane)]
    return planes[lit] if len(lit) == 1 else planes


def _varies(plane: NDArray[Any]) -> bool:
    """Whether the finite pixels of (Y, X) have more than one value; it is read only as far as that takes."""
    lows, highs = [], []
    for strip in _strips(plane):
        ends = _finite_extremes(strip)
        if ends is not None:
            lows.append(ends[0])
            highs.append(ends[1])
            if min(lows) < max(highs):
                return True
    return False


def _mean_std_ranges(
    planes: NDArray[Any], normalisation: MeanStd
) -> tuple[tuple[tuple[float, float], ...], tuple[str, ...]]:
    """Say which intensities become 0 and 1, and what the user should know about it."""
    white = full_range(planes)
    remarks: tuple[str, ...] = ()
    if planes.dtype.kind in "iu" and white != np.iinfo(planes.dtype).max:
        remarks = (
            Sentence(
                "no pixel of this {type} image is above {white:g}, which is taken as full white.",
                type=planes.dtype,
                white=white,
            ),
        )
    pairs = zip(normalisation.mean, normalisation.std, strict=True)
    return tuple((mean * white, (mean + std) * white) for mean, std in pairs), remarks


def _choose_planes(image: Image, channels: int) -> tuple[NDArray[Any], tuple[str, ...]]:
    planes = image.channels_first
    if len(planes) == 1:
        return planes, ()
    if image.rgb and len(planes) in (3, 4):
        return planes[:3], ()
    count = len(planes)
    if count == channels:
        return planes, (
            Sentence(
                "{image}: its {n} channels are taken as red, green and blue. "
                "Choose a channel if it is one of them that shows the objects.",
                image=image.name,
                n=count,
            ),
        )
    return planes[:1], (
        Sentence(
            "{image}: only the first of its {n} channels is segmented. Choose a channel to segment another.",
            image=image.name,
            n=count,
        ),
    )


def _invalid_pixels(planes: NDArray[Any]) -> NDArray[np.bool_] | None:
    if planes.dtype.kind != "f":
        return None
    invalid, top = None, 0
    for strip in _strips(planes):
        bottom = top + strip.shape[-2]
        if _ends_if_finite(strip) is None:
            if invalid is None:
                invalid = np.zeros(planes.shape[1:], np.bool_)
            invalid[top:bottom] = ~np.isfinite(strip).all(axis=0)
        top = bottom
    return invalid
