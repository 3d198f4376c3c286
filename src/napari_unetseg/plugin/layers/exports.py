"""From the data of a layer to contours and axes that files can hold."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.contour_file import (
    ContourFile,
    Position,
    counts_of_kinds,
    ellipse,
    join_rings,
    number_unlabelled,
    without_closing_vertex,
)
from napari_unetseg.io.object_properties import ObjectProperties, from_row
from napari_unetseg.language import tr
from napari_unetseg.layer_style import AXES_KEY, METADATA_KEY
from napari_unetseg.plugin.layers.axes import OTHER, STACK_ROLES, names_of_axes, pixel_size, role_of
from napari_unetseg.plugin.layers.measured import current_columns, current_rows, measure_planes
from napari_unetseg.plugin.layers.napari_types import LayerArray, LayerMeta
from napari_unetseg.postprocessing.contours import Contour, Ring, trace_contours

_AREAS = ("polygon", "rectangle", "ellipse")


@dataclass(frozen=True)
class FileAxes:
    """What the axes of a layer are in a file.

    Attributes
    ----------
    stack
        Axes beside those of the plane, ascending.
    plane
        The two axes of the plane.
    letters
        ``"Z"``, ``"T"`` or ``"C"`` for each axis of the stack.
    start
        Index of the layer's first plane along each axis of the stack. It is not 0 in a layer of one plane
        that was cut out of a stack.
    origin
        Row and column that the layer's first pixel has in its image. They are not 0 in a layer of a part of a plane.
    size
        Height and width of the whole image, as far as they are known, of a layer of a part of a plane.
    """

    stack: tuple[int, ...]
    plane: tuple[int, int]
    letters: str
    start: tuple[int, ...]
    origin: tuple[int, int] = (0, 0)
    size: tuple[int, int] | None = None

    def position(self, index: Sequence[int]) -> Position:
        """Name the plane at an index along the axes of the stack."""
        places = {letter.lower(): i + first for letter, i, first in zip(self.letters, index, self.start, strict=True)}
        return Position(**places)

    def in_image(self, contour: Contour) -> Contour:
        """Give a contour of the layer the coordinates that it has in the image."""
        if self.origin == (0, 0):
            return contour
        holes = tuple(hole + self.origin for hole in contour.holes)
        return replace(contour, exterior=contour.exterior + self.origin, holes=holes)

    def whole_planes(self, planes: LayerArray) -> LayerArray:
        """Give label images (..., Y, X) of a part of an image the size of the whole, 0 around them."""
        if self.size is None:
            return planes
        (top, left), (height, width) = self.origin, planes.shape[-2:]
        size = (max(self.size[0], top + height), max(self.size[1], left + width))
        # Pages that are nothing but zeros take no memory until they are written to a file.
        whole = np.zeros((*planes.shape[:-2], *size), planes.dtype)
        whole[..., top : top + height, left : left + width] = planes
        return whole


def read_axes(ndim: int, meta: LayerMeta) -> FileAxes:
    """Find out what the axes of a layer mean: as this plugin recorded it, else as its labels or its metadata say.

    The plane is spanned by the axes that are named Y and X, else by the last two. What is left of T, C and Z goes, in
    this order, to the axes of the stack without a name that files know: Z first, if there are fewer, then T.

    Parameters
    ----------
    ndim
        Dimensions of the layer.
    meta
        Attributes of the layer, as napari hands them to writers.

    Raises
    ------
    UnetsegError
        If there are more axes than files of images have.
    """
    roles = _roles(ndim, meta)
    index = _plane_index(meta)
    free = [axis for axis in range(ndim) if axis not in index or len(index) > ndim - 2]
    named = [axis for axis in free if roles[axis] in ("Y", "X")]
    first, second = named if len({roles[axis] for axis in named}) == len(named) == 2 else free[-2:]
    stack = tuple(axis for axis in range(ndim) if axis not in (first, second))
    if len(stack) > len(STACK_ROLES):
        raise UnetsegError(
            tr(
                "The layer '{layer}' has {ndim} dimensions; files hold five at most (T C Z Y X). Export a part of it."
            ).format(layer=_name(meta), ndim=ndim)
        )
    letters = _letters([roles[axis] for axis in stack])
    origin, size = _part_of_image(meta)
    return FileAxes(stack, (first, second), letters, tuple(index.get(axis, 0) for axis in stack), origin, size)


def _roles(ndim: int, meta: LayerMeta) -> list[str]:
    """Return the role of each axis as far as it is known; `OTHER` where it is not."""
    names = names_of_axes(tuple(meta.get("axis_labels") or ()), meta.get("metadata") or {}, ndim)
    roles = [role_of(name) for name in names]
    recorded = provenance_of(meta).get(AXES_KEY)
    if not isinstance(recorded, Sequence) or len(recorded) != ndim:
        return roles
    # The plane is the one that was segmented, whatever its axes and others are called.
    return [str(known) or (role if role in STACK_ROLES else OTHER) for known, role in zip(recorded, roles, strict=True)]


def _letters(roles: Sequence[str]) -> str:
    """Give each axis of a stack a letter of its own: that of its role, unless two claim it."""
    taken = {role for role in STACK_ROLES if roles.count(role) == 1}
    unnamed = sum(role not in taken for role in roles)
    left = [role for role in "ZTC" if role not in taken][:unnamed]
    rest = iter(sorted(left, key=STACK_ROLES.index))
    return "".join(role if role in taken else next(rest) for role in roles)


def contours_of_labels(data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> ContourFile:
    """Trace the objects of a Labels layer, plane by plane.

    Parameters
    ----------
    data
        (..., Y, X) integers, lazy or not; of a multiscale layer a list of them.
    meta
        Attributes of the layer.

    Raises
    ------
    UnetsegError
        If there is no object, or the layer has too many axes.
    """
    planes, axes = stack_of(data, meta)
    contours: list[Contour] = []
    positions: list[Position] = []
    for index in np.ndindex(planes.shape[:-2]):
        traced = [axes.in_image(contour) for contour in trace_contours(np.asarray(planes[index]))]
        contours += traced
        positions += [axes.position(index)] * len(traced)
    if not contours:
        nothing = tr("The layer '{layer}' has no object to export: all of its pixels are 0, the background.")
        raise UnetsegError(nothing.format(layer=_name(meta)))
    scale, unit = pixel_size(meta, axes.plane)
    return ContourFile(contours, positions, _measurements(table_of_labels(data, meta)), scale=scale, unit=unit)


def table_of_labels(data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> pd.DataFrame:
    """Return the features of a Labels layer as they have to be saved: those of its objects as they are now.

    Slow for many objects.

    Parameters
    ----------
    data, meta
        As of `contours_of_labels`.

    Returns
    -------
    DataFrame
        The object's number is in the column ``label``; see `current_rows` for the others.

    Raises
    ------
    UnetsegError
        If the layer has too many axes.
    """
    features = pd.DataFrame(meta.get("features")).rename(columns={"index": "label"})
    if "label" not in features or "area_px" not in features:
        return features
    planes, axes = stack_of(data, meta)
    scale, unit = pixel_size(meta, axes.plane)
    now = measure_planes(planes, axes.letters, axes.start, scale=scale, unit=unit, origin=axes.origin)
    return current_rows(features, now)


def contours_of_shapes(data: Sequence[LayerArray], meta: LayerMeta) -> ContourFile:
    """Take the areas of a Shapes layer: polygons, rectangles and ellipses.

    Polygons whose feature ``ring`` is ``"hole"`` are holes of the polygons with the same ``label``. Areas without a
    label are numbered after the highest label there is. Lines, paths, and what crosses planes are left out.

    Parameters
    ----------
    data
        Vertices (N, ndim) of each shape, in pixels.
    meta
        Attributes of the layer.

    Raises
    ------
    UnetsegError
        If there is no area, or the layer has too many axes.
    """
    axes = read_axes(int(meta.get("ndim", data[0].shape[1] if len(data) else 2)), meta)
    features = pd.DataFrame(meta.get("features")).reset_index(drop=True).reindex(range(len(data)))
    left_out: Counter[str] = Counter()
    rings: list[tuple[int, Position, Ring]] = []
    for row, (vertices, kind) in enumerate(zip(data, meta.get("shape_type", ()), strict=True)):
        ring = _ring(np.asarray(vertices)[:, axes.plane], kind)
        places = np.rint(np.asarray(vertices)[:, axes.stack]).astype(int)
        if ring is None:
            left_out[kind if kind not in _AREAS else f"{kind} without an area"] += 1
        elif (places != places[0]).any():
            left_out["shape that crosses planes"] += 1
        else:
            rings.append((row, axes.position(places[0].tolist()), ring + axes.origin))
    if not rings:
        nothing = tr("The layer '{layer}' has no polygon, rectangle or ellipse to export.").format(layer=_name(meta))
        found = tr("It has {shapes}.").format(shapes=tr(" and ").join(counts_of_kinds(left_out))) if left_out else ""
        raise UnetsegError(f"{nothing} {found}".strip())
    rows = [row for row, _, _ in rings]
    labels = number_unlabelled([_label(features, row) for row in rows])
    groups: dict[tuple[int, Position], tuple[list[Ring], list[Ring]]] = {}
    first_row: dict[tuple[int, Position], int] = {}
    for label, (row, position, ring) in zip(labels, rings, strict=True):
        is_hole = "ring" in features and features["ring"][row] == "hole"
        groups.setdefault((label, position), ([], []))[is_hole].append(ring)
        first_row.setdefault((label, position), row)
    joined = [(join_rings(label, *group), position) for (label, position), group in groups.items()]
    known = [from_row(features.loc[row]) for row in first_row.values()]
    properties = [own for own, (parts, _) in zip(known, joined, strict=True) for _ in parts]
    scale, unit = pixel_size(meta, axes.plane)
    # As in the table of a stack, an object has a row in each plane.
    objects = features.loc[list(first_row.values())].assign(label=[label for label, _ in first_row])
    for letter in axes.letters.lower():
        objects[letter] = [getattr(position, letter) for _, position in first_row]
    areas = [sum(contour.area for contour in parts) for parts, _ in joined]
    numbers = features["label"].tolist() if "label" in features else [None] * len(data)
    return ContourFile(
        [contour for parts, _ in joined for contour in parts],
        [position for parts, position in joined for _ in parts],
        _measurements(current_columns(objects, areas, data, numbers, meta)),
        counts_of_kinds(left_out),
        scale,
        unit,
        properties if set(properties) != {ObjectProperties()} else (),
    )


def stack_of(data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> tuple[LayerArray, FileAxes]:
    """Return the array of a Labels layer with its plane in the last two axes, and what its axes mean."""
    array = data[0] if meta.get("multiscale") or isinstance(data, Sequence) else data
    axes = read_axes(array.ndim, meta)
    order = (*axes.stack, *axes.plane)
    return array if order == tuple(range(array.ndim)) else np.asarray(array).transpose(order), axes


def provenance_of(meta: LayerMeta) -> dict[str, Any]:
    """Return what this plugin recorded about how it made a layer; nothing of other layers."""
    return dict((meta.get("metadata") or {}).get(METADATA_KEY) or {})


def model_of(meta: LayerMeta) -> str | None:
    """Name the model that made a layer, if this plugin did."""
    return provenance_of(meta).get("model")


def describe_left_out(meta: LayerMeta, left_out: Sequence[str]) -> str:
    """Say what of a layer is not in the file."""
    return tr(
        "The layer '{layer}': {shapes} not exported. Files hold areas: polygons, rectangles and ellipses of one plane."
    ).format(layer=_name(meta), shapes=tr(" and ").join(left_out))


def _plane_index(meta: LayerMeta) -> dict[int, int]:
    """Return where a layer that was cut out of a stack lies along the axes it was cut along, by axis."""
    return {int(axis): int(index) for axis, index in provenance_of(meta).get("plane", {}).items()}


def _part_of_image(meta: LayerMeta) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return where a layer of a part of a plane lies in its image, and the size of that; (0, 0) and None of others."""
    record = provenance_of(meta)
    region = record.get("region")
    if not region:
        return (0, 0), None
    (top, bottom), (left, right) = region
    height, width = record.get("plane_size") or (bottom, right)
    return (int(top), int(left)), (int(height), int(width))


def _name(meta: LayerMeta) -> str:
    return str(meta.get("name", tr("unnamed")))


def _ring(vertices: LayerArray, kind: str) -> Ring | None:
    if kind not in _AREAS:
        return None
    return without_closing_vertex(ellipse(vertices) if kind == "ellipse" else vertices)


def _label(features: pd.DataFrame, row: int) -> int | None:
    value = features["label"][row] if "label" in features else None
    match = re.fullmatch(r"0*([1-9]\d*)(\.0)?", str(value))
    return int(match[1]) if match else None


def _measurements(features: pd.DataFrame) -> dict[str, LayerArray]:
    if "label" not in features:
        return {}
    numbers = features.dropna(subset="label").select_dtypes("number")
    return {str(name): column.to_numpy() for name, column in numbers.items()}
