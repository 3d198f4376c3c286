"""The images of a review as a list: picture, name, why it is doubtful, and what was decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QFont, QImage, QKeyEvent, QPainter, QPen, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from napari_unetseg.batch.places import short_name
from napari_unetseg.language import tr
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.objects_view import LIST_KEYS
from napari_unetseg.plugin.review.thumbnails import SIDE, Thumbnails

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.batch.folder_journal import Verdict
    from napari_unetseg.batch.folder_review import ReviewItem

_PICTURE = SIDE // 2
"""Side of a picture on the screen, in pixels; it has twice as many of its own, for dense screens."""
_MARGIN = 6
_GAP = 8
_BAR = 4
_ITEM = Qt.ItemDataRole.UserRole
_NO_PARENT = QModelIndex()
_LOOK_MS = 60  # without another movement, before pictures are asked for

Index = QModelIndex | QPersistentModelIndex


class QueueModel(QAbstractListModel):
    """The images that the list shows, the most doubtful one first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: list[ReviewItem] = []
        self._rows: dict[Path, int] = {}

    def show_items(self, items: Sequence["ReviewItem"]) -> None:
        """Show these instead of the ones before."""
        self.beginResetModel()
        self._items = list(items)
        self._rows = {item.file: row for row, item in enumerate(self._items)}
        self.endResetModel()

    def replace(self, item: "ReviewItem") -> None:
        """Show what is known of an image now."""
        row = self._rows.get(item.file)
        if row is not None:
            self._items[row] = item
            self.tell(item.file)

    def tell(self, file: Path) -> None:
        """Have an image drawn again."""
        row = self._rows.get(file)
        if row is not None:
            self.dataChanged.emit(self.index(row, 0), self.index(row, 0))

    def row_of(self, file: Path) -> int | None:
        """Return the row of an image; None if it is not shown."""
        return self._rows.get(file)

    def item_at(self, row: int) -> "ReviewItem | None":
        """Return the image of a row."""
        return self._items[row] if 0 <= row < len(self._items) else None

    def rowCount(self, parent: Any = _NO_PARENT) -> int:  # noqa: N802 (Qt's name)
        """Return the number of images."""
        return 0 if parent.isValid() else len(self._items)

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the image of a row, and all that is said of it."""
        item = self.item_at(index.row())
        if item is None:
            return None
        if role == _ITEM:
            return item
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(filter(None, (str(item.file), _second_line(item), review_words.reasons(item))))
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{short_name(item.file)}: {_second_line(item)}. {review_words.reasons(item)}"
        return None


class QueueView(QListView):
    """Shows a `QueueModel`; letters are left to the viewer, whose keys decide.

    Parameters
    ----------
    thumbnails
        Make the pictures of what is in sight.

    Attributes
    ----------
    chosen
        The user went to another image.
    """

    chosen = Signal(object)

    def __init__(self, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.queue = QueueModel(self)
        self.setModel(self.queue)
        self._thumbnails = thumbnails
        self._painter = _RowPainter(thumbnails.picture, self)
        self.setItemDelegate(self._painter)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setToolTip(tr(review_words.LIST_TIP))
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._ask_for_pictures)
        self._telling = True
        thumbnails.made.connect(self.queue.tell)
        self.queue.modelReset.connect(self._look.start)
        if (bar := self.verticalScrollBar()) is not None:
            bar.valueChanged.connect(lambda _: self._look.start())
        if (selection := self.selectionModel()) is not None:
            selection.currentChanged.connect(self._on_current)

    def current(self) -> "ReviewItem | None":
        """Return the image that is chosen."""
        return self.queue.item_at(self.currentIndex().row())

    def choose(self, file: Path | None) -> None:
        """Choose an image without a `chosen`; None chooses none."""
        row = None if file is None else self.queue.row_of(file)
        self._telling = False
        try:
            self.setCurrentIndex(QModelIndex() if row is None else self.queue.index(row, 0))
        finally:
            self._telling = True

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._painter.colours = RowColours.of(theme)
        if (viewport := self.viewport()) is not None:
            viewport.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Move through the list; any other key is the viewer's."""
        if event is not None and event.key() in LIST_KEYS:
            super().keyPressEvent(event)
        elif event is not None:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Ask for the pictures that came into sight."""
        super().resizeEvent(event)
        self._look.start()

    def _on_current(self, index: QModelIndex, before: QModelIndex) -> None:
        item = self.queue.item_at(index.row())
        if self._telling and item is not None:
            self.chosen.emit(item)

    def _ask_for_pictures(self) -> None:
        if (viewport := self.viewport()) is None:
            return
        first = max(self.indexAt(viewport.rect().topLeft()).row(), 0)
        shown = viewport.height() // max(self._painter.height, 1) + 2
        rows = range(first, min(first + 2 * shown, self.queue.rowCount()))
        self._thumbnails.want([item for row in rows if (item := self.queue.item_at(row)) is not None])


@dataclass(frozen=True)
class RowColours:
    """Colours of a row, from a theme of napari."""

    patch: QColor
    hovered: QColor
    chosen: QColor
    bar: QColor
    doubt: QColor
    good: QColor
    bad: QColor
    text: QColor

    @classmethod
    def of(cls, theme: "Theme") -> "RowColours":
        """Take those of a theme."""
        named = (theme.foreground, theme.primary, theme.current, theme.primary)
        rest = (theme.warning, theme.current, theme.error, theme.text)
        return cls(*(QColor(colour.as_hex()) for colour in (*named, *rest)))

    @property
    def dim(self) -> QColor:
        """Of text that is not the main thing."""
        dim = QColor(self.text)
        dim.setAlphaF(0.75)
        return dim


class _RowPainter(QStyledItemDelegate):
    """Draws a row: picture, name, how doubtful it is, and why."""

    colours: RowColours | None = None
    height = _PICTURE + 2 * _MARGIN

    def __init__(self, picture: Callable[[Path], NDArray[np.uint8] | None], parent: QWidget) -> None:
        super().__init__(parent)
        self._picture = picture

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size of any row; it is as wide as the list."""
        lines = 4 * (option.fontMetrics.lineSpacing() + 1) + _BAR
        self.height = max(_PICTURE, lines) + 2 * _MARGIN
        return QSize(_PICTURE + 2 * _MARGIN, self.height)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one."""
        item, colours = index.data(_ITEM), self.colours
        if painter is None or colours is None or item is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.setPen(QPen(colours.chosen, 2) if chosen else Qt.PenStyle.NoPen)
        painter.setBrush(colours.hovered if hovered and not chosen else colours.patch)
        painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 4, 4)
        inner = option.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        self._draw_picture(painter, QRect(inner.left(), inner.top(), _PICTURE, inner.height()), item, colours)
        text = inner.adjusted(_PICTURE + _GAP, 0, 0, 0)
        self._draw_words(painter, option, text, item, colours)
        painter.restore()

    def _draw_picture(self, painter: QPainter, place: QRect, item: "ReviewItem", colours: RowColours) -> None:
        picture = self._picture(item.file)
        if picture is None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.bar)
            painter.drawRoundedRect(place, 2, 2)
            return
        pixmap = _pixmap(picture)
        fitted = QRect(place.topLeft(), pixmap.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio))
        fitted.moveCenter(place.center())
        painter.drawPixmap(fitted, pixmap)

    def _draw_words(
        self, painter: QPainter, option: QStyleOptionViewItem, place: QRect, item: "ReviewItem", colours: RowColours
    ) -> None:
        bold = QFont(option.font)
        bold.setBold(True)
        height = option.fontMetrics.lineSpacing() + 1
        name = QRect(place.left(), place.top(), place.width(), height)
        if item.decision is not None:
            self._draw_sign(painter, name, item.decision, colours)
            name.setRight(name.right() - height - 2)
        painter.setFont(bold)
        painter.setPen(colours.text)
        elide = Qt.TextElideMode.ElideMiddle
        painter.drawText(name, _LINE, painter.fontMetrics().elidedText(short_name(item.file), elide, name.width()))
        bar = QRect(place.left(), name.bottom() + 3, place.width(), _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.bar)
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(colours.doubt)
        painter.drawRoundedRect(QRect(bar.topLeft(), QSize(round(bar.width() * item.doubt), _BAR)), 2, 2)
        painter.setFont(option.font)
        second = QRect(place.left(), bar.bottom() + 2, place.width(), height)
        painter.setPen(colours.dim)
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(second, _LINE, painter.fontMetrics().elidedText(_second_line(item), elide, second.width()))
        painter.setPen(colours.text)
        left = QRect(place.left(), second.bottom(), place.width(), place.bottom() - second.bottom())
        _draw_elided(painter, left, review_words.reasons(item))

    def _draw_sign(self, painter: QPainter, line: QRect, decision: "Verdict", colours: RowColours) -> None:
        """Draw what was decided as a glyph on a patch, since a colour alone would say it to few."""
        side = line.height()
        patch = QRect(line.right() - side + 1, line.top(), side, side)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.bad if decision == "rejected" else colours.good)
        painter.drawRoundedRect(patch, side // 2, side // 2)
        painter.setPen(colours.text)
        painter.drawText(patch, Qt.AlignmentFlag.AlignCenter, review_words.SIGNS[decision])


_LINE = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def _draw_elided(painter: QPainter, place: QRect, text: str) -> None:
    """Draw as many lines of a text as there is room for; three dots say that there are more."""
    metrics = painter.fontMetrics()
    flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
    shown = text
    while (
        shown and metrics.boundingRect(QRect(0, 0, place.width(), 10_000), int(flags), shown).height() > place.height()
    ):
        shown = shown.removesuffix("…").rsplit(" ", 1)[0].rstrip(" .,:") + "…" if " " in shown else ""
    painter.drawText(place, int(flags), shown)


def _second_line(item: "ReviewItem") -> str:
    """Return ``"corrected · doubt 42 % · 3 doubtful objects"``."""
    decided = [tr(review_words.DECISIONS[item.decision])] if item.decision is not None else []
    objects = [review_words.doubtful(len(item.objects))] if item.objects else []
    return " · ".join([*decided, review_words.doubt(item.doubt), *objects])


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    height, width, _ = picture.shape
    return QPixmap.fromImage(QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
