"""The doubtful objects of the image under review."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.review import review_words

if TYPE_CHECKING:
    from napari_unetseg.batch.doubt import DoubtfulObject

_OBJECT = Qt.ItemDataRole.UserRole
_MOST = 500
"""Rows: whoever has corrected so many segments the image again."""
LIST_KEYS = (
    *(Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End),
    *(Qt.Key.Key_Tab, Qt.Key.Key_Backtab),
)
"""Keys that a list of a review takes for itself; all others are the viewer's."""


class ObjectsView(QListWidget):
    """Lists objects with the reasons for doubt; letters are left to the viewer, whose keys decide.

    Attributes
    ----------
    chosen
        The user went to an object.
    deleted
        The user wants to have one removed.
    """

    chosen = Signal(object)
    deleted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setUniformItemSizes(True)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setToolTip(f"{tr(review_words.OBJECTS_TIP)}\n{tr(review_words.OBJECTS_EDIT_TIP)}")
        self.currentItemChanged.connect(self._on_current)
        self.itemClicked.connect(lambda item: self.chosen.emit(item.data(_OBJECT)))
        self._telling = True

    def show_objects(self, objects: Sequence["DoubtfulObject"]) -> None:
        """Show these instead of the ones before; none is chosen."""
        self._telling = False
        try:
            self.clear()
            for one in objects[:_MOST]:
                text = review_words.object_line(one.label, one.reasons)
                item = QListWidgetItem(text, self)
                item.setData(_OBJECT, one)
                item.setToolTip(f"{text}\n{review_words.doubt(one.doubt)}")
            self.setCurrentRow(-1)
        finally:
            self._telling = True

    def go_on(self, step: int) -> None:
        """Choose the object so many rows further, after the last one the first."""
        if self.count():
            row = self.currentRow()
            self.setCurrentRow((max(row, -1 if step > 0 else 0) + step) % self.count())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Move through the list, and remove; any other key is the viewer's."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            if (item := self.currentItem()) is not None:
                self.deleted.emit(item.data(_OBJECT))
        elif event.key() in LIST_KEYS:
            super().keyPressEvent(event)
        else:
            event.ignore()

    def _on_current(self, item: QListWidgetItem | None, before: QListWidgetItem | None) -> None:
        if self._telling and item is not None:
            self.chosen.emit(item.data(_OBJECT))
