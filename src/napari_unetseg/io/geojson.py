"""Contours as GeoJSON, the way QuPath reads and writes them."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import open_or_whole
from napari_unetseg.io.contour_file import (
    Columns,
    ContourFile,
    Position,
    counts_of_kinds,
    join_rings,
    number_unlabelled,
    with_positions,
)
from napari_unetseg.io.geojson_features import NUCLEUS, Feature, load_document, read_features
from napari_unetseg.io.object_properties import ObjectProperties
from napari_unetseg.io.physical_size import known_size, length
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour

# Any fixed one will do: identifiers of equal objects in equal files shall be equal.
_NAMESPACE = uuid.UUID("5d2f6a0e-2c1b-4d5e-9a57-1f0f3f6b7c11")
_CLASS_COLOUR = (255, 140, 26)
_NO_CHANNEL = -1  # QuPath: all of them


def write_geojson(
    path: str | Path | BinaryIO,
    contours: Sequence[Contour],
    *,
    positions: Sequence[Position] | None = None,
    measurements: Columns | None = None,
    classification: str | None = None,
    scale: tuple[float, float] | None = None,
    unit: str | None = None,
    properties: Sequence[ObjectProperties] = (),
) -> None:
    """Write one Polygon feature an object, holes included, in pixels as (x, y).

    GeoJSON as QuPath reads it puts (0, 0) at the top left corner of the first pixel, contours put it at that
    pixel's centre, so half a pixel is added. Rings are closed and turn as RFC 7946 asks. An object of
    several pieces becomes a MultiPolygon. Features are QuPath's detections, with an ``id`` that is the same
    whenever the same object is written.

    Parameters
    ----------
    path
        File to write; one that exists is replaced. Or an open file, such as one in memory.
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
    properties
        What QuPath knows of the object of each contour, written as it was read; empty where it knows nothing.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    known = properties or [ObjectProperties(classification=classification, colour=_CLASS_COLOUR)] * len(contours)
    pieces: dict[tuple[int, Position], list[Contour]] = {}
    of_object: dict[tuple[int, Position], ObjectProperties] = {}
    for contour, position, own in zip(contours, positions or [Position()] * len(contours), known, strict=True):
        pieces.setdefault((int(contour.label), position), []).append(contour)
        of_object.setdefault((int(contour.label), position), own)
    places, rows = _rows_by_place(measurements or {})
    features = [
        _feature(label, position, parts, rows.get((label, *_place(position, places)), {}), of_object[label, position])
        for (label, position), parts in pieces.items()
    ]
    _make_identifiers_unique(features)
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if scale is not None and unit and (sizes := [length(step) for step in scale]) and None not in sizes:
        collection["pixel_size"] = {"y": sizes[0], "x": sizes[1], "unit": unit}
    content = json.dumps(collection, separators=(",", ":"), allow_nan=False).encode()
    with open_or_whole(path) as opened:
        if isinstance(opened, Path):
            opened.write_bytes(content)
        else:
            opened.write(content)


def read_geojson(path: str | Path) -> ContourFile:
    """Read the areas of a GeoJSON file in pixel coordinates, as QuPath and `write_geojson` write them.

    It may be a collection of features, a list of them, one feature or a bare geometry. An object's label is the
    property ``label``, unless several measured objects of its plane have the same; else its name where that is a number
    and no other object of its plane has the same; else the next number. Points, lines and whatever else encloses
    nothing are counted in `ContourFile.left_out`.

    Raises
    ------
    UnetsegError
        If the file cannot be read, is no GeoJSON, or is too large or nested too deeply for one.
    """
    path = Path(path)
    try:
        document = load_document(path)
        features, others = read_features(path, document)
        positions = _positions([plane for feature in features for plane, _ in feature.areas])
        scale, unit = _pixel_size(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as GeoJSON ({reason!r}). Export the objects again, in QuPath with "
                "File > Export objects as GeoJSON.",
                path=path,
                reason=error,
            )
        ) from error
    ends = accumulate(len(feature.areas) for feature in features)
    places = [positions[end - 1] for end in ends]
    labels = _labels(features, places)
    numbered = list(zip(labels, features, strict=True))
    joined = [
        join_rings(label, [exterior], holes) for label, feature in numbered for _, (exterior, *holes) in feature.areas
    ]
    contours, planes = with_positions(zip(positions, joined, strict=True))
    known = (feature.properties for feature in features for _ in feature.areas)
    properties = [one for one, parts in zip(known, joined, strict=True) for _ in parts]
    if all(one == ObjectProperties() for one in properties):
        properties = []
    return ContourFile(
        contours, planes, _columns(labels, places, features), counts_of_kinds(others), scale, unit, properties
    )


def _feature(
    label: int, position: Position, parts: list[Contour], measurements: dict[str, float], known: ObjectProperties
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
    properties: dict[str, Any] = {
        "objectType": known.kind or "detection",
        "name": known.name or str(label),
        "label": label,
    }
    if known.classification:
        properties["classification"] = _classification(known.classification, known.colour)
    if "confidence" in measurements:
        properties["confidence"] = measurements["confidence"]
    if measurements:
        properties["measurements"] = measurements
    rest = _rest(known, label)
    properties |= {key: value for key, value in rest.get("properties", {}).items() if key not in properties}
    inner = {NUCLEUS: rest[NUCLEUS]} if rest.get(NUCLEUS) else {}
    identifier = known.identifier or str(uuid.uuid5(_NAMESPACE, f"{label} {json.dumps(geometry)}"))
    return {"type": "Feature", "id": identifier, "geometry": geometry, **inner, "properties": properties}


def _rest(known: ObjectProperties, label: int) -> dict[str, Any]:
    try:
        rest = json.loads(known.rest or "{}")
        json.dumps(rest, allow_nan=False)
    except ValueError as error:
        raise _no_rest(label) from error
    if not isinstance(rest, dict) or not isinstance(rest.get("properties", {}), dict):
        raise _no_rest(label)
    return rest


def _no_rest(label: int) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "Object {label}: what is kept of it for QuPath was changed, and is no JSON any more. Empty its column "
            "'qupath'.",
            label=label,
        )
    )


def _classification(name: str, colour: tuple[int, int, int] | None) -> dict[str, Any]:
    names = name.split(": ")
    written: dict[str, Any] = {"name": name} if len(names) == 1 else {"names": names}
    return written | ({"color": colour} if colour else {})


def _make_identifiers_unique(features: list[dict[str, Any]]) -> None:
    """Give what was copied in a layer an identifier of its own."""
    seen: set[str] = set()
    for feature in features:
        if feature["id"] in seen:
            feature["id"] = str(uuid.uuid5(_NAMESPACE, f"{feature['id']} {json.dumps(feature)}"))
        seen.add(feature["id"])


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


def _pixel_size(document: Any) -> tuple[tuple[float, float] | None, str | None]:
    size = document.get("pixel_size") if isinstance(document, dict) else None
    return known_size([size["y"], size["x"]], [size["unit"]] * 2) if size else (None, None)


def _positions(planes: list[Mapping[str, Any]]) -> list[Position]:
    """Read QuPath's planes. It numbers planes of images without z or t by 0: an axis that is 0 throughout is none."""
    z_axis, t_axis = (any(plane.get(axis, 0) for plane in planes) for axis in "zt")
    return [
        Position(
            z=int(plane.get("z", 0)) if z_axis else None,
            t=int(plane.get("t", 0)) if t_axis else None,
            c=None if plane.get("c", _NO_CHANNEL) == _NO_CHANNEL else int(plane["c"]),
        )
        for plane in planes
    ]


def _labels(features: Sequence[Feature], places: Sequence[Position]) -> list[int]:
    """Return the label of each feature.

    A name that objects of a plane share, such as that of a group, gives none. Nor does a label that they share where
    they were measured: parts of one object are one feature, or are not measured each by itself.
    """
    placed = list(zip(features, places, strict=True))
    same = Counter((one.label, place) for one, place in placed)
    measured = {(one.label, place) for one, place in placed if one.measurements}
    labels = [
        None if same[one.label, place] > 1 and (one.label, place) in measured else one.label for one, place in placed
    ]
    unlabelled = [(one.number, place) for one, place in placed if one.label is None]
    shared = {number for (number, _), count in Counter(unlabelled).items() if count > 1}
    shared |= {feature.label for feature in features}
    return number_unlabelled(
        [
            one.number if one.label is None and one.number not in shared else label
            for one, label in zip(features, labels, strict=True)
        ]
    )


def _columns(labels: Sequence[int], places: Sequence[Position], features: Sequence[Feature]) -> Columns:
    """Return what was measured, one row an object, and one for each plane of objects that lie in several."""
    names = dict.fromkeys(name for feature in features for name in feature.measurements if name != "label")
    if not names:
        return {}
    rows: dict[tuple[int, Position], Mapping[str, float]] = {}
    for label, place, feature in zip(labels, places, features, strict=True):
        rows.setdefault((label, place), feature.measurements)
    columns: dict[str, list[Any]] = {"label": [label for label, _ in rows]}
    if len(set(columns["label"])) < len(rows):
        axes = [axis for axis in ("z", "t", "c") if any(getattr(place, axis) is not None for _, place in rows)]
        columns |= {axis: [getattr(place, axis) or 0 for _, place in rows] for axis in axes}
    measured: dict[str, list[Any]] = {name: [row.get(name, np.nan) for row in rows.values()] for name in names}
    return columns | {name: values for name, values in measured.items() if name not in columns}
