"""Measuring one object that is larger than what memory should hold, strip by strip, to the same last bit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import Block, relative_to
from napari_unetseg.postprocessing.exact_sums import ExactSums
from napari_unetseg.postprocessing.hulls import hull_areas
from napari_unetseg.postprocessing.measurements import ObjectFigures, Table, object_columns, unit_suffix
from napari_unetseg.postprocessing.shape import ABSENT, STEP_LENGTHS, Moments

Strip = NDArray[Any]


@dataclass(frozen=True)
class ObjectSource:
    """Where one object is, and what is read of a part of its plane; each takes rows and columns.

    Attributes
    ----------
    box
        Rows and columns that hold the object.
    mask
        bool (Y, X): the object's pixels.
    intensity
        (C, Y, X).
    means
        Of the columns that average a map of probabilities, such as ``"confidence"``: the map, (Y, X).
    """

    box: Block
    mask: Callable[[Block], NDArray[np.bool_]]
    intensity: Callable[[Block], NDArray[Any]]
    means: dict[str, Callable[[Block], NDArray[np.floating]]]


def measure_large(
    source: ObjectSource,
    *,
    scale: tuple[float, float] | None,
    unit: str | None,
    origin: tuple[int, int],
    strip: int,
) -> Table:
    """Measure one object as `measure` does.

    Parameters
    ----------
    scale, unit, origin
        As for `measure`; the box counts from the first pixel of the plane.
    strip
        Pixels of a strip.

    Returns
    -------
    Table
        One row, with label 1.
    """
    rows, columns = source.box
    height, width = rows.stop - rows.start, columns.stop - columns.start
    step = max(strip // width, 1)
    parts: list[Block] = [
        (slice(start, min(start + step, rows.stop)), columns) for start in range(rows.start, rows.stop, step)
    ]
    rightmost, leftmost = np.full((2, height), ABSENT)
    area, totals = 0, [0, 0]
    sums = {name: ExactSums.none(2) for name in source.means}
    values, counts = np.zeros(0), np.zeros(0, np.int64)
    for part in parts:
        mask = source.mask(part)
        y, x = np.nonzero(mask)
        area += len(y)
        totals = [
            total + int(at.sum()) + len(at) * side.start for total, at, side in zip(totals, (y, x), part, strict=True)
        ]
        here = slice(part[0].start - rows.start, part[0].stop - rows.start)
        has = mask.any(axis=1)
        rightmost[here][has] = (width - 1 - mask[:, ::-1].argmax(axis=1))[has]
        leftmost[here][has] = -mask.argmax(axis=1)[has]
        for name, read in source.means.items():
            sums[name] = sums[name].plus(ExactSums.of(mask.view(np.uint8), read(part), 2, with_background=False))
        channels = source.intensity(part)
        if not len(values):
            values, counts = np.zeros(len(channels)), np.zeros(len(channels), np.int64)
        for at, channel in enumerate(channels):
            seen = channel[mask].astype(np.float64)
            seen = seen[np.isfinite(seen)]
            values[at], counts[at] = _added(values[at], seen), counts[at] + len(seen)
    centre = [(total + start * area) / area for total, start in zip(totals, origin, strict=True)]
    figures = ObjectFigures(
        label=np.ones(1, np.intp),
        area=np.array([area]),
        moments=_moments(source, parts, area, (centre[0], centre[1]), origin),
        box=np.array([[rows.start, columns.start, rows.stop, columns.stop]]) + np.array(origin * 2),
        hull=hull_areas(np.array([height]), rightmost, leftmost),
        perimeter=np.array([_perimeter(source, parts)]),
        intensity=[
            np.divide(values[at : at + 1], count, out=np.full(1, np.nan), where=count > 0)
            for at, count in enumerate(counts)
        ],
    )
    table, physical = object_columns(figures, scale, unit_suffix(scale, unit))
    return table | {name: total.taken(slice(1, 2)).means for name, total in sums.items()} | physical


def _moments(
    source: ObjectSource, parts: list[Block], area: int, centre: tuple[float, float], origin: tuple[int, int]
) -> Moments:
    yy = xx = xy = 0.0
    for part in parts:
        y, x = np.nonzero(source.mask(part))
        dy, dx = (
            at + (side.start + start) - middle
            for at, side, start, middle in zip((y, x), part, origin, centre, strict=True)
        )
        yy, xx, xy = _added(yy, dy * dy), _added(xx, dx * dx), _added(xy, dy * dx)
    return Moments(*(np.array([value]) for value in (*centre, yy / area, xx / area, xy / area)))


def _perimeter(source: ObjectSource, parts: list[Block]) -> float:
    """See `napari_unetseg.postprocessing.shape.perimeters`."""
    total = 0.0
    for part in parts:
        around = tuple(slice(side.start - 2, side.stop + 2) for side in part)
        # What lies beyond the box is not of the object.
        seen = tuple(
            slice(max(side.start, whole.start), min(side.stop, whole.stop))
            for side, whole in zip(around, source.box, strict=True)
        )
        mask = np.zeros([side.stop - side.start for side in around], bool)
        mask[relative_to(seen, around)] = source.mask(seen)
        inner = mask[1:-1, 1:-1].copy()
        for neighbour in _neighbours(mask, ((0, 1), (2, 1), (1, 0), (1, 2))):
            inner &= neighbour
        border = mask[1:-1, 1:-1] & ~inner
        straight = sum(at.astype(np.intp) for at in _neighbours(border, ((0, 1), (2, 1), (1, 0), (1, 2))))
        diagonal = sum(at.astype(np.intp) for at in _neighbours(border, ((0, 0), (0, 2), (2, 0), (2, 2))))
        total = _added(total, STEP_LENGTHS[straight, diagonal][border[1:-1, 1:-1]])
    return total


def _neighbours(mask: NDArray[np.bool_], steps: tuple[tuple[int, int], ...]) -> Iterator[NDArray[np.bool_]]:
    """Yield the neighbours of all pixels but the outermost; a step of (1, 1) would be the pixel itself."""
    height, width = mask.shape[0] - 2, mask.shape[1] - 2
    return (mask[y : y + height, x : x + width] for y, x in steps)


def _added(total: float, values: NDArray[np.float64]) -> float:
    """Add numbers one after the other, as they are where they are added at once."""
    return float(np.cumsum(np.append(total, values))[-1])
