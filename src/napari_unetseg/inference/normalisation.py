"""From intensities of any type to what a network was trained on.

`percentile_range` is plain numpy, as `rescale` is, and serves the training too, so that a network meets
the same numbers in both places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.backends.intensities import halved, rescale
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import MeanStd, MinMax, Normalisation, Percentile

EXACT_PIXELS = 2**23
"""Values up to which percentiles are exact; above, they are those of a regular subsample."""

_STRIP = 2**24
_ROWS = 256

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
    values = np.asarray(pixels[..., ::step, ::step])
    if values.size and values.dtype.kind in "bui" and values.dtype.itemsize <= 2:
        bottom, top = _halved_percentiles_by_counting(values, low, high)
    elif (halves := _halved_finite(values)).size:
        bottom, top = np.percentile(halves, (low, high), overwrite_input=True)
    else:
        return _extremes(pixels)
    if top > bottom:
        return 2 * float(bottom), 2 * float(top)
    return _extremes(pixels)


def _halved_percentiles_by_counting(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Return what `np.percentile` gives of half the values, bit for bit, of integers of 16 bits or less.

    Counting how often each value occurs takes a tenth of the time that sorting them does.
    """
    least = int(values.min())
    upto = np.cumsum(np.bincount(values.ravel().astype(np.intp) - least))
    last = values.size - 1
    at = last * (np.array((low, high)) / 100)
    before = np.minimum(np.floor(at), last)
    below, above = (
        0.5 * (np.searchsorted(upto, np.minimum(index, last), side="right") + least) for index in (before, before + 1)
    )
    # As NumPy interpolates: from the nearer end.
    share, step = at - before, above - below
    return np.where(share < 0.5, below + step * share, above - step * (1 - share))


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


def _halved_finite(pixels: NDArray[Any]) -> NDArray[np.float64]:
    values = halved(pixels)
    return values[np.isfinite(values)] if pixels.dtype.kind == "f" else values.ravel()


def _extremes(pixels: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest finite value, without a copy of the image; both 0 if there is none."""
    found = [ends for strip in _strips(pixels) if (ends := _finite_extremes(strip)) is not None]
    if not found:
        return 0.0, 0.0
    lows, highs = zip(*found, strict=True)
    return float(min(lows)), float(max(highs))


def _finite_extremes(pixels: NDArray[Any]) -> tuple[Any, Any] | None:
    if pixels.dtype.kind != "f":
        return pixels.min(), pixels.max()
    finite = np.isfinite(pixels)
    if not finite.any():
        return None
    low, high = (extreme(pixels, where=finite, initial=pixels[finite][0]) for extreme in (np.min, np.max))
    return low, high


def _strips(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Read an image (..., Y, X) from top to bottom in pieces that need little memory."""
    rows = max(_STRIP // max(pixels.size // pixels.shape[-2], 1), 1)
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
        for start in range(0, len(rows), _ROWS):
            strip = rows[start : start + _ROWS, np.newaxis] - top
            found[:, start : start + _ROWS] = self._rescaled(window[:, strip, columns - left])
        return found

    def _rescaled(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return one plane for each channel, or one for all."""
        if len(self.ranges) > 1:
            channels = np.broadcast_to(pixels, (self.channels, *pixels.shape[1:]))
            return np.stack([rescale(plane, *ends) for plane, ends in zip(channels, self.ranges, strict=True)])
        values = rescale(pixels, *self.ranges[0])
        if len(values) in (1, self.channels):
            return values
        mean: NDArray[np.float32] = values.mean(axis=0, keepdims=True)
        return mean

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
    ends = [_extremes(plane) for plane in planes]
    lit = [index for index, (low, high) in enumerate(ends) if low < high]
    return planes[lit] if len(lit) == 1 else planes


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
    invalid = np.concatenate([~np.isfinite(strip).all(axis=0) for strip in _strips(planes)])
    return invalid if invalid.any() else None
