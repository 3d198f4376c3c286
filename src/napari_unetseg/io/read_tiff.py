"""Read a TIFF file: the plane it holds, or the stack whose axes it states, with their sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.io.tiff_colours import as_picture, is_as_stored, without_alpha
from napari_unetseg.io.tiff_sizes import read_sizes
from napari_unetseg.language import Sentence

# What the axes can be that a file states: tifffile's letters, where S are samples of a pixel.
_STATED = "TZCYXS"
# So many times smaller than the image, and as long and wide, is the thumbnail that programs add without a mark.
_THUMBNAIL = 8
_REDUCED = tifffile.FILETYPE.REDUCEDIMAGE
# Pictures beside the image that slide scanners name.
_SIDE_PICTURES = ("thumbnail", "label", "macro", "overview")


def read_tiff(path: Path, named: str | None = None, *, stored: bool = False) -> Image:
    """Read a TIFF file that holds one plane, or a stack whose axes the file states or somebody names.

    A pyramid is read at full resolution; `read_sizes` and `as_picture` say how sizes and colours are read.

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

    Raises
    ------
    ImageError
        If there is more than one plane and the axes are neither stated nor named, if their number is not that of the
        file, if there is more than one image, or if the colours are of a kind that is not read.
    """
    with tifffile.TiffFile(path) as file:
        return tiff_image(file, path, named, stored=stored)


def tiff_image(file: tifffile.TiffFile, path: str | Path, named: str | None = None, *, stored: bool = False) -> Image:
    """Read an open TIFF file, as `read_tiff` does.

    Parameters
    ----------
    file
        It may be in memory.
    path
        Of the file; of one in memory, what messages call it.
    named, stored
        As `read_tiff` takes them.

    Raises
    ------
    ImageError
        As `read_tiff` does.
    """
    series, name = _only_image(path, file), Path(path).name
    # Of a large file that is not compressed, pixels stay where they are until they are needed.
    in_file = (
        file.filehandle.is_file
        and series.dataoffset is not None
        and series.nbytes > READ_AT_ONCE
        and (stored or is_as_stored(series))
    )
    array = tifffile.memmap(path, mode="r", series=0) if in_file else np.asarray(series.asarray())
    array, axes = _without_single_places(array, series)
    rgb = False
    if stored:
        array, axes = without_alpha(array, axes, series)
    else:
        array, axes, rgb = as_picture(path, array, axes, series)
    array, letters = _placed(path, array, axes, series, named)
    sizes = read_sizes(file, name)
    if not in_file:
        # ImageJ writes the other byte order, which not everything takes.
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    steps = {axis: step for axis, step in sizes.steps.items() if axis in letters}
    return Image(array, letters, rgb, sizes.scale, sizes.unit, name, steps=steps, remarks=sizes.remarks)


def stated_axes(path: Path) -> tuple[str, tuple[int, ...]]:
    """Return the axes that a TIFF file states, as tifffile letters them, and its shape; no letter if it states none.

    Raises
    ------
    Exception
        Whatever tifffile raises where the file is none of its kind.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        return series.axes if set(series.axes) <= set(_STATED) else "", tuple(series.shape)


def _only_image(path: str | Path, file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the image of a file, beside which there are at most smaller versions of it.

    Raises
    ------
    ImageError
        If there are several.
    """
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


def _without_single_places(array: NDArray[Any], series: tifffile.TiffPageSeries) -> tuple[NDArray[Any], str]:
    kept = [i for i, axis in enumerate(series.axes) if series.shape[i] > 1 or axis in "YX"]
    return array.reshape([series.shape[i] for i in kept]), "".join(series.axes[i] for i in kept)


def _placed(
    path: str | Path, array: NDArray[Any], axes: str, series: tifffile.TiffPageSeries, named: str | None
) -> tuple[NDArray[Any], str]:
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


def _fitted(array: NDArray[Any], axes: str, series: tifffile.TiffPageSeries, named: str) -> tuple[str, NDArray[Any]]:
    """Give an array the axes that somebody names: with those of length one, or without the colours of a pixel."""
    if len(named) != array.ndim and axes.endswith("S") and len(named) == array.ndim - 1 and "C" not in named:
        return f"{named}C", array
    whole = series.get_shape(squeeze=False)
    single = {axis for axis, places in zip(series.get_axes(squeeze=False), whole, strict=True) if places == 1}
    short = "".join(axis for axis in named if axis not in single)
    if len(named) != array.ndim and len(short) == array.ndim:
        return short, array
    return named, array
