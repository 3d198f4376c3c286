"""What the numbers of a TIFF file mean to the eye: inverted greys, palettes, inks, and alpha."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE)
_COLOURED = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
# What is read as it is: greys, colours, and channels of a camera that somebody has taken apart.
_AS_STORED = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MASK, PHOTOMETRIC.LINEAR_RAW, *_COLOURED)
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_INK_SET_CMYK = 1


def as_picture(
    path: str | Path, array: NDArray[Any], axes: str, series: tifffile.TiffPageSeries
) -> tuple[NDArray[Any], str, bool]:
    """Return the pixels as the picture shows them, with their axes, and whether these are colours.

    Greys that are stored inverted are turned round, palettes and inks (CMYK) become RGB, and the alpha of a grey image
    is left out. ImageJ writes lookup tables and inverted greys for display alone: there, and for palettes of OME and
    microscopes' files, the numbers are what was measured.

    Parameters
    ----------
    path
        The file, for messages.
    array, axes
        Pixels as they are stored, S for the samples of a pixel.
    series
        What they were read from.

    Raises
    ------
    ImageError
        If the colours are of a kind that is not read.
    """
    photometric = _photometric(series)
    array, axes = without_alpha(array, axes, series)
    if photometric == PHOTOMETRIC.MINISWHITE:
        return _inverted(array, series.keyframe.bitspersample), axes, False
    if photometric == PHOTOMETRIC.PALETTE and series.keyframe.colormap is not None and array.dtype.kind in "bu":
        return _palette(series.keyframe.colormap)[array.astype(np.intp)], f"{axes}S", True
    if photometric == PHOTOMETRIC.SEPARATED and _is_cmyk(array, axes, series):
        inks = np.moveaxis(array, axes.index("S"), -1)
        return np.moveaxis(_rgb_of_inks(inks), -1, axes.index("S")), axes, True
    if photometric in (*_AS_STORED, PHOTOMETRIC.PALETTE) and not _is_raw_ycbcr(series):
        samples = array.shape[axes.index("S")] if "S" in axes else 1
        return array, axes, photometric in _COLOURED and samples in (3, 4)
    raise ImageError(
        Sentence(
            "{path}: its colours are stored as {kind}, which is not read; save it as RGB or grey.",
            path=path,
            kind=getattr(photometric, "name", photometric),
        )
    )


def picture_in_file(
    path: str | Path, array: LazyArray, axes: str, series: tifffile.TiffPageSeries
) -> tuple[LazyArray, str, bool]:
    """Do what `as_picture` does to pixels that stay in their file: to each part of them when it is read."""
    pixel = _one_pixel(array, axes)
    shown, shown_axes, rgb = as_picture(path, pixel, axes, series)
    if shown is pixel:
        return array, axes, rgb
    picture = _changed_when_read(array, axes, lambda part: as_picture(path, part, axes, series)[0], shown, shown_axes)
    return picture, shown_axes, rgb


def _one_pixel(array: LazyArray, axes: str) -> NDArray[Any]:
    """Return a pixel with all its samples, from which can be told what becomes of the others."""
    return np.zeros([length if axis == "S" else 1 for axis, length in zip(axes, array.shape, strict=True)], array.dtype)


def _changed_when_read(
    array: LazyArray,
    axes: str,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    changed_pixel: NDArray[Any],
    changed_axes: str,
) -> LazyArray:
    """Return an array of which each part is changed when it is read, whatever the samples of its pixels become."""
    lengths, chunks = (dict(zip(axes, values, strict=True)) for values in (array.shape, array.chunks))
    if "S" in changed_axes:
        lengths["S"] = chunks["S"] = changed_pixel.shape[changed_axes.index("S")]

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        spans = dict(zip(changed_axes, box, strict=True))
        samples = spans.pop("S", slice(None))
        part = np.asarray(array[tuple(spans.get(axis, slice(None)) for axis in axes)])
        return change(part)[tuple(samples if axis == "S" else slice(None) for axis in changed_axes)]

    shape, stored_in = (tuple(values[axis] for axis in changed_axes) for values in (lengths, chunks))
    return LazyArray(read, shape, changed_pixel.dtype, stored_in)


def _photometric(series: tifffile.TiffPageSeries) -> PHOTOMETRIC | int:
    """Return what the numbers mean, where they are not said to mean something for display alone."""
    found: PHOTOMETRIC | int = series.keyframe.photometric
    if found == PHOTOMETRIC.PALETTE and series.kind in ("imagej", "ome", "lsm", "stk"):
        return PHOTOMETRIC.MINISBLACK
    if found == PHOTOMETRIC.MINISWHITE and series.kind == "imagej":
        return PHOTOMETRIC.MINISBLACK
    return found


def without_alpha(array: NDArray[Any], axes: str, series: tifffile.TiffPageSeries) -> tuple[NDArray[Any], str]:
    """Leave out what says how opaque the pixels of a grey image are, and the axis of samples if one is left."""
    extra = series.keyframe.extrasamples
    if "S" not in axes or series.keyframe.photometric not in _GREY or not any(one in _ALPHA for one in extra):
        return array, axes
    axis = axes.index("S")
    first = array.shape[axis] - len(extra)
    kept = [sample for sample in range(array.shape[axis]) if sample < first or extra[sample - first] not in _ALPHA]
    if len(kept) == 1:
        return np.take(array, kept[0], axis), axes.replace("S", "")
    return np.take(array, kept, axis), axes


def _inverted(array: NDArray[Any], bits: int) -> NDArray[Any]:
    if array.dtype.kind == "u":
        array = np.subtract(2**bits - 1, array, dtype=array.dtype)
    else:
        array = np.negative(array) if array.dtype.kind == "f" else np.invert(array)
    return array


def _palette(colormap: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the colours of a palette, (N, 3). Some programs write them in 8 bits, where 16 are laid down."""
    colours = colormap.T if colormap.max() < 256 else colormap.T >> 8
    return colours.astype(np.uint8)


def _is_cmyk(array: NDArray[Any], axes: str, series: tifffile.TiffPageSeries) -> bool:
    ink_set = series.keyframe.tags.valueof("InkSet", default=_INK_SET_CMYK)
    four = "S" in axes and array.shape[axes.index("S")] == 4
    return four and ink_set == _INK_SET_CMYK and array.dtype in (np.uint8, np.uint16)


def _rgb_of_inks(inks: NDArray[Any]) -> NDArray[Any]:
    """Turn (..., 4) of cyan, magenta, yellow and black into (..., 3) of red, green and blue."""
    white = np.iinfo(inks.dtype).max
    light = (white - inks[..., :3].astype(np.float32)) * (white - inks[..., 3:].astype(np.float32)) / white
    return np.rint(light).astype(inks.dtype)


def _is_raw_ycbcr(series: tifffile.TiffPageSeries) -> bool:
    """Whether brightness and colour differences are stored without JPEG, whose decoder gives RGB."""
    page = series.keyframe
    return page.photometric == PHOTOMETRIC.YCBCR and "JPEG" not in str(getattr(page.compression, "name", ""))
