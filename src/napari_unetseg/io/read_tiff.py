"""Read a TIFF file: the plane it holds, or the stack whose axes it states, with their sizes."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.io.levels import Level, level_number
from napari_unetseg.io.mapped_pixels import mapped_pixels
from napari_unetseg.io.tiff_channels import read_channel_names
from napari_unetseg.io.tiff_colours import as_picture, picture_in_file, without_alpha
from napari_unetseg.io.tiff_sizes import read_sizes
from napari_unetseg.io.tiff_tiles import tiled_pixels
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

Pixels = NDArray[Any] | LazyArray

# What the axes can be that a file states: tifffile's letters, where S are samples of a pixel.
_STATED = "TZCYXS"
# So many times smaller than the image, and as long and wide, is the thumbnail that programs add without a mark.
_THUMBNAIL = 8
_REDUCED = tifffile.FILETYPE.REDUCEDIMAGE
# Pictures beside the image that slide scanners name.
_SIDE_PICTURES = ("thumbnail", "label", "macro", "map", "overview")


def read_tiff(path: Path, named: str | None = None, *, stored: bool = False, level: int | str = 0) -> Image:
    """Read a TIFF file that holds one plane, or a stack whose axes the file states or somebody names.

    The pixels of a file that is too large to be read at once stay in it until they are needed, compressed or not.
    `read_sizes` and `as_picture` say how sizes and colours are read.

    Parameters
    ----------
    path
        The file.
    named
        Its axes as an `Image` has them, in their order in the file; axes of length one may be left out. Where the file
        states the same axes in another order, the file is right. None: those that the file states.
    stored
        Whether to read the numbers as they are stored, such as the indices of a palette, which are the labels of a
        label image.
    level
        Of a pyramid, as `level_number` takes it: 0 is full resolution.

    Raises
    ------
    ImageError
        If there is more than one plane and the axes are neither stated nor named, if their number is not that of the
        file, if there is more than one image, if the colours are of a kind that is not read, or if there is no such
        level.
    """
    with tifffile.TiffFile(path) as file:
        return tiff_image(file, path, named, stored=stored, level=level)


def tiff_image(
    file: tifffile.TiffFile, path: str | Path, named: str | None = None, *, stored: bool = False, level: int | str = 0
) -> Image:
    """Read an open TIFF file, as `read_tiff` does.

    Parameters
    ----------
    file
        It may be in memory.
    path
        Of the file; of one in memory, what messages call it.
    named, stored, level
        As `read_tiff` takes them.

    Raises
    ------
    ImageError
        As `read_tiff` does.
    """
    whole, name = _only_image(path, file), Path(path).name
    sizes = read_sizes(file, name)
    at_levels = [sizes.seen_at(_extent(series), _extent(whole)) for series in whole.levels]
    levels = [
        Level(_extent(series), at_level.scale, at_level.unit)
        for series, at_level in zip(whole.levels, at_levels, strict=True)
    ]
    number = level_number(level, levels, str(path))
    series, sizes = whole.levels[number], at_levels[number]
    array, remarks = _stored_numbers(file, path, series) if stored else _pixels(file, path, series, number)
    array, axes = _without_single_places(array, series)
    rgb = False
    if isinstance(array, LazyArray):
        array, axes, rgb = picture_in_file(path, array, axes, series)
    elif stored:
        array, axes = without_alpha(array, axes, series)
    else:
        array, axes, rgb = as_picture(path, array, axes, series)
    array, letters = _placed(path, array, axes, series, named)
    if not isinstance(array, LazyArray | np.memmap):
        # ImageJ writes the other byte order, which not everything takes.
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    steps = {axis: step for axis, step in sizes.steps.items() if axis in letters}
    pixels = cast("NDArray[Any]", array)
    count = 0 if rgb or "C" not in letters else int(pixels.shape[letters.index("C")])
    return Image(
        pixels,
        letters,
        rgb,
        sizes.scale,
        sizes.unit,
        name,
        steps=steps,
        remarks=sizes.remarks + remarks,
        channels=read_channel_names(file, count) if count else (),
    )


def _stored_numbers(
    file: tifffile.TiffFile, path: str | Path, series: tifffile.TiffPageSeries
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return all numbers, which are wanted together; those of a large file are mapped where that is possible."""
    in_file = file.filehandle.is_file and series.dataoffset is not None and series.nbytes > READ_AT_ONCE
    return tifffile.memmap(path, mode="r", series=0) if in_file else np.asarray(series.asarray()), ()


def _pixels(
    file: tifffile.TiffFile, path: str | Path, series: tifffile.TiffPageSeries, level: int
) -> tuple[NDArray[Any] | LazyArray, tuple[str, ...]]:
    """Return all pixels as they are stored: those of a large file stay in it. Remarks say where they cannot."""
    if not file.filehandle.is_file or series.nbytes <= READ_AT_ONCE:
        return np.asarray(series.asarray()), ()
    if series.dataoffset is not None:
        dtype, shape = series.dtype.newbyteorder(file.byteorder), tuple(series.shape)
        return mapped_pixels(partial(np.memmap, path, dtype, "r", series.dataoffset, shape)), ()
    tiled = tiled_pixels(Path(path), level)
    if tiled is not None:
        return tiled, ()
    free = psutil.virtual_memory().available
    if series.nbytes > free:
        raise ImageError(
            Sentence(
                "{path}: its {gigabytes:.1f} GB are stored in too large pieces to be read one by one, and only "
                "{free:.1f} GB of memory are free. Save it in tiles, such as a pyramidal OME-TIFF or OME-Zarr.",
                path=path,
                gigabytes=series.nbytes / 1e9,
                free=free / 1e9,
            )
        )
    remark = Sentence(
        "The file is stored in too large pieces to be read one by one, so all {gigabytes:.1f} GB of it are in memory. "
        "Saved in tiles, such as a pyramidal OME-TIFF or OME-Zarr, it needs less.",
        gigabytes=series.nbytes / 1e9,
    )
    return np.asarray(series.asarray()), (remark,)


def stated_axes(path: Path) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
    """Return the axes that a TIFF file states, as tifffile letters them, its shape, and what it calls its channels.

    There is no letter if it states none, and no name likewise.

    Raises
    ------
    Exception
        Whatever tifffile raises where the file is none of its kind.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        stated, shape = series.axes if set(series.axes) <= set(_STATED) else "", tuple(series.shape)
        count = shape[stated.index("C")] if "C" in stated else 0
        return stated, shape, read_channel_names(file, count)


def _only_image(path: str | Path, file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the image of a file, beside which there are at most smaller versions of it.

    Raises
    ------
    ImageError
        If there is none, as in a file of which only the header was written, or several.
    """
    if not file.series:
        raise ImageError(Sentence("{path}: holds no image.", path=path))
    series = file.series[0]
    others = [other for other in file.series[1:] if not _is_version_of(other, series)]
    if others:
        raise ImageError(
            Sentence(
                "{path}: holds {n} images of shapes {shapes}; save the one to segment as a file of its own.",
                path=path,
                n=len(others) + 1,
                shapes=", ".join(str(other.shape) for other in [series, *others][:4]),
            )
        )
    if file.is_ome and series.dataoffset is None and any(series[page] is None for page in range(len(series))):
        raise ImageError(
            Sentence(
                "{path}: some of its planes lie in other files, which are missing. Put them beside it, or export the "
                "image again as one file.",
                path=path,
            )
        )
    return series


def _is_version_of(other: tifffile.TiffPageSeries, series: tifffile.TiffPageSeries) -> bool:
    """Whether pages are said or seen to be a lower resolution or thumbnail, rather than an image of their own."""
    if other.keyframe.subfiletype & _REDUCED or other.name.lower() in _SIDE_PICTURES:
        return True
    (height, width), (rows, columns) = _extent(series), _extent(other)
    factor = (height + width) / (rows + columns)
    # Sides are rounded to whole pixels.
    return factor >= _THUMBNAIL and abs(height / factor - rows) <= 1 and abs(width / factor - columns) <= 1


def _extent(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    return int(series.keyframe.imagelength), int(series.keyframe.imagewidth)


def _without_single_places(array: Pixels, series: tifffile.TiffPageSeries) -> tuple[Pixels, str]:
    kept = [length > 1 or axis in "YX" for length, axis in zip(series.shape, series.axes, strict=True)]
    key = tuple(slice(None) if keep else 0 for keep in kept)
    return array[key], "".join(axis for axis, keep in zip(series.axes, kept, strict=True) if keep)


def _placed(
    path: str | Path, array: Pixels, axes: str, series: tifffile.TiffPageSeries, named: str | None
) -> tuple[Pixels, str]:
    """Return the array with the letters of its axes, those of Y before X."""
    stated = axes.replace("S", "C") if set(axes) <= set(_STATED) and not {"C", "S"} <= set(axes) else None
    if stated is not None and (named is None or sorted(named) == sorted(stated)):
        letters = stated
    elif named is not None:
        letters, array = _fitted(array, axes, series, named)
    else:
        raise ImageError(
            Sentence(
                "{path}: shape {shape} with axes {axes} is not one plane. Save one plane (or one "
                "multichannel plane) as a file of its own, for example with Image > Duplicate in ImageJ, or say "
                "what its axes are.",
                path=path,
                shape=series.shape,
                axes=series.axes,
            )
        )
    rows, columns = letters.find("Y"), letters.find("X")
    if rows > columns >= 0:
        return array.swapaxes(rows, columns), letters.translate(str.maketrans("XY", "YX"))
    return array, letters


def _fitted(array: Pixels, axes: str, series: tifffile.TiffPageSeries, named: str) -> tuple[str, Pixels]:
    """Give an array the axes that somebody names: with those of length one, or without the colours of a pixel."""
    if len(named) != array.ndim and axes.endswith("S") and len(named) == array.ndim - 1 and "C" not in named:
        return f"{named}C", array
    whole = series.get_shape(squeeze=False)
    single = {axis for axis, places in zip(series.get_axes(squeeze=False), whole, strict=True) if places == 1}
    short = "".join(axis for axis in named if axis not in single)
    if len(named) != array.ndim and len(short) == array.ndim:
        return short, array
    return named, array
