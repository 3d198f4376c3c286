"""What a file of contours holds, whichever format it has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.io.object_properties import ObjectProperties
from napari_unetseg.postprocessing.contours import Contour, Ring, signed_area

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]

_ELLIPSE_VERTICES = 64
_LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Position:
    """Which plane of a stack a contour lies in, counted from 0; None where the stack has no such axis."""

    z: int | None = None
    t: int | None = None
    c: int | None = None


@dataclass(frozen=True)
class ContourFile:
    """Contours with all that a file can say about them.

    Attributes
    ----------
    contours
        Outlines in pixel coordinates (y, x), pixel centres at integers. Pieces of one object share its label.
    positions
        Plane of each contour.
    measurements
        Columns by name, a ``label`` column among them that says which object a row describes, and where an object has
        a row for each of its planes, ``z``, ``t`` and ``c`` that say which plane; empty if there are none.
    left_out
        What is no area and therefore not among the contours, such as ``"2 lines"``.
    scale, unit
        Pixel size along (Y, X) and its unit; None where they are not known.
    properties
        What QuPath knows of the object of each contour; empty if the file is none of QuPath's.
    """

    contours: Sequence[Contour]
    positions: Sequence[Position]
    measurements: Columns = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    unit: str | None = None
    properties: Sequence[ObjectProperties] = ()


def join_rings(label: int, exteriors: Sequence[Ring], holes: Sequence[Ring]) -> list[Contour]:
    """Make contours of rings that turn in any direction: one an exterior, each hole in the smallest it lies in.

    A hole that lies in no exterior is taken for an area of its own, rather than lost.

    Parameters
    ----------
    label
        Object that the rings belong to.
    exteriors, holes
        Rings float64 (N, 2), vertices (y, x), the first not repeated.
    """
    from skimage.measure import points_in_poly

    outer = [_turned(ring, 1) for ring in exteriors]
    inner: list[list[Ring]] = [[] for _ in outer]
    by_size = sorted(range(len(outer)), key=lambda index: signed_area(outer[index]))
    strays = []
    for hole in holes:
        # Rings of a part may meet in vertices but not along an edge.
        middle = (hole[0] + hole[1]) / 2
        around = next((index for index in by_size if points_in_poly([middle], outer[index])[0]), None)
        if around is None:
            strays.append(Contour(label, _turned(hole, 1)))
        else:
            inner[around].append(_turned(hole, -1))
    return [Contour(label, ring, tuple(inside)) for ring, inside in zip(outer, inner, strict=True)] + strays


def without_closing_vertex(vertices: NDArray[Any]) -> Ring | None:
    """Leave out a last vertex that repeats the first; None if what remains encloses nothing."""
    ring = np.asarray(vertices, dtype=np.float64)
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    return ring if len(ring) >= 3 and signed_area(ring) != 0 else None


def ellipse(corners: NDArray[Any]) -> Ring:
    """Approximate the ellipse within a parallelogram by a polygon of the same area.

    Parameters
    ----------
    corners
        (4, 2), one after the other round the parallelogram.

    Returns
    -------
    float64 (64, 2)
    """
    centre = corners.mean(axis=0)
    angle = 2 * np.pi * np.arange(_ELLIPSE_VERTICES) / _ELLIPSE_VERTICES
    # A polygon with its vertices on the ellipse would be too small, by sin(step) / step in area.
    step = 2 * np.pi / _ELLIPSE_VERTICES
    stretch = np.sqrt(step / np.sin(step))
    first, second = (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
    vertices: Ring = centre + stretch * (np.outer(np.cos(angle), first) + np.outer(np.sin(angle), second))
    return vertices


def whole_number(value: Any) -> int | None:
    """Read a label, which programs and tables write as ``3``, ``3.0`` or ``"3.0"``; None for anything else."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and 0 < number <= _LARGEST_LABEL else None


def number_unlabelled(labels: Sequence[int | None]) -> list[int]:
    """Give what has no label the numbers after the highest label there is."""
    following = max((label for label in labels if label is not None), default=0) + 1
    numbered = []
    for label in labels:
        numbered.append(following if label is None else label)
        following += label is None
    return numbered


def with_positions(objects: Iterable[tuple[Position, Sequence[Contour]]]) -> tuple[list[Contour], list[Position]]:
    """Return the contours of all objects, each given with its plane, and the plane of each contour."""
    placed = [(contour, position) for position, contours in objects for contour in contours]
    return [contour for contour, _ in placed], [position for _, position in placed]


def counts_of_kinds(kinds: Mapping[str, int]) -> tuple[str, ...]:
    """Say how many there are of each kind: ``("1 line", "2 points")``."""
    return tuple(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in sorted(kinds.items()))


def _turned(ring: Ring, sign: int) -> Ring:
    return ring if signed_area(ring) * sign > 0 else ring[::-1]
