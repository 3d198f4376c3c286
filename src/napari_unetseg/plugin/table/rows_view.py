"""The rows of the table as Qt shows them, and what its keys do."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QTableView, QWidget

from napari_unetseg.plugin.table.table_model import ObjectsModel

_FLAGS = QItemSelectionModel.SelectionFlag
_Part = TypeVar("_Part")
_ROWS_ASKED = 50


class RowsView(QTableView):
    """Whole rows, of which several may be selected, and what the keyboard does with them.

    Attributes
    ----------
    chosen
        The user selected other rows.
    copied, deleted
        The keys for that were pressed on selected rows.
    opened
        Enter was pressed on a row, or it was clicked twice.
    """

    chosen = Signal()
    copied = Signal()
    deleted = Signal()
    opened = Signal(int)

    def __init__(self, model: ObjectsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._objects = model
        self.setModel(model)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        rows, head = present(self.verticalHeader()), present(self.horizontalHeader())
        rows.setVisible(False)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        head.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        # Of 100,000 rows only some tell how wide a column has to be. With 0, for those on display, Qt asks every row of
        # a table that is closed, at every movement of a slider.
        head.setResizeContentsPrecision(_ROWS_ASKED)
        self._selection().selectionChanged.connect(self.chosen)
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))

    def selected_rows(self) -> NDArray[np.intp]:
        """Return the rows that are selected, ascending; quick for any number of them."""
        selection = self._selection().selection()
        parts = [selection[at] for at in range(len(selection))]
        ranges = [np.arange(part.top(), part.bottom() + 1) for part in parts]
        return np.unique(np.concatenate(ranges)) if ranges else np.empty(0, dtype=np.intp)

    def current_row(self) -> int | None:
        """Return the row that was selected last; None if none is."""
        index, rows = self.currentIndex(), self.selected_rows()
        if index.isValid() and np.isin(index.row(), rows):
            return int(index.row())
        return int(rows[0]) if rows.size else None

    def select_rows(self, rows: NDArray[np.intp], current: int | None = None) -> None:
        """Select these rows alone, without a `chosen`, and scroll to one of them, else the first."""
        selection = self._selection()
        with QSignalBlocker(selection):
            if not rows.size:
                selection.clearSelection()
            else:
                shown = self._objects.index(int(rows[0]) if current is None else current, 0)
                selection.setCurrentIndex(shown, _FLAGS.NoUpdate)
                selection.select(self._ranges(rows), _FLAGS.ClearAndSelect | _FLAGS.Rows)
                self.scrollTo(shown)
        present(self.viewport()).update()

    def show_order(self) -> None:
        """Let the head of the columns say by which one the rows are ordered."""
        head = present(self.horizontalHeader())
        with QSignalBlocker(head):
            head.setSortIndicator(*self._objects.sorted_by)
        self.resizeColumnsToContents()

    def without_choosing(self, change: Callable[[], None]) -> None:
        """Change the rows without a `chosen`."""
        with QSignalBlocker(self._selection()):
            change()

    def event(self, event: QEvent | None) -> bool:
        """Keep our keys from napari's shortcuts while the rows have the focus."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and self._signal_of(event):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Copy, delete and open; all else is Qt's."""
        act = None if event is None else self._signal_of(event)
        if act is None:
            super().keyPressEvent(event)
        elif self.current_row() is not None:
            act()

    def _signal_of(self, event: QKeyEvent) -> Callable[[], None] | None:
        if event.matches(QKeySequence.StandardKey.Copy):
            return self.copied.emit
        if event.matches(QKeySequence.StandardKey.SelectAll):
            return self.selectAll
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            return self.deleted.emit
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return lambda: self.opened.emit(self.current_row())
        return None

    def _ranges(self, rows: NDArray[np.intp]) -> QItemSelection:
        """Give rows that follow each other to Qt as one."""
        selection = QItemSelection()
        for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            selection.select(self._objects.index(int(part[0]), 0), self._objects.index(int(part[-1]), 0))
        return selection

    def _selection(self) -> QItemSelectionModel:
        return present(self.selectionModel())


def present(part: _Part | None) -> _Part:
    """Return what Qt always has, though the types of its bindings doubt it."""
    if part is None:
        raise RuntimeError("A part of the table is missing.")
    return part
