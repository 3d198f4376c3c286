"""Tiles in a grid: a picture with outlines, what was found, and how well it fits; the best one first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.card_text import model_title
from napari_unetseg.plugin.trials.trial_run import TrialTile

if TYPE_CHECKING:
    from napari.utils.theme import Theme

PICTURE = 200
"""Side of a tile's picture on the screen, in pixels."""
_MARGIN = 8
_GAP = 6
_BAR = 4
_TILE = Qt.ItemDataRole.UserRole
_TIP = mark("Click to choose this model and channel. Double-click to run it at once.")
_UNLIKE = mark("looks unlike what it knows")
_FAILED = mark("failed")

Index = QModelIndex | QPersistentModelIndex


def title(tile: TrialTile) -> str:
    """Return ``"Nuclei · channel 2"``."""
    return " · ".join(filter(None, (model_title(tile.trial.package.card), tile.source.name)))


def what_was_found(tile: TrialTile) -> str:
    """Return ``"37 objects · confidence 0.93"``."""
    if tile.trial.error is not None:
        return tr(_FAILED)
    counted = words.count(tile.trial.count)
    if tile.trial.confidence is None:
        return counted
    return f"{counted} · {tr('confidence {mean:.2f}').format(mean=tile.trial.confidence)}"


def remark(tile: TrialTile) -> str:
    """Say why a model failed, or that the image looks unlike what it knows; else nothing."""
    if tile.trial.error is not None:
        return words.describe_error(tile.trial.error).sentence
    return tr(_UNLIKE) if tile.trial.fit is not None and tile.trial.fit.is_unlike else ""


class TileView(QListWidget):
    """A grid of tiles, sorted by how well the image fits the model.

    Attributes
    ----------
    taken
        A tile was chosen, with the mouse or the keyboard.
    run_requested
        A tile was double-clicked.
    """

    taken = Signal(object)
    run_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._painter = _TilePainter(self)
        self.setItemDelegate(self._painter)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSpacing(_GAP)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.itemSelectionChanged.connect(self._on_selected)
        self.itemDoubleClicked.connect(lambda item: self.run_requested.emit(item.data(_TILE)))

    def add(self, tile: TrialTile) -> None:
        """Show a tile at its place; what is chosen stays so."""
        item = QListWidgetItem()
        item.setData(_TILE, tile)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title(tile)}: {what_was_found(tile)}. {remark(tile)}")
        item.setToolTip("\n".join(filter(None, (title(tile), what_was_found(tile), remark(tile), "", tr(_TIP)))))
        ranks = [other.trial.rank for other in self.tiles()]
        self.insertItem(sum(rank >= tile.trial.rank for rank in ranks), item)

    def tiles(self) -> list[TrialTile]:
        """Return the tiles as they are shown."""
        return [item.data(_TILE) for row in range(self.count()) if (item := self.item(row)) is not None]

    def chosen(self) -> TrialTile | None:
        """Return the tile that is chosen, if any."""
        items = self.selectedItems()
        return items[0].data(_TILE) if items else None

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._painter.colours = _Colours.of(theme)
        if (viewport := self.viewport()) is not None:
            viewport.update()

    def _on_selected(self) -> None:
        if (tile := self.chosen()) is not None:
            self.taken.emit(tile)


@dataclass(frozen=True)
class _Colours:
    patch: QColor
    hovered: QColor
    chosen: QColor
    bar: QColor
    good: QColor
    warning: QColor
    error: QColor
    text: QColor

    @classmethod
    def of(cls, theme: "Theme") -> "_Colours":
        named = (theme.foreground, theme.primary, theme.current, theme.primary, theme.current)
        return cls(*(QColor(colour.as_hex()) for colour in (*named, theme.warning, theme.error, theme.text)))


class _TilePainter(QStyledItemDelegate):
    """Draws a tile: picture, title, what was found, a remark, and a bar as long as it fits well."""

    colours: _Colours | None = None

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size of any tile."""
        lines = 3 * (option.fontMetrics.lineSpacing() + 1)
        return QSize(PICTURE + 2 * _MARGIN, PICTURE + lines + _BAR + 2 * _GAP + 2 * _MARGIN)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one."""
        tile, colours = index.data(_TILE), self.colours
        if painter is None or colours is None or tile is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self._draw_patch(painter, option, colours)
        inner = option.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        frame = QRect(inner.left(), inner.top(), PICTURE, PICTURE)
        picture = _pixmap(tile)
        fitted = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(frame.topLeft(), fitted)
        place.moveCenter(frame.center())
        painter.drawPixmap(place, picture)
        bar = QRect(inner.left(), frame.bottom() + _GAP, PICTURE, _BAR)
        self._draw_bar(painter, bar, tile, colours)
        self._draw_words(painter, option, QRect(inner.left(), bar.bottom() + _GAP, PICTURE, inner.height()), tile)
        painter.restore()

    @staticmethod
    def _draw_patch(painter: QPainter, option: QStyleOptionViewItem, colours: _Colours) -> None:
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.setPen(QPen(colours.chosen, 2) if chosen else Qt.PenStyle.NoPen)
        painter.setBrush(colours.hovered if hovered and not chosen else colours.patch)
        painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 5, 5)

    @staticmethod
    def _draw_bar(painter: QPainter, place: QRect, tile: TrialTile, colours: _Colours) -> None:
        fit = tile.trial.fit
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.bar)
        painter.drawRoundedRect(place, 2, 2)
        if fit is not None and tile.trial.count:
            painter.setBrush(colours.warning if fit.is_unlike else colours.good)
            painter.drawRoundedRect(QRect(place.topLeft(), QSize(round(place.width() * fit.score), _BAR)), 2, 2)

    def _draw_words(self, painter: QPainter, option: QStyleOptionViewItem, place: QRect, tile: TrialTile) -> None:
        if self.colours is None:
            return
        bold = QFont(option.font)
        bold.setBold(True)
        height = option.fontMetrics.lineSpacing() + 1
        lines = ((title(tile), bold), (what_was_found(tile), option.font), (remark(tile), option.font))
        for number, (text, font) in enumerate(lines):
            line = QRect(place.left(), place.top() + number * height, place.width(), height)
            if number == 2 and text:
                # A patch of colour, since yellow words could not be read on a light theme.
                sign = self.colours.error if tile.trial.error is not None else self.colours.warning
                patch = QRect(line.left(), line.center().y() - 4, 9, 9)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(sign)
                painter.drawRoundedRect(patch, 2, 2)
                line.setLeft(patch.right() + _GAP)
            painter.setFont(font)
            painter.setPen(self.colours.text)
            elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, line.width())
            painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, elided)


def _pixmap(tile: TrialTile) -> QPixmap:
    height, width, _ = tile.picture.shape
    return QPixmap.fromImage(QImage(tile.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
