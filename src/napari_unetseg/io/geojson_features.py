"""What a GeoJSON document holds, whichever of the legal forms it has, within bounds of depth and size."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.contour_file import whole_number, without_closing_vertex
from napari_unetseg.io.object_properties import ObjectProperties
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Ring

MAX_BYTES = 2**30
MAX_DEPTH = 16
"""Collections within collections; files of real programs have two or three."""

NUCLEUS = "nucleusGeometry"
"""Under which a feature of QuPath has the outline of a cell's nucleus."""

_UNDERSTOOD = ("objectType", "object_type", "name", "label", "classification", "confidence", "measurements", NUCLEUS)
_KINDS = ("point", "multipoint", "linestring", "multilinestring")
# Farther out there is no pixel of any image.
_FARTHEST = 1e9


@dataclass(frozen=True)
class Feature:
    """One object of a document.

    Attributes
    ----------
    areas
        Its polygons, each a list of rings (y, x) about pixel centres, the exterior first, with QuPath's plane.
    label
        Its property ``label``, where that is a whole number.
    number
        Its name, where that is a whole number.
    properties
        What QuPath knows of it.
    measurements
        Its numbers by name.
    """

    areas: list[tuple[Mapping[str, Any], list[Ring]]]
    label: int | None
    number: int | None
    properties: ObjectProperties
    measurements: Mapping[str, float]


def load_document(path: Path) -> Any:
    """Read a JSON file, with or without a mark of its encoding.

    Raises
    ------
    UnetsegError
        If it is too large or nested too deeply.
    OSError, ValueError
        If it cannot be read, or is no JSON.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnetsegError(
            Sentence(
                "{path}: is larger than {size} MB, too large for one GeoJSON file. Export the objects in several.",
                path=path,
                size=MAX_BYTES // 2**20,
            )
        )
    try:
        return json.loads(path.read_bytes())  # tells UTF-8, -16 and -32 and their marks apart
    except RecursionError as error:
        raise _too_deep(path) from error


def read_features(path: Path, document: Any) -> tuple[list[Feature], Counter[str]]:
    """Return the features of a document that have an area, and how many there are of everything else.

    A document is a collection of features, a list of them as QuPath once wrote it, one feature, or a bare geometry;
    collections may hold collections.

    Raises
    ------
    UnetsegError
        If collections are nested too deeply.
    ValueError, KeyError, TypeError, AttributeError
        If it is no GeoJSON.
    """
    others: Counter[str] = Counter()
    features = []
    for raw in _flattened(path, document):
        properties = raw.get("properties") or {}
        areas = list(_areas(path, raw.get("geometry"), others))
        if not areas:
            continue
        features.append(
            Feature(
                areas,
                whole_number(properties.get("label")),
                whole_number(properties.get("name")),
                _object_properties(raw.get("id"), properties, _rest(path, raw, properties)),
                _measured(properties.get("measurements") or {}),
            )
        )
    return features, +others


def _flattened(path: Path, document: Any) -> Iterator[dict[str, Any]]:
    """Yield every feature, and every geometry that is in none as a feature of its own."""
    waiting = [(document, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        if item is None and depth > 0:
            yield {}
            continue
        inner = item if isinstance(item, list) else item["features"] if item["type"] == "FeatureCollection" else None
        if inner is not None:
            if not isinstance(inner, list):
                raise TypeError("its features are no list")
            waiting += [(one, depth + 1) for one in reversed(inner)]
        elif item["type"] == "GeometryCollection":
            waiting += [(one, depth + 1) for one in reversed(item["geometries"])]
        else:
            yield item if item["type"] == "Feature" else {"type": "Feature", "geometry": item}


def _areas(
    path: Path, geometry: dict[str, Any] | None, others: Counter[str]
) -> Iterator[tuple[Mapping[str, Any], list[Ring]]]:
    """Yield the polygons of a geometry, each with its plane, and count what is none."""
    waiting: list[tuple[Any, Mapping[str, Any], int]] = [(geometry, {}, 0)]
    while waiting:
        item, plane, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        if item is None:
            others["unplaced object" if depth == 0 else "empty geometry"] += 1
            continue
        kind, plane = item["type"], item.get("plane") or plane
        if kind == "GeometryCollection":
            inner = item["geometries"]
            others["empty geometry"] += not inner
            waiting += [(one, plane, depth + 1) for one in reversed(inner)]
        elif kind in ("Polygon", "MultiPolygon"):
            parts = item["coordinates"] or []
            polygons = [_rings(part) for part in ([parts] if kind == "Polygon" else parts)]
            yield from ((plane, rings) for rings in polygons if rings)
            others["empty polygon"] += not any(polygons)
        else:
            others[str(kind).lower() if str(kind).lower() in _KINDS else "unknown geometry"] += 1


def _rings(part: Any) -> list[Ring]:
    """Return the rings of a polygon, the exterior first; none of one that encloses nothing."""
    rings = []
    for coordinates in part or []:
        # Some programs give some points a height.
        points = np.asarray([point[:2] for point in coordinates], np.float64).reshape(-1, 2)
        if not (np.abs(points) < _FARTHEST).all():
            raise ValueError("a coordinate is no place in an image")
        rings.append(without_closing_vertex(points[:, ::-1] - 0.5))
    if not rings or rings[0] is None:
        return []
    return [ring for ring in rings if ring is not None]


def _rest(path: Path, raw: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    """Return what has no meaning here but shall be written again, as JSON; None if there is nothing of the kind."""
    found: dict[str, Any] = {}
    nucleus = raw.get(NUCLEUS) or properties.get(NUCLEUS)
    if nucleus and any(_areas(path, nucleus, Counter())):
        found[NUCLEUS] = nucleus
    if others := {key: value for key, value in properties.items() if key not in _UNDERSTOOD}:
        found["properties"] = others
    return json.dumps(found, separators=(",", ":"), allow_nan=False) if found else None


def _object_properties(identifier: Any, properties: Mapping[str, Any], rest: str | None) -> ObjectProperties:
    kind = properties.get("objectType", properties.get("object_type"))
    name, colour = _classification(properties.get("classification"))
    given = properties.get("name")
    return ObjectProperties(
        identifier=str(identifier) if isinstance(identifier, str | int) and identifier != "" else None,
        kind=kind if isinstance(kind, str) else None,
        name=str(given) if isinstance(given, str | int | float) else None,
        classification=name,
        colour=colour,
        rest=rest,
    )


def _classification(value: Any) -> tuple[str | None, tuple[int, int, int] | None]:
    """Read QuPath's class, whose colour was one packed number before QuPath 0.4."""
    if isinstance(value, str):
        return value or None, None
    if not isinstance(value, dict):
        return None, None
    names = value.get("names")
    name = ": ".join(map(str, names)) if isinstance(names, list) else value.get("name")
    colour, packed = value.get("color"), value.get("colorRGB")
    if isinstance(colour, list) and len(colour) >= 3 and all(isinstance(one, int) for one in colour):
        red, green, blue = (min(max(one, 0), 255) for one in colour[:3])
        return _text(name), (red, green, blue)
    if isinstance(packed, int):
        return _text(name), (packed >> 16 & 255, packed >> 8 & 255, packed & 255)
    return _text(name), None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _measured(measurements: Any) -> dict[str, float]:
    """Read measurements as a mapping, or as the list of names and values that QuPath wrote before 0.4."""
    pairs = (
        measurements.items()
        if isinstance(measurements, dict)
        else ((one["name"], one["value"]) for one in measurements)
    )
    return {str(name): _number(value) for name, value in pairs if isinstance(value, int | float)}


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


def _too_deep(path: Path) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "{path}: is nested too deeply for GeoJSON. Export the objects again, without collections in collections.",
            path=path,
        )
    )
