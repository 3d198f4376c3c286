"""Read a plane or a stack from an image file, as it looks or as it is numbered."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.io.levels import Level, level_number
from napari_unetseg.io.mapped_pixels import mapped_pixels
from napari_unetseg.io.ome_zarr.location import is_ome_zarr
from napari_unetseg.io.read_tiff import read_tiff
from napari_unetseg.io.suffixes import TIFF_SUFFIXES
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.printable import printable

# What Pillow calls a picture's layout, and the layout whose numbers mean what a model expects.
_CONVERSIONS = {"CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "LA": "L", "La": "L", "PA": "RGBA"}

# The start of a PNG file up to its bit depth and colour type: grey or RGB, with or without alpha, of 16 bits.
_DEEP_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR.{8}\x10[\x00\x02\x04\x06]", re.DOTALL)
# A colour PNM file, and its largest value.
_PPM = re.compile(rb"P[36](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)\s")
_HEADER = 1024
# Some libraries repeat what they could not read.
_LONGEST_REASON = 300


def read_image(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    """Read an image file that holds one plane (grey, RGB(A) or multichannel), or a stack whose axes are known.

    TIFF (OME, ImageJ and plain), PNG, JPEG, BMP and similar formats, and ``.npy`` arrays, read as
    `Image.of` reads arrays. Axes of length one are dropped; axes and sizes are taken from OME and
    ImageJ metadata. Palettes become the colours they stand for, and greys that are stored inverted are turned round.
    Of large ``.npy`` and TIFF files, and of OME-Zarr of any size, the pixels stay where they are until they are needed.

    Parameters
    ----------
    path
        The file; of OME-Zarr the folder, an archive (``.zarr.zip``, ``.ozx``), a path that leads into it such as
        ``plate.zarr/B/3/0``, or a URL.
    axes
        Those of the file as an `Image` has them, such as ``"ZYX"`` or ``"TCZYX"``, for TIFF and ``.npy`` files; axes
        of length one may be left out. Where a TIFF file states the same axes in another order, the file is right.
        None: those that the file states, else one plane, whose axes are clear.
    level
        Of a pyramid: its number, 0 the largest; the size of its pixels, such as ``"0.5 µm"``; or how many they are at
        most along each side, such as ``"4096 px"``. See `level_number`.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, no image, holds more than one plane whose axes are neither stated nor
        named, or has another number of axes. The message names the file and what to do.
    """
    if is_ome_zarr(path):
        return _read_ome_zarr(path, axes, level)
    path = Path(path)
    return _read(path, _choose_reader(path, axes, level))


def read_label_image(path: str | Path) -> Image:
    """Read a file that numbers objects, as it is numbered: of a picture with a palette the indices, not the colours.

    Raises
    ------
    ImageError
        As `read_image` does.
    """
    if is_ome_zarr(path):
        return _read_ome_zarr(path)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return _read(path, partial(read_tiff, stored=True))
    return _read(path, partial(_read_npy, axes=None) if suffix == ".npy" else _read_numbered_picture)


def _read_ome_zarr(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    from napari_unetseg.io.ome_zarr.images import read_ome_zarr  # which loads zarr

    return read_ome_zarr(path, axes, level)


def _read(path: Path, reader: Callable[[Path], Image]) -> Image:
    _check_file(path)
    with unreadable_says(path):
        image, name = reader(path), printable(path.name)
    remarks = list(image.remarks)
    if name != path.name:
        remarks.append(Sentence("The name of the file is not UTF-8; results and tables write it as {name}.", name=name))
    return replace(image, name=name, path=str(path.absolute()), remarks=tuple(remarks))


@contextmanager
def unreadable_says(label: str | Path) -> Iterator[None]:
    """Say what failed in a block that reads an image by other libraries, which raise whatever they stumble upon.

    Parameters
    ----------
    label
        What the message calls the image: its file or name.

    Raises
    ------
    ImageError
        For whatever was raised, but that memory ran out.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be read as an image ({reason}). It may be damaged or of a kind that is not "
                "supported; open it in the program it came from and save it as TIFF or PNG.",
                path=label,
                reason=_reason(error),
            )
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # Pillow names the object that it read from
        return Sentence("its format is not recognised")
    said = error_sentence(error)
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ImageError(Sentence("{path}: is a folder, not an image; name the files in it.", path=path))
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise ImageError(
            Sentence("{path}: there is no such file; check the name and the folder.", path=path)
        ) from error
    except OSError as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be opened ({reason}); check that you may read it.", path=path, reason=error.strerror
            )
        ) from error
    if size == 0:
        raise ImageError(Sentence("{path}: the file is empty; copy or export the image again.", path=path))


def _choose_reader(path: Path, axes: str | None, level: int | str) -> Callable[[Path], Image]:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return partial(read_tiff, named=axes, level=level)
    # What is no pyramid has one level, whose pixels have no known size.
    level_number(level, [Level((0, 0))], str(path))
    return partial(_read_npy, axes=axes) if suffix == ".npy" else _read_picture


def _read_npy(path: Path, axes: str | None) -> Image:
    if path.stat().st_size <= READ_AT_ONCE:
        return npy_image(np.load(path, allow_pickle=False), axes, path.name)
    # A large file is looked into rather than read.
    array = mapped_pixels(partial(np.load, path, mmap_mode="r", allow_pickle=False))
    if axes is not None and len(axes) != array.ndim:
        array = array[tuple(0 if length == 1 else slice(None) for length in array.shape)]
    return npy_image(cast("NDArray[Any]", array), axes, path.name)


def npy_image(array: NDArray[Any], axes: str | None, name: str) -> Image:
    """Return the array of an ``.npy`` file as an image, as `Image.of` does where its axes are not named."""
    if axes is None:
        return Image.of(array, name=name)
    return Image(array if len(axes) == array.ndim else array.squeeze(), axes, name=name)


def _read_picture(path: Path) -> Image:
    with path.open("rb") as file:
        return picture_image(file, path)


def picture_image(file: BinaryIO, label: str | Path, formats: tuple[str, ...] | None = None) -> Image:
    """Read a picture of one frame that Pillow knows, without loss of bits, and not turned by any orientation tag.

    Parameters
    ----------
    file
        An open file.
    label
        What messages call it.
    formats
        Pillow's names of those that it may be; None: any.

    Raises
    ------
    ImageError
        If there are several frames, or colours whose bits would be lost.
    Exception
        Whatever Pillow raises where the file is damaged; see `unreadable_says`.
    """
    header = file.read(_HEADER)
    file.seek(0)
    # Pillow would cut the colours of both down to 8 bits, and old versions have no 16-bit greys.
    if _DEEP_PNG.match(header):
        import imagecodecs  # which only these need, and which is a large library

        array = imagecodecs.png_decode(file.read())
        return _picture(array[..., 0] if array.shape[-1] == 2 else array)
    if (ppm := _PPM.match(header)) and int(ppm[1]) > 255:
        raise ImageError(
            Sentence(
                "{path}: has colours of more than 8 bits, which are read from PNG and TIFF; save it as one.", path=label
            )
        )
    with Pillow.open(file, formats=formats) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            raise ImageError(
                Sentence(
                    "{path}: holds {frames} frames; save the one to segment as an image of its own.",
                    path=label,
                    frames=frames,
                )
            )
        palette = picture.palette if picture.mode == "P" else None
        mode = palette.mode if palette else _CONVERSIONS.get(picture.mode)
        return _picture(np.array(picture.convert(mode) if mode else picture))


def _read_numbered_picture(path: Path) -> Image:
    with Pillow.open(path) as picture:
        if getattr(picture, "n_frames", 1) == 1 and picture.mode in ("P", "PA"):
            numbers = np.asarray(picture)
            return Image(numbers if numbers.ndim == 2 else numbers[..., 0], "YX")
    return _read_picture(path)


def _picture(array: NDArray[Any]) -> Image:
    return Image(array, "YX") if array.ndim == 2 else Image(array, "YXC", rgb=True)
