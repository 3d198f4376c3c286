"""Labels of the viewer to tick: what to learn from."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from napari.layers import Labels
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.labelled_planes import LabelledPlane

_PLANE = Qt.ItemDataRole.UserRole
_LINES = 4


class LabelsList(QListWidget):
    """One line for each `LabelledPlane`, with a box. What the user ticked or unticked stays so.

    Parameters
    ----------
    tip
        What is ticked.
    parent
        Owner.
    """

    ticked_changed = Signal()

    def __init__(self, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ticked: Callable[[LabelledPlane], bool] = lambda plane: False
        self._chosen: WeakKeyDictionary[Labels, bool] = WeakKeyDictionary()
        self.setToolTip(tip)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setFixedHeight(_LINES * (self.fontMetrics().height() + 8) + 6)
        self.itemChanged.connect(self._on_item)

    def set_ticked(self, ticked: Callable[[LabelledPlane], bool]) -> None:
        """Tick other planes that are new here."""
        self._ticked = ticked

    def show_planes(self, planes: Sequence[LabelledPlane]) -> None:
        """Offer other planes, or the same ones under other names."""
        before = self.ticked()
        self.blockSignals(True)
        self.clear()
        for plane in planes:
            name = (
                plane.name
                if plane.labels.name == f"{plane.image.name} labels"
                else f"{plane.labels.name} {plane.place}"
            )
            item = QListWidgetItem(words.labels_line(name.strip(), plane.changed))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setData(_PLANE, plane)
            lies_on = tr("'{labels}' on '{image}'").format(labels=plane.labels.name, image=plane.image.name)
            item.setToolTip(f"{lies_on}\n{self.toolTip()}")
            wanted = self._chosen.get(plane.labels, self._ticked(plane))
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
            self.addItem(item)
        self.blockSignals(False)
        if [plane.labels for plane in before] != [plane.labels for plane in self.ticked()]:
            self.ticked_changed.emit()

    def planes(self) -> list[LabelledPlane]:
        """Return all that are offered."""
        return [item.data(_PLANE) for item in self._items()]

    def ticked(self) -> list[LabelledPlane]:
        """Return those that are ticked."""
        return [item.data(_PLANE) for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    def _items(self) -> list[QListWidgetItem]:
        return [item for row in range(self.count()) if (item := self.item(row)) is not None]

    def _on_item(self, item: QListWidgetItem) -> None:
        self._chosen[item.data(_PLANE).labels] = item.checkState() == Qt.CheckState.Checked
        self.ticked_changed.emit()
