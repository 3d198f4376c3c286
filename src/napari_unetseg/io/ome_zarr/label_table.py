"""What was measured of objects, kept beside their labels: an array for each column."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr

MOST_PROPERTIES = 10_000
"""Most objects that are described in the format's own way, as JSON that every reader of the group has to read."""

_TABLE = "table"
_ROWS_AT_ONCE = 2**17


def write_columns(group: "zarr.Group", table: Mapping[str, NDArray[Any]]) -> None:
    """Write a table of numbers into a group, in place of an earlier one."""
    columns = group.create_group(_TABLE, overwrite=True, attributes={"columns": list(table)})
    for number, values in enumerate(table.values()):
        array = np.asarray(values)
        columns.create_array(str(number), data=array, chunks=(max(min(len(array), _ROWS_AT_ONCE), 1),))


def read_columns(group: "zarr.Group") -> dict[str, NDArray[Any]]:
    """Read the table of a group, in its order; empty where there is none."""
    if _TABLE not in group:
        return {}
    columns: Any = group[_TABLE]
    return {name: np.asarray(columns[str(at)][:]) for at, name in enumerate(columns.attrs["columns"])}


def count_rows(group: "zarr.Group") -> int:
    """Return how many rows the table of a group has; 0 where there is none."""
    if _TABLE not in group:
        return 0
    columns: Any = group[_TABLE]
    return int(columns["0"].shape[0]) if columns.attrs["columns"] else 0
