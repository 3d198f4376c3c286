"""Images and plates of OME-Zarr in the shapes that other programs leave, written by zarr alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

TYPES = {"t": "time", "c": "channel"}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}


def axes_of(letters: str, units: Mapping[str, str] = UNITS) -> list[dict[str, str]]:
    """Axes as versions 0.4 and 0.5 state them."""
    return [
        {"name": letter, "type": TYPES.get(letter, "space")} | ({"unit": units[letter]} if letter in units else {})
        for letter in letters
    ]


def multiscale(
    axes: Any, levels: int, scale: Sequence[float], names: Sequence[str] | None = None, **more: Any
) -> dict[str, Any]:
    """Metadata of an image whose levels are half as large each along Y and X, as the last two axes."""
    datasets = []
    for level in range(levels):
        factors = [*scale[:-2], *(size * 2**level for size in scale[-2:])]
        shift = [*(0.0 for _ in scale[:-2]), *((2**level - 1) / 2 * size for size in scale[-2:])]
        steps = [{"type": "scale", "scale": factors}, {"type": "translation", "translation": shift}]
        datasets.append({"path": names[level] if names else str(level), "coordinateTransformations": steps})
    return {"axes": axes, "datasets": datasets, **more}


def write_image(
    path: Path | zarr.Group,
    pixels: NDArray[Any],
    metadata: Mapping[str, Any],
    *,
    zarr_format: int = 2,
    chunk: int = 16,
    shard: int | None = None,
    separator: str = "/",
    **more: Any,
) -> zarr.Group:
    """Write a pyramid by stride with metadata as they are given, and what else its group says."""
    group = path if isinstance(path, zarr.Group) else zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    axes = metadata.get("axes") or "tczyx"
    for level, dataset in enumerate(metadata["datasets"]):
        part = pixels[..., :: 2**level, :: 2**level]
        chunks = tuple(min(chunk, length) if at >= part.ndim - 2 else 1 for at, length in enumerate(part.shape))
        options: dict[str, Any] = {}
        if shard is not None:
            options["shards"] = tuple(shard if at >= part.ndim - 2 else 1 for at in range(part.ndim))
            chunks = tuple(chunk if at >= part.ndim - 2 else 1 for at in range(part.ndim))
        if zarr_format == 2:
            options["chunk_key_encoding"] = {"name": "v2", "separator": separator}
        group.create_array(dataset["path"], data=np.ascontiguousarray(part), chunks=chunks, **options)
    assert len(axes) == pixels.ndim or metadata.get("axes") is None
    said = {"multiscales": [dict(metadata)], **more}
    group.attrs.update({"ome": {"version": "0.5", **said}} if zarr_format == 3 else said)
    return group


def write_plate(
    path: Path, wells: Mapping[str, Sequence[NDArray[Any]]], *, zarr_format: int = 2, rows: str = "AB", columns: int = 3
) -> zarr.Group:
    """Write a plate with an image of one level for each field of a well, ``"A/1"``."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    info = {
        "name": "screen",
        "version": "0.4",
        "field_count": max(map(len, wells.values())),
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": str(column + 1)} for column in range(columns)],
        "wells": [{"path": well, "rowIndex": rows.index(well[0]), "columnIndex": int(well[2:]) - 1} for well in wells],
        "acquisitions": [{"id": 0, "name": "first", "maximumfieldcount": 2}],
    }
    said: dict[str, Any] = {"plate": info}
    group.attrs.update({"ome": {"version": "0.5", **said}} if zarr_format == 3 else said)
    for well, fields in wells.items():
        place = group.require_group(well)
        images = [{"path": str(at), "acquisition": 0} for at in range(len(fields))]
        said = {"well": {"images": images, "version": "0.4"}}
        place.attrs.update({"ome": {"version": "0.5", **said}} if zarr_format == 3 else said)
        for at, pixels in enumerate(fields):
            write_image(
                place.create_group(str(at)), pixels, multiscale(axes_of("yx"), 1, [0.5, 0.5]), zarr_format=zarr_format
            )
    return group
