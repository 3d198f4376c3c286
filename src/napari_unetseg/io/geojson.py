"""Contours as GeoJSON, the way QuPath reads and writes them."""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.contour_file import (
    Columns,
    ContourFile,
    Position,
    counts_of_kinds,
    join_rings,
    number_unlabelled,
    with_positions,
    without_closing_vertex,
)
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour

# Any fixed one will do: identifiers of equal objects in equal files shall be equal.
_NAMESPACE = uuid.UUID("5d2f6a0e-2c1b-4d5e-9a57-1f0f3f6b7c11")
_CLASS_COLOUR = (255, 140, 26)
_NO_CHANNEL = -1  # QuPath: all of them


def write_geojson(
    path: str | Path,
    contours: Sequence[Contour],
    *,
    positions: Sequence[Position] | None = None,
    measurements: Columns | None = None,
    classification: str | None = None,
    scale: tuple[float, float] | None = None,
    unit: str | None = None,
) -> None:
    """Write one Polygon feature an object, holes included, in pixels as (x, y).

    GeoJSON as QuPath reads it puts (0, 0) at the top left corner of the first pixel, contours put it at that
    pixel's centre, so half a pixel is added. Rings are closed and turn as RFC 7946 asks. An object of
    several pieces becomes a MultiPolygon. Features are QuPath's detections, with an ``id`` that is the same
    whenever the same object is written.

    Parameters
    ----------
    path
        File to write; one that exists is replaced.
    contours
        Outlines in pixel coordinates (y, x).
    positions
        Plane of each contour; None where the image is a single plane. An object of several planes becomes a
        feature in each.
    measurements
        Columns by name, with a ``label`` column that says which object a row describes, and of stacks ``z``, ``t``
        and ``c`` that say in which plane; they become the feature's ``measurements``. Values that are no finite
        numbers are left out.
    classification
        QuPath's class of all objects; None leaves them without one.
    scale, unit
        Pixel size along (Y, X) and its unit, written in addition to the features as ``pixel_size``. QuPath takes the
        pixel size from the image and passes over it.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    pieces: dict[tuple[int, Position], list[Contour]] = {}
    for contour, position in zip(contours, positions or [Position()] * len(contours), strict=True):
        pieces.setdefault((int(contour.label), position), []).append(contour)
    places, rows = _rows_by_place(measurements or {})
    features = [
        _feature(label, position, parts, rows.get((label, *_place(position, places)), {}), classification)
        for (label, position), parts in pieces.items()
    ]
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if scale and unit:
        collection["pixel_size"] = {"y": scale[0], "x": scale[1], "unit": unit}
    with whole_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(collection, separators=(",", ":")), encoding="utf-8")


def read_geojson(path: str | Path) -> ContourFile:
    """Read the areas of a GeoJSON file in pixel coordinates, as QuPath and `write_geojson` write them.

    An object's label is the property ``label``, else its name where that is a number, else the next number.
    Points and lines are counted in `ContourFile.left_out`.

    Raises
    ------
    UnetsegError
        If the file cannot be read.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = _features(content)
        polygons = [_polygons(feature["geometry"]) for feature in features]
        positions = _positions([feature["geometry"] for feature in features])
        size = content.get("pixel_size") if isinstance(content, dict) else None
        scale, unit = ((float(size["y"]), float(size["x"])), str(size["unit"])) if size else (None, None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as GeoJSON ({reason!r}). Export the objects again, in QuPath with "
                "File > Export objects as GeoJSON.",
                path=path,
                reason=error,
            )
        ) from error
    labels = number_unlabelled([_label(one) if rings else 0 for one, rings in zip(features, polygons, strict=True)])
    contours, planes = with_positions(
        (position, [contour for exterior, *holes in parts for contour in join_rings(label, [exterior], holes)])
        for label, position, parts in zip(labels, positions, polygons, strict=True)
    )
    kept = {label: one for label, one, rings in zip(labels, features, polygons, strict=True) if rings}
    others = Counter(
        str(one["geometry"]["type"]).lower() for one, rings in zip(features, polygons, strict=True) if not rings
    )
    return ContourFile(contours, planes, _columns(kept), counts_of_kinds(others), scale, unit)


def _feature(
    label: int, position: Position, parts: list[Contour], measurements: dict[str, float], classification: str | None
) -> dict[str, Any]:
    polygons = [_polygon(part) for part in parts]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    if position != Position():
        channel = _NO_CHANNEL if position.c is None else position.c
        geometry["plane"] = {"c": channel, "z": position.z or 0, "t": position.t or 0}
    properties: dict[str, Any] = {"objectType": "detection", "name": str(label), "label": label}
    if classification:
        properties["classification"] = {"name": classification, "color": _CLASS_COLOUR}
    if "confidence" in measurements:
        properties["confidence"] = measurements["confidence"]
    if measurements:
        properties["measurements"] = measurements
    identifier = uuid.uuid5(_NAMESPACE, f"{label} {json.dumps(geometry)}")
    return {"type": "Feature", "id": str(identifier), "geometry": geometry, "properties": properties}


def _polygon(contour: Contour) -> list[list[list[float]]]:
    """Rings of one piece. Contours already turn the way of RFC 7946, section 3.1.6: holes against their exterior."""
    return [_ring(contour.exterior), *(_ring(hole) for hole in contour.holes)]


def _ring(vertices: NDArray[np.float64]) -> list[list[float]]:
    points = vertices[:, ::-1] + 0.5
    ring: list[list[float]] = np.concatenate([points, points[:1]]).round(3).tolist()
    return ring


def _rows_by_place(columns: Columns) -> tuple[tuple[str, ...], dict[tuple[int, ...], dict[str, float]]]:
    """Return the columns that name a plane, and each row by its label and its place in those."""
    if "label" not in columns:
        return (), {}
    places = tuple(name for name in ("z", "t", "c") if name in columns)
    keys = [tuple(map(int, key)) for key in zip(*(columns[name] for name in ("label", *places)), strict=True)]
    rows: dict[tuple[int, ...], dict[str, float]] = {key: {} for key in keys}
    for name, values in columns.items():
        if name == "label" or not np.issubdtype(np.asarray(values).dtype, np.number):
            continue
        for key, value in zip(keys, values, strict=True):
            if np.isfinite(value):
                rows[key][name] = round(float(value), 6)
    return places, rows


def _place(position: Position, places: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(getattr(position, name) or 0 for name in places)


def _features(content: Any) -> list[dict[str, Any]]:
    """Return the features of a collection, of a bare list of features as QuPath once wrote it, or of one."""
    if isinstance(content, list):
        return content
    if content["type"] == "Feature":
        return [content]
    features: list[dict[str, Any]] = content["features"]
    return features


def _polygons(geometry: dict[str, Any]) -> list[list[NDArray[np.float64]]]:
    """Return the polygons of an area, each a list of rings, (y, x) about pixel centres; none of anything else."""
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return []
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    polygons = []
    for part in parts:
        rings = [without_closing_vertex(np.asarray(ring, np.float64)[:, 1::-1] - 0.5) for ring in part]
        if rings and rings[0] is not None:
            polygons.append([ring for ring in rings if ring is not None])
    return polygons


def _positions(geometries: list[dict[str, Any]]) -> list[Position]:
    """Read QuPath's planes. It numbers planes of images without z or t by 0: an axis that is 0 throughout is none."""
    planes = [geometry.get("plane", {}) for geometry in geometries]
    z_axis, t_axis = (any(plane.get(axis, 0) for plane in planes) for axis in "zt")
    return [
        Position(
            z=int(plane.get("z", 0)) if z_axis else None,
            t=int(plane.get("t", 0)) if t_axis else None,
            c=None if plane.get("c", _NO_CHANNEL) == _NO_CHANNEL else int(plane["c"]),
        )
        for plane in planes
    ]


def _label(feature: dict[str, Any]) -> int | None:
    properties = feature.get("properties") or {}
    label = str(properties.get("label", properties.get("name")))
    return int(label) if label.isdecimal() and int(label) > 0 else None


def _columns(features: dict[int, dict[str, Any]]) -> Columns:
    rows = {label: _measured(feature) for label, feature in features.items()}
    names = dict.fromkeys(name for row in rows.values() for name in row)
    if not names:
        return {}
    columns: dict[str, list[Any]] = {name: [row.get(name, np.nan) for row in rows.values()] for name in names}
    return {"label": list(rows)} | columns


def _measured(feature: dict[str, Any]) -> dict[str, float]:
    """Read measurements as a mapping, or as the list of names and values that QuPath wrote before 0.4."""
    measurements = (feature.get("properties") or {}).get("measurements", {})
    pairs = (
        measurements.items()
        if isinstance(measurements, dict)
        else ((one["name"], one["value"]) for one in measurements)
    )
    return {str(name): float(value) for name, value in pairs if isinstance(value, int | float)}
