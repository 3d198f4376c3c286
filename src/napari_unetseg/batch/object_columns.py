"""What the table of one image's results tells of its objects, as columns."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence

_BOX = ("bbox_min_y_px", "bbox_min_x_px", "bbox_max_y_px", "bbox_max_x_px")
_MEASURED = ("confidence", "agreement", "solidity")
_NEEDED = ("label", "area_px", *_BOX)


@dataclass(frozen=True)
class ObjectColumns:
    """The objects of an image, one place an object in each array.

    Attributes
    ----------
    label
        int64 (N,), numbers in the label image.
    plane
        int64 (N, K), index along each axis of a stack; K is 0 for a single plane.
    area
        float64 (N,), in pixels.
    bbox
        int64 (N, 4), first row and column, and those after the last ones.
    at_border
        bool (N,), whether it touches the border of its plane.
    measured
        float64 (N,) for each of ``"confidence"``, ``"agreement"`` and ``"solidity"`` that the table has, NaN where it
        is not known.
    """

    label: NDArray[np.int64]
    plane: NDArray[np.int64]
    area: NDArray[np.float64]
    bbox: NDArray[np.int64]
    at_border: NDArray[np.bool_]
    measured: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.label)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return what was measured; NaN for each object where the table has no such column."""
        return self.measured.get(name, np.full(len(self), np.nan))


def read_object_columns(path: Path, axes: str, shape: tuple[int, int]) -> ObjectColumns:
    """Read what doubts are made of from a table of results.

    Parameters
    ----------
    path
        The table.
    axes
        Letters of the axes of a stack; empty for a single plane.
    shape
        Height and width of a plane, in pixels.

    Raises
    ------
    UnetsegError
        If it cannot be read, or lacks a column.
    """
    try:
        columns = read_columns(path)
        if missing := {*_NEEDED, *axes.lower()} - set(columns):
            raise ValueError(f"no column {', '.join(sorted(missing))}")
        values = {name: _numbers(columns[name]) for name in (*_NEEDED, *axes.lower())}
        if not all(np.isfinite(column).all() for column in values.values()):
            raise ValueError("a cell is empty")
        measured = {name: _numbers(columns[name]) for name in _MEASURED if name in columns}
    except (OSError, ValueError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as a table of objects ({reason}). Segment the image again.",
                path=path,
                reason=error,
            )
        ) from error
    box = np.column_stack([values[name] for name in _BOX]).astype(np.int64)
    planes = [values[axis].astype(np.int64) for axis in axes.lower()]
    height, width = shape
    return ObjectColumns(
        label=values["label"].astype(np.int64),
        plane=np.column_stack(planes) if planes else np.zeros((len(box), 0), np.int64),
        area=values["area_px"],
        bbox=box,
        at_border=(box[:, :2] == 0).any(axis=1) | (box[:, 2] == height) | (box[:, 3] == width),
        measured=measured,
    )


def read_columns(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a table as columns of text, by name.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or rows differ in length.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        names, *rows = [*csv.reader(file)] or [[]]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return dict(zip(names, columns, strict=True))


def _numbers(cells: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([float(cell) if cell else np.nan for cell in cells], np.float64)
