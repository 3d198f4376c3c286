"""Label images and confidence maps as TIFF files that ImageJ and everything else can open."""

from collections.abc import Mapping
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


def write_labels(
    path: str | Path | BinaryIO,
    labels: NDArray[np.integer[Any]],
    *,
    scale: tuple[float, float] | None = None,
    unit: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a label image, losslessly compressed (zlib).

    uint16 as an ImageJ TIFF; with more than 65535 objects, which ImageJ's own format cannot hold, uint32 as
    an OME-TIFF.

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
        _write_imagej(path, labels.astype(dtype), scale, unit, text)
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
) -> None:
    metadata: dict[str, Any] = {"axes": "YX"}
    resolution = None
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
        )
