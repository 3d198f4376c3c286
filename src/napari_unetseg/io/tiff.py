"""Label images and confidence maps as TIFF files that ImageJ and everything else can open."""

from collections.abc import Mapping
from colorsys import hsv_to_rgb
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unetseg.io.atomic import open_or_whole
from napari_unetseg.io.json_text import json_text
from napari_unetseg.io.ome_tiff import label_type, write_ome_labels
from napari_unetseg.io.physical_size import length, length_symbol

# ImageJ's own tags hold neither µ nor Å.
_ASCII_UNITS = {"\u00b5m": "um", "Å": "angstrom"}

# ImageJ's lookup tables have so many colours. Each hue is this part of the circle from the one before: near numbers
# differ, however many there are.
_COLOURS = 256
_GOLDEN = 0.618034
_COLOUR_MAP_TAG = 320


def write_labels(
    path: str | Path | BinaryIO,
    labels: NDArray[np.integer[Any]],
    *,
    scale: tuple[float, float] | None = None,
    unit: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a label image, losslessly compressed (zlib).

    uint16 as an ImageJ TIFF, which ImageJ and Fiji show with a colour for each object; with more than 65535 objects,
    which ImageJ's own format cannot hold, uint32 as an OME-TIFF, without colours. The colours are for display alone:
    numbers stay what they are. There are 255 of them, so above 255 objects neighbouring numbers share one, and the
    first numbers (one in 256) that of the background.

    Parameters
    ----------
    path
        File to write; one that exists is replaced. Or an open file, such as one in memory.
    labels
        (Y, X), any integer dtype, no negative values; 0 is background.
    scale, unit
        Pixel size along (Y, X) and its unit.
    provenance
        How the labels came about, written as JSON: in ImageJ under Image > Show Info, in OME-TIFF as the
        image's description.

    Raises
    ------
    ValueError
        If a label is negative or above 4294967295.
    UnetsegError
        If the file cannot be written.
    """
    dtype = label_type(labels)
    if dtype is np.uint16:
        text = json_text(provenance) if provenance else None
        highest = max(_COLOURS - 1, int(labels.max(initial=0)))
        _write_imagej(path, labels.astype(dtype), scale, unit, text, shown_to=highest)
    else:
        write_ome_labels(path, labels, scale=scale, units=(unit, unit), provenance=provenance)


def write_confidence(
    path: str | Path,
    confidence: NDArray[np.floating[Any]],
    *,
    scale: tuple[float, float] | None = None,
    unit: str | None = None,
) -> None:
    """Write a confidence map as a float32 ImageJ TIFF, losslessly compressed (zlib).

    Parameters
    ----------
    path
        File to write; one that exists is replaced.
    confidence
        (Y, X), values in 0..1.
    scale, unit
        Pixel size along (Y, X) and its unit.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    _write_imagej(path, confidence.astype(np.float32), scale, unit, None)


def _write_imagej(
    file: str | Path | BinaryIO,
    array: NDArray[Any],
    scale: tuple[float, float] | None,
    unit: str | None,
    info: str | None,
    shown_to: int | None = None,
) -> None:
    """Write an array; `shown_to` is the number that has the last colour of the lookup table, None for greys."""
    metadata: dict[str, Any] = {"axes": "YX"}
    resolution = None
    extra = []
    if shown_to is not None:
        metadata |= {"min": 0.0, "max": float(shown_to)}
        # As ImageJ itself writes tables of 16-bit images; those among its metadata it takes for several channels only.
        extra = [(_COLOUR_MAP_TAG, "H", 3 * _COLOURS, _lookup_table(), True)]
    if info:
        metadata["Info"] = info
    height, width = (length(step) for step in scale or (None, None))
    symbol = length_symbol(unit)
    if height is not None and width is not None and symbol is not None:
        resolution = (1 / width, 1 / height)
        metadata["unit"] = _ASCII_UNITS.get(symbol, symbol)
    with open_or_whole(file) as opened:
        tifffile.imwrite(
            opened,
            array,
            imagej=True,
            compression="zlib",
            resolution=resolution,
            resolutionunit="NONE",
            metadata=metadata,
            extratags=extra,
        )


@cache
def _lookup_table() -> tuple[int, ...]:
    """Return red, then green, then blue of each colour, 0 to 65535; the first, of the background, is black."""
    colours = np.zeros((_COLOURS, 3))
    for number in range(1, _COLOURS):
        # Three shades of each hue, all of them bright on black.
        colours[number] = hsv_to_rgb(number * _GOLDEN % 1, (0.9, 0.6, 0.75)[number % 3], (1.0, 1.0, 0.8)[number % 3])
    return tuple(np.rint(colours.T * 255).astype(int).ravel() * 257)
