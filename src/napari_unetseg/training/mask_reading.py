"""Masks as files hold them: numbers, or colours that stand for numbers, and what of the file itself is wrong.

Nothing here imports torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.suffixes import TIFF_SUFFIXES
from napari_unetseg.language import Sentence
from napari_unetseg.training.mask_faults import MaskFault, object_areas
from napari_unetseg.training.pair_facts import LOSSY_SUFFIXES

_MOST_COLOURS = 4096
_MANY_COLOURS = 0.02  # of the pixels of a picture, beyond which its colours blend
_LARGEST = 2**53  # above, fractions of 64 bits are no longer exact


@dataclass(frozen=True)
class ReadMask:
    """The numbers of a file, int64 (Y, X), and what the file itself has that is wrong."""

    mask: NDArray[np.int64]
    faults: tuple[MaskFault, ...] = ()


def read_numbers(file: Path) -> NDArray[np.int64]:
    """Read a mask as `check_masks` does: of a picture in colours, each colour is a number.

    Returns
    -------
    int64 (Y, X).

    Raises
    ------
    ImageError
        If it cannot be read, holds several planes or fractions, or its colours blend.
    """
    return read_mask(file).mask


def read_mask(file: Path) -> ReadMask:
    """Read a mask with what is wrong with its file; see `read_numbers`."""
    from napari_unetseg.io import read_label_image

    image = read_label_image(file)
    array = np.asarray(image.array)
    if image.axes == "YXC" and array.dtype.kind in "ui":
        mask = _of_colours(array[..., :3], file)
        count = len(object_areas(mask)[0])
        text = Sentence("A picture in {count} colours. Numbers are needed, one an object.", count=count)
        return ReadMask(mask, (MaskFault("colours", text, count=count), *_of_file(file)))
    if array.ndim != 2:
        raise ImageError(
            Sentence("{file}: holds several planes or channels. Save each plane of numbers by itself.", file=file)
        )
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and np.array_equal(array, np.round(array))):
            raise ImageError(Sentence("{file}: holds fractions. Save whole numbers, 0 for background.", file=file))
    elif array.dtype.kind not in "bui":
        raise ImageError(Sentence("{file}: holds no whole numbers.", file=file))
    largest = array.max(initial=0)
    if largest > _LARGEST:
        raise ImageError(
            Sentence(
                "{file}: holds numbers up to {number}, which are too large. Count the objects anew from 1.",
                file=file,
                number=f"{largest:.3g}",
            )
        )
    return ReadMask(array.astype(np.int64), _of_file(file))


def _of_file(file: Path) -> tuple[MaskFault, ...]:
    if file.suffix.lower() in LOSSY_SUFFIXES:
        text = Sentence(
            "The mask is a {kind} file, which changes numbers. Save masks as TIFF or PNG.", kind=file.suffix
        )
        return (MaskFault("lossy", text),)
    if _has_palette(file):
        return (
            MaskFault(
                "palette",
                Sentence("The file has a palette: some programs read its colours in place of the numbers."),
            ),
        )
    return ()


def _has_palette(file: Path) -> bool:
    if file.suffix.lower() in (*TIFF_SUFFIXES, ".npy"):
        return False  # there a lookup table is for the eye alone
    from PIL import Image as Pillow

    with Pillow.open(file) as picture:
        return picture.mode in ("P", "PA")


def _of_colours(picture: NDArray[np.integer], file: Path) -> NDArray[np.int64]:
    """Give each colour a number; black, or else the most frequent one, is background."""
    height, width, _ = picture.shape
    values = picture.astype(np.int64) @ np.array([1 << 32, 1 << 16, 1])
    colours, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(colours) > min(_MOST_COLOURS, max(_MANY_COLOURS * values.size, 2)):
        raise ImageError(
            Sentence(
                "{file}: is a picture in {count} colours, too many for one an object. Save the numbers of the objects.",
                file=file,
                count=len(colours),
            )
        )
    background = 0 if colours[0] == 0 else int(np.argmax(counts))
    numbers = np.arange(len(colours)) + 1
    numbers[background:] -= 1
    numbers[background] = 0
    return np.asarray(numbers[places.reshape(height, width)])
