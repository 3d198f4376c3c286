"""The table of objects: rows select objects, objects select rows."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from napari_unetseg.io.table import write_table
from napari_unetseg.language import grouped, mark, tr
from napari_unetseg.plugin.layers.napari_types import LayerArray, LayerMeta
from napari_unetseg.plugin.parts.messages import copy_text
from napari_unetseg.plugin.parts.words import count
from napari_unetseg.plugin.table.column_titles import column_title
from napari_unetseg.plugin.table.edit_watch import EditWatch
from napari_unetseg.plugin.table.histogram import Histogram
from napari_unetseg.plugin.table.rows_view import RowsView
from napari_unetseg.plugin.table.table_model import ObjectsModel
from napari_unetseg.plugin.workers.background import Task, start

EMPTY = mark(
    "No measured objects. Run with Labels ticked, or choose such a layer and Layers > Measure > Measure again."
)
OUTDATED = mark("{objects} · changed by hand since they were measured")
REMOVED = mark("'{layer}' is no longer in the viewer. Choose another layer of labels to see its objects.")
_SAVE_TIP = mark("Writes all rows and columns, in the order of the labels, to a file that spreadsheets open.")
_COLUMN_TIP = mark("Which column the histogram counts. The line marks the selected object.")
_TABLE_TIP = mark(
    "Click a row to select its object, or an object in the image to select its row. Ctrl and Shift select several.\n"
    "Click a title to sort. Double-click a row, or press Enter, to go to its object.\n"
    "Ctrl+C copies the selected rows for a spreadsheet; Delete removes their objects."
)

if TYPE_CHECKING:
    import pandas as pd

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

    Attributes
    ----------
    watch
        Knows whether a layer was changed since it was measured.
    picked
        The user selected rows; with the labels of their objects.
    removal_requested
        With the labels of objects that the user wants to be gone.
    centred
        With the label of an object to go to, and a dict of the plane of its row: index by axis, as ``{"z": 3}``.
    """

    closed = Signal()
    saved = Signal(object)
    failed = Signal(object)
    picked = Signal(object)
    removal_requested = Signal(object)
    centred = Signal(int, object)

    def __init__(self, choose: ChooseTarget = choose_target, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose = choose
        self._layer: Labels | None = None
        self._gone: str | None = None
        self._stale = False
        self.watch = EditWatch(self)
        self.model = ObjectsModel()
        self.view = RowsView(self.model)
        self.histogram = Histogram()
        self.column = QComboBox()
        self.save = QPushButton(tr("Save as CSV..."))
        self.count = QLabel(tr(EMPTY))
        self._arrange()
        self.save.clicked.connect(self._save)
        self.column.currentIndexChanged.connect(self._show_column)
        self.watch.changed.connect(self._show_count)
        self.view.chosen.connect(self._on_rows)
        self.view.copied.connect(lambda: copy_text(self.model.text_of(self.view.selected_rows())))
        self.view.deleted.connect(lambda: self.removal_requested.emit(self.selected_labels()))
        self.view.opened.connect(lambda row: self.centred.emit(self.model.label_at(row), self._place(row)))
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
        self._gone = None if self._layer is None else str(self._layer.name)
        self._layer = layer
        if layer is not None:
            self.watch.watch(layer)
            layer.events.features.connect(self._show)
            layer.events.selected_label.connect(self._on_object)
        self.set_stale(False)
        self._show()

    def set_stale(self, stale: bool) -> None:
        """Grey out what is of before, until new measurements come."""
        self._stale = stale
        for widget in (self.view, self.histogram, self.column, self.save):
            widget.setEnabled(not stale)

    def selected_labels(self) -> NDArray[np.int64]:
        """Return the objects of the selected rows, each once, ascending."""
        return self.model.labels_at(self.view.selected_rows())

    def select(self, labels: NDArray[np.integer]) -> None:
        """Select the rows of objects, because they were selected in the image."""
        if not np.array_equal(np.unique(labels), self.selected_labels()):
            self.view.select_rows(self.model.rows_of(labels))
            self._on_rows()

    def event(self, event: QEvent | None) -> bool:
        """Emit `closed` when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
        return bool(super().event(event))

    def _show(self, event: Any = None) -> None:
        table = _columns(self._layer) if self._layer is not None else {}
        rows = len(table["label"]) if table else 0
        if self._stale and not rows:
            return
        labels = self.selected_labels()
        self.view.without_choosing(lambda: self.model.show_table(table))
        self.view.show_order()
        self.view.select_rows(self.model.rows_of(labels))
        self._offer_columns(table)
        self.save.setEnabled(bool(rows) and not self._stale)
        self._show_column()
        self._on_object()

    def _offer_columns(self, table: dict[str, NDArray[Any]]) -> None:
        numbers = [name for name, values in table.items() if name != "label" and np.issubdtype(values.dtype, np.number)]
        chosen = self.column.currentData()
        if [self.column.itemData(i) for i in range(self.column.count())] != numbers:
            with QSignalBlocker(self.column):
                self.column.clear()
                for name in numbers:
                    self.column.addItem(column_title(name).line, name)
                self.column.setCurrentIndex(max(self.column.findData(chosen), 0) if numbers else -1)

    def _show_count(self) -> None:
        rows, selected = self.model.rowCount(), len(self.view.selected_rows())
        if not rows:
            gone = self._layer is None and self._gone is not None
            self.count.setText(tr(REMOVED).format(layer=self._gone) if gone else tr(EMPTY))
            return
        text = count(rows)
        if selected > 1:
            text = tr("{objects}, {n} selected").format(objects=text, n=grouped(selected))
        outdated = self.watch.is_outdated(self._layer) and not self._stale
        self.count.setText(tr(OUTDATED).format(objects=text) if outdated else text)

    def _show_column(self) -> None:
        name, table = self.column.currentData(), self.model.table
        self.histogram.show_values(table[name].astype(float) if name in table else np.empty(0))
        self._show_selection()

    def _show_selection(self) -> None:
        row, name = self.view.current_row(), self.column.currentData()
        known = row is not None and name in self.model.table
        self.histogram.mark(float(self.model.value_at(row, name)) if row is not None and known else None)
        self._show_count()

    def _on_rows(self) -> None:
        row = self.view.current_row()
        if self._layer is not None and row is not None:
            self._layer.selected_label = self.model.label_at(row)
        self.picked.emit(self.selected_labels())
        self._show_selection()

    def _on_object(self, event: Any = None) -> None:
        if self._layer is not None and int(self._layer.selected_label) not in self.selected_labels():
            self.view.select_rows(self.model.rows_of([int(self._layer.selected_label)]))
        self._show_selection()

    def _place(self, row: int) -> dict[str, int]:
        """Return the plane of a row, by axis; nothing where there is one plane alone."""
        return {name: int(self.model.value_at(row, name)) for name in self.model.table if len(name) == 1}

    def _save(self) -> None:
        if self._layer is None:
            return
        path = self._choose(self, str(self._layer.name))
        if path is None:
            return
        data, meta, _ = self._layer.as_layer_data_tuple()
        # Nobody can paint on labels that are not in memory, and to measure them again would be to read them all.
        measured = _columns(self._layer) if self._layer.multiscale else None
        start(
            Task(lambda _: write_table(path, _saved_columns(data, meta) if measured is None else measured)),
            returned=lambda _: self.saved.emit(path),
            errored=self.failed.emit,
            finished=lambda: None,
        )

    def _arrange(self) -> None:
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
    return {"label" if name == "index" else str(name): _values(features[name]) for name in features.columns}


def _values(column: "pd.Series[Any]") -> NDArray[Any]:
    """Return a column as NumPy has it; numbers of which some are not known as real ones."""
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column) and column.hasnans:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column.to_numpy())


def _saved_columns(data: LayerArray, meta: LayerMeta) -> dict[str, NDArray[Any]]:
    """Return the measurements of the objects as they are now, whatever was painted since they were shown."""
    from napari_unetseg.plugin.layers.exports import table_of_labels  # pandas

    return {str(name): _values(column) for name, column in table_of_labels(data, meta).items()}
