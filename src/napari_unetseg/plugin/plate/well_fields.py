"""The wells that are chosen: their fields as a table, and what was done to them."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.batch.events import Event
from napari_unetseg.language import grouped, tr
from napari_unetseg.plugin.parts import batch_words
from napari_unetseg.plugin.parts.words import count
from napari_unetseg.plugin.plate import plate_words
from napari_unetseg.plugin.plate.plate_facts import WellFacts

_EVENT = Qt.ItemDataRole.UserRole
_MOST_ROWS = 500
"""Fields that are listed: more are not looked through one by one."""


class WellFields(QWidget):
    """Shows the chosen wells.

    `opened` gives the event of a field that shall be opened, `condition_given` what was done to the chosen wells, and
    `conditions_wanted` comes when those of all wells shall be read from a table.
    """

    opened = Signal(object)
    condition_given = Signal(str)
    conditions_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.table = QTableWidget(0, len(plate_words.FIELD_COLUMNS))
        self.open = QPushButton(tr("Open"))
        self.condition = QLineEdit()
        self.from_table = QPushButton(tr("From CSV..."))
        self._wells: Sequence[WellFacts] = ()
        self._arrange()
        self.table.itemDoubleClicked.connect(lambda item: self.opened.emit(item.data(_EVENT)))
        self.open.clicked.connect(self._open)
        self.condition.editingFinished.connect(self._on_condition)
        self.from_table.clicked.connect(self.conditions_wanted)

    def show_wells(self, wells: Sequence[WellFacts]) -> None:
        """Show how the chosen wells stand, and keep the field that is selected where it is still there."""
        kept = self._selected()
        self._wells = wells
        self.title.setText(self._words(wells))
        events = [(well.well.name, name, event) for well in wells for name, event in _named(well)][:_MOST_ROWS]
        self.table.setRowCount(len(events))
        for row, (well, name, event) in enumerate(events):
            objects = "" if event.objects is None else grouped(event.objects)
            for column, text in enumerate((well, name, batch_words.status(event), objects)):
                self._show_cell(row, column, text, event)
            if kept is not None and event.file == kept.file:
                self.table.selectRow(row)
        self.open.setEnabled(bool(events))
        conditions = {well.condition for well in wells}
        self.condition.setEnabled(bool(wells))
        if not self.condition.hasFocus():
            self.condition.setText(conditions.pop() if len(conditions) == 1 else "")
        self.condition.setPlaceholderText(tr("several") if conditions else "")

    def lock(self, locked: bool) -> None:
        """Keep conditions as they are while a batch writes them."""
        self.condition.setEnabled(not locked and bool(self._wells))
        self.from_table.setEnabled(not locked)

    @staticmethod
    def _words(wells: Sequence[WellFacts]) -> str:
        if not wells:
            return tr("No well is chosen: Run takes all.")
        name = wells[0].well.name if len(wells) == 1 else plate_words.well_count(len(wells))
        objects = [well.objects for well in wells if well.objects is not None]
        return f"{name} · {count(sum(objects))}" if objects else name

    def _show_cell(self, row: int, column: int, text: str, event: Event) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.table.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)
        item.setData(_EVENT, event)
        item.setToolTip(batch_words.message(event) or tr(plate_words.FIELD_LIST_TIP))

    def _selected(self) -> Event | None:
        items = self.table.selectedItems()
        return items[0].data(_EVENT) if items else None

    def _open(self) -> None:
        first = self.table.item(0, 0)
        event = self._selected() or (first.data(_EVENT) if first is not None else None)
        if event is not None:
            self.opened.emit(event)

    def _on_condition(self) -> None:
        text = self.condition.text().strip()
        if any(well.condition != text for well in self._wells) and (text or not self.condition.placeholderText()):
            self.condition_given.emit(text)

    def _arrange(self) -> None:
        self.table.setHorizontalHeaderLabels([tr(name) for name in plate_words.FIELD_COLUMNS])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.setToolTip(tr(plate_words.FIELD_LIST_TIP))
        if (side := self.table.verticalHeader()) is not None:
            side.hide()
            side.setDefaultSectionSize(self.fontMetrics().height() + 8)
        if (top := self.table.horizontalHeader()) is not None:
            top.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            top.setStretchLastSection(True)
            top.setHighlightSections(False)
        for at, width in enumerate((48, 44, 104)):
            self.table.setColumnWidth(at, width)
        self.condition.setToolTip(tr(plate_words.CONDITION_TIP))
        self.from_table.setToolTip(tr(plate_words.CONDITIONS_TIP))
        self.open.setToolTip(tr(plate_words.OPEN_TIP))
        for button in (self.open, self.from_table):
            button.setAutoDefault(False)
        label = QLabel(tr("Condition"))
        label.setBuddy(self.condition)
        condition = QHBoxLayout()
        condition.addWidget(label)
        condition.addWidget(self.condition, 1)
        condition.addWidget(self.from_table)
        top_line = QHBoxLayout()
        top_line.addWidget(self.title, 1)
        top_line.addWidget(self.open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top_line)
        column.addWidget(self.table, 1)
        column.addLayout(condition)


def _named(well: WellFacts) -> list[tuple[str, Event]]:
    """Return the fields of a well with their names."""
    return [(field.name, event) for field, event in zip(well.well.fields, well.events, strict=True)]
