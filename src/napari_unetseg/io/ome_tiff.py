"""Label images as OME-TIFF, of one plane or a stack."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unetseg.io.atomic import open_or_whole
from napari_unetseg.io.json_text import json_text
from napari_unetseg.io.physical_size import length, length_symbol, time_symbol
from napari_unetseg.printable import printable


def label_type(labels: NDArray[np.integer[Any]]) -> type[np.unsignedinteger[Any]]:
    """Return the smallest type for a label image, uint16 or uint32.

    Raises
    ------
    ValueError
        If a label is negative or above 4294967295.
    """
    smallest, largest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if smallest < 0 or largest > np.iinfo(np.uint32).max:
        raise ValueError(f"labels run from {smallest} to {largest}; a label image holds 0 to 4294967295")
    return np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32


def write_ome_labels(
    path: str | Path | BinaryIO,
    labels: NDArray[np.integer[Any]],
    *,
    axes: str = "YX",
    scale: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a label image as OME-TIFF, losslessly compressed (zlib), uint16 or with more objects uint32.

    Parameters
    ----------
    path
        File to write, ending in ``.ome.tif``; one that exists is replaced. Or an open file, such as one in memory.
    labels
        Any integer dtype, no negative values; 0 is background.
    axes
        One letter an axis: Y and X last, before them any of T, C and Z.
    scale, units
        Size of a step along each axis and the name of its unit, such as ``"micrometer"`` or ``"second"``.
        Axes whose unit OME knows no length or time by, such as ``"pixel"``, are written without a size.
    provenance
        How the labels came about, written as JSON into the image's description.

    Raises
    ------
    ValueError
        If a label is negative or above 4294967295.
    UnetsegError
        If the file cannot be written.
    """
    array = labels.astype(label_type(labels), copy=False)
    metadata: dict[str, Any] = {"axes": axes}
    if isinstance(path, str | Path):
        metadata["Name"] = printable(Path(path).name.removesuffix(".ome.tif"))
    if provenance:
        metadata["Description"] = json_text(provenance)
    if scale is not None and units is not None:
        for axis, step, unit in zip(axes, scale, units, strict=True):
            metadata |= _size(axis, step, unit)
    with open_or_whole(path) as opened:
        tifffile.imwrite(opened, array, ome=True, compression="zlib", photometric="minisblack", metadata=metadata)


def _size(axis: str, step: float, unit: str | None) -> dict[str, Any]:
    """Return what OME says of an axis: sizes above 0, in units that it knows, or nothing."""
    size, symbol = length(step), time_symbol(unit) if axis == "T" else length_symbol(unit)
    if size is None or symbol is None or axis not in "TZYX":
        return {}
    if axis == "T":
        return {"TimeIncrement": size, "TimeIncrementUnit": symbol}
    return {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol}
