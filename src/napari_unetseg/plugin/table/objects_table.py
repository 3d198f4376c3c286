"""The table of objects: rows select objects, objects select rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.io.table import write_table
from napari_unetseg.language import mark, tr, tr_count
from napari_unetseg.plugin.layers.napari_types import LayerArray, LayerMeta
from napari_unetseg.plugin.table.histogram import Histogram
from napari_unetseg.plugin.table.table_model import ObjectsModel
from napari_unetseg.plugin.workers.background import Task, start

EMPTY = mark(
    "No measured objects. Run with Labels ticked, or choose such a layer and Layers > Measure > Measure again."
)
_SAVE_TIP = mark("Writes all rows and columns, in the order of the labels, to a file that spreadsheets open.")
_COLUMN_TIP = mark("Which column the histogram counts. The line marks the selected object.")
_TABLE_TIP = mark(
    "Click a row to select its object, or an object in the image to select its row.\nClick a title to sort."
)

Part = TypeVar("Part")
ChooseTarget = Callable[[QWidget, str], Path | None]


def choose_target(parent: QWidget, name: str) -> Path | None:
    """Ask where to write a table; None if the user cancels."""
    path, _ = QFileDialog.getSaveFileName(parent, tr("Save the table"), f"{name}.csv", "CSV (*.csv)")
    return Path(path) if path else None


class ObjectTable(QWidget):
    """The measurements in the features of a Labels layer, with a histogram and CSV export.

    Parameters
    ----------
    choose
        Asks where to write the table.
    parent
        Owner.
    """

    closed = Signal()
    saved = Signal(object)
    failed = Signal(object)
    centred = Signal(int)

    def __init__(self, choose: ChooseTarget = choose_target, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose = choose
        self._layer: Labels | None = None
        self._stale = False
        self.model = ObjectsModel()
        self.view = QTableView()
        self.histogram = Histogram()
        self.column = QComboBox()
        self.save = QPushButton(tr("Save as CSV..."))
        self.count = QLabel(tr(EMPTY))
        self._arrange()
        self.save.clicked.connect(self._save)
        self.column.currentTextChanged.connect(self._show_column)
        self._selection().selectionChanged.connect(self._on_row)
        self.view.doubleClicked.connect(lambda index: self.centred.emit(self.model.label_at(index.row())))
        self._show()

    @property
    def layer(self) -> Labels | None:
        """The layer whose objects are shown."""
        return self._layer

    def follow(self, layer: Labels | None) -> None:
        """Show the objects of a layer, and select what is selected there, from now on."""
        if layer is self._layer:
            return
        if self._layer is not None:
            self._layer.events.features.disconnect(self._show)
            self._layer.events.selected_label.disconnect(self._on_object)
        self._layer = layer
        if layer is not None:
            layer.events.features.connect(self._show)
            layer.events.selected_label.connect(self._on_object)
        self.set_stale(False)
        self._show()

    def set_stale(self, stale: bool) -> None:
        """Grey out what is of before, until new measurements come."""
        self._stale = stale
        for widget in (self.view, self.histogram, self.column, self.save):
            widget.setEnabled(not stale)

    def event(self, event: QEvent | None) -> bool:
        """Emit `closed` when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
        return bool(super().event(event))

    def _show(self, event: Any = None) -> None:
        table = _columns(self._layer) if self._layer is not None else {}
        count = len(table["label"]) if table else 0
        if self._stale and not count:
            return
        with QSignalBlocker(self._selection()):
            self.model.show_table(table)
        chosen = self.column.currentText()
        numbers = [name for name, values in table.items() if name != "label" and np.issubdtype(values.dtype, np.number)]
        if [self.column.itemText(i) for i in range(self.column.count())] != numbers:
            with QSignalBlocker(self.column):
                self.column.clear()
                self.column.addItems(numbers)
                self.column.setCurrentText(chosen if chosen in numbers else next(iter(numbers), ""))
        self.count.setText(tr_count("{n} object", "{n} objects", count).format(n=f"{count:,}") if count else tr(EMPTY))
        self.save.setEnabled(bool(count) and not self._stale)
        self._show_column()
        self._on_object()

    def _show_column(self) -> None:
        name = self.column.currentText()
        table = self.model.table
        self.histogram.show_values(table[name].astype(float) if name in table else np.empty(0))
        self._mark()

    def _mark(self) -> None:
        rows, name = self._selection().selectedRows(), self.column.currentText()
        value = None
        if rows and name in self.model.table:
            table = self.model.table
            value = float(table[name][table["label"] == self.model.label_at(rows[0].row())][0])
        self.histogram.mark(value)

    def _on_row(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        rows = self._selection().selectedRows()
        if self._layer is not None and rows:
            self._layer.selected_label = self.model.label_at(rows[0].row())
        self._mark()

    def _on_object(self, event: Any = None) -> None:
        row = self.model.row_of(int(self._layer.selected_label)) if self._layer is not None else None
        selection = self._selection()
        with QSignalBlocker(selection):
            if row is None:
                selection.clearSelection()
            else:
                flags = QItemSelectionModel.SelectionFlag
                index = self.model.index(row, 0)
                selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
                self.view.scrollTo(index)
        _present(self.view.viewport()).update()
        self._mark()

    def _selection(self) -> QItemSelectionModel:
        return _present(self.view.selectionModel())

    def _save(self) -> None:
        if self._layer is None:
            return
        path = self._choose(self, str(self._layer.name))
        if path is None:
            return
        data, meta, _ = self._layer.as_layer_data_tuple()
        start(
            Task(lambda _: write_table(path, _saved_columns(data, meta))),
            returned=lambda _: self.saved.emit(path),
            errored=self.failed.emit,
            finished=lambda: None,
        )

    def _arrange(self) -> None:
        self.view.setModel(self.model)
        self.view.setSortingEnabled(True)
        _present(self.view.horizontalHeader()).setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        rows = _present(self.view.verticalHeader())
        rows.setVisible(False)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setToolTip(tr(_TABLE_TIP))
        self.column.setToolTip(tr(_COLUMN_TIP))
        self.save.setToolTip(tr(_SAVE_TIP))
        side = QWidget()
        side_column = QVBoxLayout(side)
        side_column.setContentsMargins(0, 0, 0, 0)
        side_column.addWidget(self.column)
        side_column.addWidget(self.histogram, 1)
        parts = QSplitter(Qt.Orientation.Horizontal)
        parts.addWidget(self.view)
        parts.addWidget(side)
        parts.setStretchFactor(0, 1)
        line = QHBoxLayout()
        line.addWidget(self.count)
        line.addStretch()
        line.addWidget(self.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(parts, 1)


def _columns(layer: Labels) -> dict[str, NDArray[Any]]:
    """Return the measurements of a layer, the objects' numbers as ``label``; empty where it has none."""
    features = layer.features
    if "index" not in features:
        return {}
    return {"label" if name == "index" else str(name): features[name].to_numpy() for name in features.columns}


def _saved_columns(data: LayerArray, meta: LayerMeta) -> dict[str, NDArray[Any]]:
    """Return the measurements of the objects as they are now, whatever was painted since they were shown."""
    from napari_unetseg.plugin.layers.exports import table_of_labels  # pandas

    return {str(name): values.to_numpy() for name, values in table_of_labels(data, meta).items()}


def _present(part: Part | None) -> Part:
    """Return what Qt always has, though the types of its bindings doubt it."""
    if part is None:
        raise RuntimeError("A part of the table is missing.")
    return part
