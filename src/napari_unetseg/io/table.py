"""Measurements as a CSV file."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.io.atomic import whole_file


def write_table(path: str | Path, table: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write columns as comma-separated values, one row an object under a line of names.

    Real numbers have seven significant digits; values that are not known are left empty.

    Parameters
    ----------
    path
        File to write; one that exists is replaced.
    table
        Columns by name, all of the same length.

    Raises
    ------
    ValueError
        If the columns differ in length.
    UnetsegError
        If the file cannot be written.
    """
    with whole_file(Path(path)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(map(cell_text, row) for row in zip(*table.values(), strict=True))


def cell_text(value: Any) -> str:
    """Write a value as files of tables hold it: seven significant digits, nothing where it is not known."""
    if isinstance(value, float | np.floating):
        return f"{value:.7g}" if np.isfinite(value) else ""
    return "" if value is None else str(value)
