"""From intensities of any type to what a network was trained on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SkipValidation

from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.backends.intensities import lookup_table, rescale
from napari_unetseg.inference.backends.runs import Indices, runs
from napari_unetseg.inference.intensity_range import (
    count_invalid,
    extremes,
    full_range,
    invalid_pixels,
    native,
    percentile_range,
    pieces,
    sampling_step,
    varying_planes,
)
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.zoo.card import MeanStd, MinMax, Normalisation, Percentile

_AT_ONCE = 2**18
"""Pixels of a window that are converted together."""


class IntensityRanges(BaseModel):
    """What has to be known of a whole image before a part of it can be shown to a network, as plain values.

    Attributes
    ----------
    used
        The first of its channels that is used, and the one after the last.
    ranges
        Low and high intensity that become 0 and 1: one pair for all channels of the network's input,
        or one for each.
    invalid
        Number of pixels that are NaN or infinite in one of the used channels.
    warnings
        Sentences for the user.
    sampled
        Every how many rows and columns were looked at to find `ranges`; 1: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    used: tuple[int, int]
    ranges: tuple[tuple[float, float], ...]
    invalid: int = 0
    warnings: tuple[SkipValidation[str], ...] = ()  # which would take their translations from them
    sampled: int = 1


@dataclass(frozen=True)
class Normalised:
    """An image as the network will see it; pixels are converted where and when they are read.

    Attributes
    ----------
    planes
        The planes of the image that are used, (C, Y, X), in their own type.
    channels
        Channels of the network's input.
    found
        Which intensities become 0 and 1, and what else is known of the whole image.
    """

    planes: NDArray[Any]
    channels: int
    found: IntensityRanges

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """Low and high intensity that become 0 and 1; see `IntensityRanges`."""
        return self.found.ranges

    def read(self, rows: Indices, columns: Indices, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the pixels at `rows` x `columns` as float32 (channels, rows, columns), in `out` if it is given.

        An `out` of `distinct` channels gets these alone.
        """
        top, left = rows.min(), columns.min()
        # What is not in memory may know slices only.
        window = np.asarray(self.planes[:, top : rows.max() + 1, left : columns.max() + 1])
        found = np.empty((self.channels, len(rows), len(columns)), np.float32) if out is None else out
        # By strips, as the window need not be in memory a second time.
        step = max(_AT_ONCE // (len(window) * len(columns)), 1)
        for start in range(0, len(rows), step):
            strip = slice(start, start + step)
            pixels = _taken(_taken(window, 1, rows[strip] - top), 2, columns - left)
            self._rescale(pixels, found[:, strip])
        return found

    @property
    def distinct(self) -> int:
        """Number of channels that differ: 1 where the network sees one plane in all of them."""
        return 1 if len(self.ranges) == 1 and len(self.planes) != self.channels else self.channels

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
            self._tables.look_up(pixels, out)
        elif len(self.ranges) > 1:
            for ends, plane, channel in zip(self.ranges, np.broadcast_to(pixels, out.shape), out, strict=True):
                rescale(plane, *ends, out=channel)
        elif len(pixels) == len(out):
            rescale(pixels, *self.ranges[0], out=out)
        else:
            out[:] = rescale(pixels, *self.ranges[0])

    @cached_property
    def _tables(self) -> "_Tables | None":
        """What gives a pixel quicker than it is computed; None where there are too few, or too many values."""
        dtype = native(self.planes.dtype)
        if dtype.itemsize > 2 or self.planes.size < 2 * 256**dtype.itemsize:
            return None
        return _Tables([lookup_table(dtype, *ends) for ends in self.ranges], self.channels)

    @cached_property
    def raw(self) -> RawPixels | None:
        """What a device needs to do the same; None where the pixels are not in memory."""
        is_in_memory = isinstance(self.planes, np.ndarray) and not isinstance(self.planes, np.memmap)
        return RawPixels(self.planes, self.channels, self.ranges) if is_in_memory else None

    def invalid(self, part: Block) -> NDArray[np.bool_] | None:
        """Return where in these rows and columns a plane is NaN or infinite, bool; None if it is nowhere."""
        return invalid_pixels(np.asarray(self.planes[:, *part])) if self.found.invalid else None

    def clear_invalid(self, maps: NDArray[np.float32]) -> None:
        """Set maps (heads, Y, X) of the whole image to 0 where a plane is NaN or infinite."""
        if not self.found.invalid:
            return
        for part in pieces(self.planes):
            invalid = self.invalid(part)
            if invalid is not None:
                maps[:, *part][:, invalid] = 0

    @cached_property
    def array(self) -> NDArray[np.float32]:
        """The whole image, float32 (channels, Y, X)."""
        height, width = self.planes.shape[1:]
        return self.read(np.arange(height), np.arange(width))


class _Tables:
    """What `rescale` gives of each value, in the order of its bits: a table for each channel, or one for all."""

    def __init__(self, tables: list[NDArray[np.float32]], channels: int) -> None:
        self._tables = tables
        self._channels = channels

    @cached_property
    def _side_by_side(self) -> NDArray[np.float32]:
        return np.stack(self._of_each(self._channels), axis=1)

    def _of_each(self, channels: int) -> list[NDArray[np.float32]]:
        return self._tables * channels if len(self._tables) == 1 else self._tables

    def look_up(self, pixels: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Write the values of each plane to its channel of `out`, or those of one plane to all."""
        places = pixels.astype(native(pixels.dtype), copy=False).view(f"u{pixels.itemsize}")
        # What lies in memory pixel by pixel is written so, in one go.
        by_pixel = out.transpose(1, 2, 0) if out.strides[0] < out.strides[2] else None
        if by_pixel is not None and len(places) == 1:
            np.take(self._side_by_side, places[0], axis=0, out=by_pixel, mode="clip")
        elif by_pixel is not None and len(self._tables) == 1:
            np.take(self._tables[0], places.transpose(1, 2, 0), out=by_pixel, mode="clip")
        else:
            for table, plane, channel in zip(
                self._of_each(len(out)), np.broadcast_to(places, out.shape), out, strict=True
            ):
                np.take(table, plane, out=channel, mode="clip")


def _mean(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of planes, as `np.mean` does it but plane by plane."""
    total: NDArray[np.float32] = planes[0].copy()
    for plane in planes[1:]:
        total += plane
    total /= np.float32(len(planes))
    return total


def _taken(planes: NDArray[Any], axis: int, indices: Indices) -> NDArray[Any]:
    """Take rows or columns; a view where they follow each other."""
    parts = []
    for first, last in runs(indices):
        ends = slice(min(first, last), max(first, last) + 1)
        part = planes[:, ends] if axis == 1 else planes[:, :, ends]
        parts.append(part if first <= last else np.flip(part, axis))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def normalise(
    image: Image, normalisation: Normalisation, channels: int, found: IntensityRanges | None = None
) -> Normalised:
    """Prepare an image for a network with that many input channels.

    Percentiles and extremes are those of all used planes together, so that the ratio of the colours stays.
    Alpha is dropped; a grey image is repeated for a network with three channels; an RGB image is
    averaged for a network with one. An RGB image of which two channels are empty, such as fluorescence
    saved in blue, is the grey image of the third, where percentiles are used. Of an image with other
    channels the first is used, with a warning, unless there are exactly as many as the network takes.
    Pixels without a value become the intensity that maps to 0.

    Parameters
    ----------
    image
        One plane.
    normalisation, channels
        As the model's card has them.
    found
        What `find_ranges` found of this image. Its pixels are then left where they are until they are read, as who
        knows it already needs a part of them. None: it is found now, and an image that is not too large is read whole.
    """
    if found is not None:
        return Normalised(image.channels_first[slice(*found.used)], channels, found)
    used, warnings = _choose_planes(image, channels)
    planes = image.channels_first[slice(*used)]
    if planes.size * planes.dtype.itemsize <= READ_AT_ONCE:
        planes = np.asarray(planes)
    found = _found(image, planes, normalisation, used, warnings)
    return Normalised(planes[slice(*(end - used[0] for end in found.used))], channels, found)


def find_ranges(image: Image, normalisation: Normalisation, channels: int) -> IntensityRanges:
    """Find what `normalise` has to know of the whole image, for those who then normalise parts of it.

    It is read in pieces: no more than one of them is in memory, and what percentiles are taken of.
    """
    used, warnings = _choose_planes(image, channels)
    return _found(image, image.channels_first[slice(*used)], normalisation, used, warnings)


def _found(
    image: Image,
    planes: NDArray[Any],
    normalisation: Normalisation,
    used: tuple[int, int],
    warnings: tuple[str, ...],
) -> IntensityRanges:
    """Find it of the chosen planes, (C, Y, X)."""
    if image.rgb and isinstance(normalisation, Percentile):
        # Where the others are of one value, the one that shows something.
        lit = varying_planes(planes)
        if len(lit) == 1:
            used = (lit[0], lit[0] + 1)
            planes = planes[slice(*used)]
    invalid = count_invalid(planes)
    if invalid:
        warnings += (
            Sentence(
                "{image}: {count} of {total} pixels are NaN or infinite; they are taken as background.",
                image=image.name,
                count=invalid,
                total=planes.shape[-2] * planes.shape[-1],
            ),
        )
    if isinstance(normalisation, MeanStd):
        ranges, remarks = _mean_std_ranges(planes, normalisation)
        warnings += tuple(Sentence("{image}: {remark}", image=image.name, remark=sentence) for sentence in remarks)
    elif isinstance(normalisation, MinMax):
        ranges = (extremes(planes),)
    else:
        ranges = (percentile_range(planes, normalisation.low, normalisation.high),)
    sampled = sampling_step(planes.size) if isinstance(normalisation, Percentile) else 1
    return IntensityRanges(used=used, ranges=ranges, invalid=invalid, warnings=warnings, sampled=sampled)


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


def _choose_planes(image: Image, channels: int) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return the first channel that is used and the one after the last, and what the user should know about it."""
    count = int(image.array.shape[image.axes.index("C")]) if "C" in image.axes else 1
    if count == 1:
        return (0, 1), ()
    if image.rgb and count in (3, 4):
        return (0, 3), ()
    if count == channels and (image.chosen or channels != 3):
        return (0, count), ()
    if count == channels:
        return (0, count), (
            Sentence(
                "{image}: its {n} channels are taken as red, green and blue. "
                "Choose a channel if it is one of them that shows the objects.",
                image=image.name,
                n=count,
            ),
        )
    return (0, 1), (
        Sentence(
            "{image}: only the first of its {n} channels is segmented. Choose a channel to segment another.",
            image=image.name,
            n=count,
        ),
    )
