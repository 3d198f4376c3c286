"""Contours as GeoJSON, the way QuPath reads and writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.contours import Contour


def write_geojson(
    path: str | Path,
    contours: Sequence[Contour],
    *,
    measurements: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
) -> None:
    """Write one Polygon feature an object, holes included, in pixels as (x, y).

    GeoJSON as QuPath reads it puts (0, 0) at the top left corner of the first pixel, contours put it at that
    pixel's centre, so half a pixel is added. Rings are closed and turn as RFC 7946 asks. An object of
    several pieces becomes a MultiPolygon.

    Parameters
    ----------
    path
        File to write; one that exists is replaced.
    contours
        Outlines in pixel coordinates (y, x).
    measurements
        Columns by name, with a ``label`` column that says which object a row describes; they become the
        feature's ``measurements``. Values that are no finite numbers are left out.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    pieces: dict[int, list[Contour]] = {}
    for contour in contours:
        pieces.setdefault(int(contour.label), []).append(contour)
    rows = _rows_by_label(measurements or {})
    features = [_feature(label, parts, rows.get(label, {})) for label, parts in pieces.items()]
    collection = {"type": "FeatureCollection", "features": features}
    with whole_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(collection, separators=(",", ":")), encoding="utf-8")


def _feature(label: int, parts: list[Contour], measurements: dict[str, float]) -> dict[str, Any]:
    polygons = [_polygon(part) for part in parts]
    geometry = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    properties: dict[str, Any] = {"objectType": "detection", "name": str(label), "label": label}
    if "confidence" in measurements:
        properties["confidence"] = measurements["confidence"]
    if measurements:
        properties["measurements"] = measurements
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _polygon(contour: Contour) -> list[list[list[float]]]:
    """Rings of one piece. Contours already turn the way of RFC 7946, section 3.1.6: holes against their exterior."""
    return [_ring(contour.exterior), *(_ring(hole) for hole in contour.holes)]


def _ring(vertices: NDArray[np.float64]) -> list[list[float]]:
    points = vertices[:, ::-1] + 0.5
    ring: list[list[float]] = np.concatenate([points, points[:1]]).round(3).tolist()
    return ring


def _rows_by_label(columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> dict[int, dict[str, float]]:
    if "label" not in columns:
        return {}
    rows: dict[int, dict[str, float]] = {int(label): {} for label in columns["label"]}
    for name, values in columns.items():
        if name == "label" or not np.issubdtype(np.asarray(values).dtype, np.number):
            continue
        for label, value in zip(rows, values, strict=True):
            if np.isfinite(value):
                rows[label][name] = round(float(value), 6)
    return rows
