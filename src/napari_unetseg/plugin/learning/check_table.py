"""The images of a data set as a table: a picture with outlines, what there is, and what is odd, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_unetseg.language import tr, translated
from napari_unetseg.plugin.learning import learning_words as words

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.training.data_check import CheckedPair

PICTURE = 72
"""Side of a picture on the screen, in pixels."""
_HEIGHT = 210
_PATCH = 9
_SIGNS = {"good": "✓", "doubtful": "!", "unusable": "✕"}


@dataclass(frozen=True, eq=False)
class PairRow:
    """A pair, and its picture: uint8 (height, width, 3)."""

    pair: "CheckedPair"
    picture: NDArray[np.uint8]


class CheckTable(QTableWidget):
    """One row for each pair; those with remarks stand first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(words.CHECK_COLUMNS), parent)
        self._colours = {"doubtful": QColor("orange"), "unusable": QColor("red")}
        self.setHorizontalHeaderLabels([tr(title) for title in words.CHECK_COLUMNS])
        self.setToolTip(tr(words.CHECK_TIP))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIconSize(QSize(PICTURE, PICTURE))
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(_HEIGHT)
        if (side := self.verticalHeader()) is not None:
            side.hide()
        if (top := self.horizontalHeader()) is not None:
            top.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            top.setStretchLastSection(True)
            top.setHighlightSections(False)
            top.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(0, PICTURE + 8)
        self.setColumnWidth(1, 106)

    def show_rows(self, rows: Sequence[PairRow]) -> None:
        """Show other pairs."""
        order = {"unusable": 0, "doubtful": 1, "good": 2}
        self.setRowCount(0)
        self.setRowCount(len(rows))
        for at, row in enumerate(sorted(rows, key=lambda row: order[row.pair.status])):
            pair = row.pair
            picture = QTableWidgetItem(QIcon(_pixmap(row.picture)), "")
            name = QTableWidgetItem(words.pair_line(pair.name, pair.shape, pair.objects, pair.diameter))
            remarks = "\n".join(translated(remark) for remark in pair.remarks)
            said = QTableWidgetItem(f"{_SIGNS[pair.status]} {remarks}".strip())
            if pair.status != "good":
                # A patch of colour, since yellow words could not be read on a light theme.
                patch = QPixmap(_PATCH, _PATCH)
                patch.fill(self._colours[pair.status])
                said.setData(Qt.ItemDataRole.DecorationRole, patch)
            said.setToolTip(remarks or self.toolTip())
            name.setToolTip(name.text())
            name.setData(Qt.ItemDataRole.UserRole, pair.name)
            for column, item in enumerate((picture, name, said)):
                item.setTextAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
                self.setItem(at, column, item)
        for at in range(len(rows)):
            self.resizeRowToContents(at)
            self.setRowHeight(at, max(self.rowHeight(at), PICTURE + 6))

    def name_of(self, row: int) -> str:
        """Return the name of the pair in a row."""
        item = self.item(row, 1)
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._colours = {"doubtful": QColor(theme.warning.as_hex()), "unusable": QColor(theme.error.as_hex())}


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    height, width, _ = picture.shape
    return QPixmap.fromImage(QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
