"""The wells of a plate as they lie on it, drawn by status or by count."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_unetseg.language import grouped, tr
from napari_unetseg.plugin.parts.badge import GLYPHS
from napari_unetseg.plugin.parts.batch_words import SIGNS
from napari_unetseg.plugin.plate import plate_words
from napari_unetseg.plugin.plate.plate_facts import WellFacts
from napari_unetseg.plugin.plate.well_colours import ColourBy, CountScale, WellColours, readable_on

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_LARGEST_CELL = 72
_SMALLEST_CELL = 14
_TEXT_FROM = 34  # pixels of a cell from which a number fits into it
_WHOLE = 16 * 360  # degrees of a circle as Qt counts them


class WellGrid(QWidget):
    """Draws wells, and lets people choose and open them.

    `chosen_changed` comes when others are chosen, `opened` gives the number of a well that shall be opened.

    Attributes
    ----------
    chosen
        Numbers of the wells that are chosen.
    """

    chosen_changed = Signal()
    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("Wells"))
        self.chosen: set[int] = set()
        self.colour_by: ColourBy = "status"
        self._rows: Sequence[str] = ()
        self._columns: Sequence[str] = ()
        self._wells: list[WellFacts] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._colours: WellColours | None = None
        self._scale: CountScale | None = None
        self._current: int | None = None
        self._from: tuple[int, int] | None = None
        self._before: set[int] = set()

    def show_plate(self, rows: Sequence[str], columns: Sequence[str], wells: Sequence[WellFacts]) -> None:
        """Show a plate, with no well chosen."""
        self._rows, self._columns = rows, columns
        self._numbers = {well.well.place: number for number, well in enumerate(wells)}
        self.chosen, self._current = set(), None
        self.show_wells(wells)
        self.chosen_changed.emit()

    def show_wells(self, wells: Sequence[WellFacts]) -> None:
        """Show how all wells stand now."""
        self._wells = list(wells)
        self._scale = CountScale.of(wells)
        self.update()

    def show_well(self, number: int, facts: WellFacts) -> None:
        """Show how one well stands now."""
        self._wells[number] = facts
        scale = CountScale.of(self._wells)
        if scale == self._scale or self.colour_by == "status":
            self.update(self._cell(facts.well.place).toAlignedRect())
        else:
            self.update()
        self._scale = scale

    def colour(self, by: ColourBy) -> None:
        """Colour the wells by something else."""
        self.colour_by = by
        self.update()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._colours = WellColours.of(theme)
        self.update()

    def choose(self, numbers: Iterable[int]) -> None:
        """Choose wells in place of those that are."""
        chosen = set(numbers)
        if chosen != self.chosen:
            self.chosen = chosen
            self.update()
            self.chosen_changed.emit()

    def centre_of(self, number: int) -> QPoint:
        """Return where the middle of a well is drawn."""
        return self._cell(self._wells[number].well.place).center().toPoint()

    @property
    def scale(self) -> CountScale | None:
        """Which counts the colours stand for; None while nothing is done."""
        return self._scale

    # What Qt asks.

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return room for a plate of 96 wells."""
        return QSize(560, 380)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return room for the smallest cells."""
        return QSize(
            _SMALLEST_CELL * (len(self._columns) + 2), max(_SMALLEST_CELL * (len(self._rows) + 2), 8 * _SMALLEST_CELL)
        )

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw names of rows and columns, and the wells."""
        if event is None or self._colours is None or not self._rows:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_names(painter, self._colours)
        changed = QRectF(event.rect())
        for number, well in enumerate(self._wells):
            if changed.intersects(self._cell(well.well.place)):
                self._draw_well(painter, self._colours, number, well)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Choose the well, row or column under the pointer; with Ctrl besides those that are chosen."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        adds = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        place = self._place_at(event.pos())
        self._before = set(self.chosen) if adds else set()
        if place is None:
            self.choose(self._before)
            return
        numbers = self._numbers_of(place)
        if len(numbers) == 1 and min(place) >= 0:
            self._from, self._current = place, numbers[0]
        # What is chosen already is taken away again.
        self.choose(self._before - set(numbers) if adds and set(numbers) <= self._before else self._before | {*numbers})

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Choose all wells between where the button was pressed and here."""
        if event is None or self._from is None:
            return
        row, column = self._clipped(event.pos())
        rows = range(min(row, self._from[0]), max(row, self._from[0]) + 1)
        columns = range(min(column, self._from[1]), max(column, self._from[1]) + 1)
        if len(rows) * len(columns) > 1:
            between = (self._numbers.get((at, along)) for at in rows for along in columns)
            self.choose(self._before | {number for number in between if number is not None})

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """End dragging."""
        self._from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Open the well under the pointer."""
        number = None if event is None else self._numbers.get(self._place_at(event.pos()) or (-1, -1))
        if number is not None:
            self.opened.emit(number)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Go from well to well by the arrows, choose all with Ctrl+A, open by Enter."""
        if event is None:
            return
        steps = {
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
        }
        key = Qt.Key(event.key())
        if key in steps and self._wells:
            self._go(*steps[key])
        elif key == Qt.Key.Key_A and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.choose(range(len(self._wells)))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current is not None:
            self.opened.emit(self._current)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Tell what is known of the well under the pointer, as its tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self._numbers.get(self._place_at(event.pos()) or (-1, -1))
            tip = tr(plate_words.GRID_TIP) if number is None else plate_words.well_tip(self._wells[number])
            QToolTip.showText(event.globalPos(), tip, self)
            return True
        return bool(super().event(event))

    # Where things are.

    @property
    def _side(self) -> float:
        """Length of a cell: as large as they fit, with one more for the names and some air."""
        width = self.width() / (len(self._columns) + 1.5)
        height = self.height() / (len(self._rows) + 1.5)
        return max(min(width, height, _LARGEST_CELL), _SMALLEST_CELL)

    def _cell(self, place: tuple[int, int]) -> QRectF:
        side = self._side
        return QRectF((place[1] + 1) * side, (place[0] + 1) * side, side, side)

    def _place_at(self, point: QPoint) -> tuple[int, int] | None:
        """Return the row and column of a point, -1 where the names are; None outside of the plate."""
        row, column = int(point.y() // self._side) - 1, int(point.x() // self._side) - 1
        inside = -1 <= row < len(self._rows) and -1 <= column < len(self._columns)
        return (row, column) if inside else None

    def _clipped(self, point: QPoint) -> tuple[int, int]:
        row, column = int(point.y() // self._side) - 1, int(point.x() // self._side) - 1
        return min(max(row, 0), len(self._rows) - 1), min(max(column, 0), len(self._columns) - 1)

    def _numbers_of(self, place: tuple[int, int]) -> list[int]:
        """Return the wells of a place: of a name all of its row or column, of the corner all of the plate."""
        return [
            number
            for (row, column), number in self._numbers.items()
            if place[0] in (-1, row) and place[1] in (-1, column)
        ]

    def _go(self, down: int, right: int) -> None:
        """Go to the next well in a direction, over places without one."""
        if self._current is None:
            self._current = 0
        else:
            row, column = self._wells[self._current].well.place
            while 0 <= row + down < len(self._rows) and 0 <= column + right < len(self._columns):
                row, column = row + down, column + right
                if (row, column) in self._numbers:
                    self._current = self._numbers[row, column]
                    break
        self.choose({self._current})

    # How they look.

    def _draw_names(self, painter: QPainter, colours: WellColours) -> None:
        font = painter.font()
        font.setPixelSize(max(min(int(self._side * 0.42), 14), 8))
        painter.setFont(font)
        painter.setPen(colours.text)
        for row, name in enumerate(self._rows):
            painter.drawText(self._cell((row, -1)), Qt.AlignmentFlag.AlignCenter, name)
        for column, name in enumerate(self._columns):
            painter.drawText(self._cell((-1, column)), Qt.AlignmentFlag.AlignCenter, name)

    def _draw_well(self, painter: QPainter, colours: WellColours, number: int, well: WellFacts) -> None:
        margin = max(self._side * 0.07, 1.0)
        circle = self._cell(well.well.place).adjusted(margin, margin, -margin, -margin)
        is_chosen = number in self.chosen
        painter.setPen(
            QPen(colours.chosen if is_chosen else colours.line, max(self._side * 0.07, 2) if is_chosen else 1)
        )
        painter.setBrush(Qt.BrushStyle.NoBrush)
        status = well.status
        if status is None:
            painter.drawEllipse(circle)
            return
        count = well.objects_a_field
        shown = "" if count is None else grouped(round(count))
        if self.colour_by == "objects":
            fill = colours.statuses["waiting"] if count is None or self._scale is None else self._scale.colour(count)
            share = 1.0
        else:
            fill, shown = colours.statuses[status], GLYPHS[SIGNS[status]] if status != "waiting" else ""
            share = well.share_done if status in ("running", "waiting") else 1.0
        painter.setBrush(colours.statuses["waiting"] if share < 1 else fill)
        painter.drawEllipse(circle)
        if 0 < share < 1:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.statuses["done"] if status == "waiting" else fill)
            # From the top, clockwise.
            painter.drawPie(circle.adjusted(1, 1, -1, -1), _WHOLE // 4, -ceil(_WHOLE * share))
        else:
            self._draw_text(painter, circle, shown, readable_on(painter.brush().color()))

    def _draw_text(self, painter: QPainter, circle: QRectF, text: str, colour: QColor) -> None:
        if not text or (self.colour_by == "objects" and self._side < _TEXT_FROM):
            return
        font = painter.font()
        size = self._side * (0.42 if len(text) < 3 else 0.3 if len(text) < 5 else 0.22)
        font.setPixelSize(max(int(size), 7))
        painter.setFont(font)
        painter.setPen(colour)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, text)
