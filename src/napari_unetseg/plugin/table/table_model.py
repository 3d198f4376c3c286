"""Rows and columns of a table of objects, for Qt to show."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_unetseg.io.table import cell_text
from napari_unetseg.plugin.table.column_titles import Title, column_title

_ROOT = QModelIndex()


class ObjectsModel(QAbstractTableModel):
    """A table of measurements; sorting orders the rows shown and leaves the table itself alone.

    napari's own features table takes two seconds of the event loop for 1,000 rows of 19 columns, as it measures the
    text of every cell; this one formats what is on display.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, NDArray[Any]] = {}
        self._columns: list[NDArray[Any]] = []
        self._titles: list[Title] = []
        self._order: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._sorted_by: tuple[str, Qt.SortOrder] | None = None

    @property
    def sorted_by(self) -> tuple[int, Qt.SortOrder]:
        """The column by which rows are ordered, -1 for the table's own order, and the direction."""
        if self._sorted_by is None or self._sorted_by[0] not in self.table:
            return -1, Qt.SortOrder.AscendingOrder
        return list(self.table).index(self._sorted_by[0]), self._sorted_by[1]

    def show_table(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Show another table, columns by name, in the order of the column that the last one was sorted by."""
        self.beginResetModel()
        self.table = dict(table)
        self._columns = list(self.table.values())
        self._titles = [column_title(name) for name in self.table]
        self._arrange()
        self.endResetModel()

    def label_at(self, row: int) -> int:
        """Return the object in a row as it is shown."""
        return int(self._columns[0][self._order[row]])

    def labels_at(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the objects in rows as they are shown, each once, ascending."""
        return np.unique(self._columns[0][self._order[rows]]).astype(np.int64) if rows.size else np.empty(0, np.int64)

    def value_at(self, row: int, name: str) -> Any:
        """Return what the column of that name holds in a row as it is shown."""
        return self.table[name][self._order[row]]

    def rows_of(self, labels: Sequence[int] | NDArray[np.integer]) -> NDArray[np.intp]:
        """Return the rows in which objects are shown, ascending; in a stack an object may have several."""
        if not self._columns:
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero(np.isin(self._columns[0][self._order], labels))

    def text_of(self, rows: NDArray[np.intp]) -> str:
        """Write rows as they are shown for a spreadsheet: columns named as in a file, cells divided by tabs."""
        chosen = self._order[rows]
        columns = [values[chosen] for values in self._columns]
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(self.table)
        writer.writerows(map(cell_text, cells) for cells in zip(*columns, strict=True))
        return text.getvalue()

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return the number of objects."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole or not index.isValid():
            return None
        return _text(self._columns[index.column()][self._order[index.row()]])

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the head of a column: words over a unit; its tooltip tells the column's name in files."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self._titles):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section].lines
        return list(self.table)[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column; a column below 0 gives the table's own order."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        places = self._order[[index.row() for index in before]]
        self._sorted_by = (list(self.table)[column], order) if 0 <= column < len(self._columns) else None
        self._arrange()
        row_of_place = np.argsort(self._order)
        after = [self.index(int(row_of_place[at]), old.column()) for at, old in zip(places, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        order = np.arange(len(self._columns[0]) if self._columns else 0)
        if self._sorted_by is not None and self._sorted_by[0] in self.table:
            name, direction = self._sorted_by
            order = _sorted_rows(self.table[name], descending=direction == Qt.SortOrder.DescendingOrder)
        self._order = order


def _sorted_rows(values: NDArray[Any], *, descending: bool) -> NDArray[np.intp]:
    """Return the order of rows; what is not known comes last both ways."""
    if values.dtype == object:
        values = values.astype(str)
    order = np.argsort(values, kind="stable")
    if descending:
        order = order[::-1]
    if not np.issubdtype(values.dtype, np.floating):
        return order
    unknown = np.isnan(values[order])
    return np.concatenate([order[~unknown], order[unknown]])


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if np.isfinite(value) else ""
    if isinstance(value, bool | np.bool_):
        return "✓" if value else ""
    return str(value)
