"""The files of a batch as a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_unetseg.batch.events import Event
from napari_unetseg.language import grouped, tr
from napari_unetseg.plugin.folder import folder_words
from napari_unetseg.plugin.parts import batch_words

_NUMBERS = (2, 3)
_NO_PARENT = QModelIndex()


class FileTableModel(QAbstractTableModel):
    """Where each file stands, one row a file.

    Parameters
    ----------
    parent
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._events: list[Event] = []
        self._names: list[str] = []
        self._rows: dict[Path, int] = {}

    def show_files(self, folder: Path, files: Sequence[Path]) -> None:
        """Show files of a folder, all waiting."""
        self.beginResetModel()
        self._events = [Event(file, "waiting") for file in files]
        self._names = [file.relative_to(folder).as_posix() for file in files]
        self._rows = {file: row for row, file in enumerate(files)}
        self.endResetModel()

    def show_event(self, event: Event) -> int | None:
        """Show where a file stands now, and return its row; None if it is not shown."""
        row = self._rows.get(event.file)
        if row is not None:
            self._events[row] = event
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(folder_words.COLUMNS) - 1))
        return row

    def event_at(self, row: int) -> Event:
        """Return what is shown in a row."""
        return self._events[row]

    def rowCount(self, parent: Any = _NO_PARENT) -> int:  # noqa: N802 (Qt's name)
        """Return the number of files."""
        return 0 if parent.isValid() else len(self._events)

    def columnCount(self, parent: Any = _NO_PARENT) -> int:  # noqa: N802 (Qt's name)
        """Return the number of columns."""
        return 0 if parent.isValid() else len(folder_words.COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802 (Qt's name)
        """Return the name of a column."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return tr(folder_words.COLUMNS[section])
        return None

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell, all of it again as its tooltip, and how it is aligned."""
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(index.row(), index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._text(index.row(), index.column()) or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if index.column() in _NUMBERS else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _text(self, row: int, column: int) -> str:
        event = self._events[row]
        objects = "" if event.objects is None else grouped(event.objects)
        return (
            self._names[row],
            batch_words.status(event),
            objects,
            batch_words.time(event),
            batch_words.message(event),
        )[column]


class FileTable(QTableView):
    """Shows a `FileTableModel`, and follows the file that is being segmented."""

    opened = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.files = FileTableModel(self)
        self.setModel(self.files)
        self.setToolTip(tr(folder_words.TABLE_TIP))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        if (side := self.verticalHeader()) is not None:
            side.hide()
            side.setDefaultSectionSize(self.fontMetrics().height() + 8)
        if (top := self.horizontalHeader()) is not None:
            top.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            top.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            top.setStretchLastSection(True)
            top.setHighlightSections(False)
        for column, width in enumerate((220, 140, 70, 64)):
            self.setColumnWidth(column, width)
        self.doubleClicked.connect(lambda index: self.opened.emit(self.files.event_at(index.row())))

    def show_event(self, event: Event) -> None:
        """Show where a file stands now; keep it in sight when its turn comes."""
        row = self.files.show_event(event)
        if row is not None and event.status == "running" and not event.fraction:
            self.scrollTo(self.files.index(row, 0))
