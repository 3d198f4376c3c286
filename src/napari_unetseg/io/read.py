"""Read a plane or a stack from an image file, as it looks or as it is numbered."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.io.levels import Level, level_number
from napari_unetseg.io.mapped_pixels import mapped_pixels
from napari_unetseg.io.microscope.location import is_microscope_path
from napari_unetseg.io.ome_zarr.location import is_ome_zarr
from napari_unetseg.io.read_tiff import read_tiff
from napari_unetseg.io.readable import check_file, unreadable_says
from napari_unetseg.io.suffixes import TIFF_SUFFIXES
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

# What Pillow calls a picture's layout, and the layout whose numbers mean what a model expects.
_CONVERSIONS = {"CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "LA": "L", "La": "L", "PA": "RGBA"}

# The start of a PNG file up to its bit depth and colour type: grey or RGB, with or without alpha, of 16 bits.
_DEEP_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR.{8}\x10[\x00\x02\x04\x06]", re.DOTALL)
# A colour PNM file, and its largest value.
_PPM = re.compile(rb"P[36](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)\s")
_HEADER = 1024


def read_image(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    """Read an image file that holds one plane (grey, RGB(A) or multichannel), or a stack whose axes are known.

    TIFF (OME, ImageJ and plain), PNG, JPEG, BMP and similar formats, ``.npy`` arrays, read as `Image.of` reads arrays,
    and files of microscopes. Axes of length one are dropped; axes and sizes are taken from OME and ImageJ metadata, and
    from what microscopes write. Palettes become the colours they stand for, and greys that are stored inverted are
    turned round. Of large ``.npy`` and TIFF files, and of OME-Zarr and microscopes' files of any size, the pixels stay
    where they are until they are needed.

    Parameters
    ----------
    path
        The file; of OME-Zarr the folder, an archive (``.zarr.zip``, ``.ozx``), a path that leads into it such as
        ``plate.zarr/B/3/0``, or a URL; of a microscope's file that holds several scenes a path that leads to one,
        such as ``a.lif/Series 3`` or ``a.lif/2``.
    axes
        Those of the file as an `Image` has them, such as ``"ZYX"`` or ``"TCZYX"``; axes of length one may be left
        out. Where a file states the same axes in another order, the file is right.
        None: those that the file states, else one plane, whose axes are clear.
    level
        Of a pyramid: its number, 0 the largest; the size of its pixels, such as ``"0.5 µm"``; or how many they are at
        most along each side, such as ``"4096 px"``. See `level_number`.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, no image, holds more than one plane whose axes are neither stated nor
        named, has another number of axes, holds several scenes, or needs a library that is not installed. The message
        names the file and what to do.
    """
    if is_ome_zarr(path):
        return _read_ome_zarr(path, axes, level)
    if is_microscope_path(path):
        return _read_scene(path, axes, level)
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
    if is_microscope_path(path):
        return _read_scene(path)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return _read(path, partial(read_tiff, stored=True))
    return _read(path, partial(_read_npy, axes=None) if suffix == ".npy" else _read_numbered_picture)


def _read_ome_zarr(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    from napari_unetseg.io.ome_zarr.images import read_ome_zarr  # which loads zarr

    return read_ome_zarr(path, axes, level)


def _read_scene(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    from napari_unetseg.io.microscope.opening import read_scene  # which few need

    return read_scene(path, axes, level)


def _read(path: Path, reader: Callable[[Path], Image]) -> Image:
    check_file(path)
    with unreadable_says(path):
        image, name = reader(path), printable(path.name)
    remarks = list(image.remarks)
    if name != path.name:
        remarks.append(Sentence("The name of the file is not UTF-8; results and tables write it as {name}.", name=name))
    return replace(image, name=name, path=str(path.absolute()), remarks=tuple(remarks))


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
