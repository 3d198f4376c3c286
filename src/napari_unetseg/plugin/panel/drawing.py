"""Small painted widgets: a bar of one or two parts, a line of recent values, text of a fixed height."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from superqt import QElidingLabel

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_PADDING = 4


class Lines(QLabel):
    """Text that always takes the height of `lines` lines; what does not fit ends in an ellipsis, and in the tooltip.

    Parameters
    ----------
    lines
        Height in lines of text.
    tip
        What the text is about; the tooltip begins with it.
    """

    def __init__(self, lines: int, tip: str = "") -> None:
        super().__init__()
        self._lines, self._tip, self._full = lines, tip, ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        # Under a style sheet labels are framed, and a framed label's default indent cuts off the last line.
        self.setIndent(0)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fix_height()
        self.say("")

    @property
    def full(self) -> str:
        """The whole text."""
        return self._full

    def say(self, text: str) -> None:
        """Show another text."""
        self._full = text
        self.setToolTip("\n\n".join(part for part in (self._tip, text) if part))
        self._elide()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Break the lines again."""
        super().resizeEvent(event)
        self._elide()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow napari's font size."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fix_height()
            self._elide()

    def _fix_height(self) -> None:
        self.setFixedHeight(self._lines * self.fontMetrics().lineSpacing() + _PADDING)

    def _elide(self) -> None:
        width = max(self.width() - _PADDING, 1)
        lines = QElidingLabel.wrapText(" ".join(self._full.split()), width, self.font())
        last = "".join(lines[self._lines - 1 :])
        kept = [*lines[: self._lines - 1], self.fontMetrics().elidedText(last, Qt.TextElideMode.ElideRight, width)]
        self.setText("\n".join(line.rstrip() for line in kept if line))


class Bar(QWidget):
    """A bar of up to two parts on a track; without parts, the track alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.parts: tuple[float, ...] = ()
        self._colours = (QColor("black"), QColor("gray"))
        self._track = QColor("lightgray")
        self.setFixedHeight(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_parts(self, parts: Sequence[float]) -> None:
        """Show other parts of the whole, each in 0..1, side by side from the left."""
        self.parts = tuple(parts)
        self.update()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._colours = (_accent(theme), QColor(theme.highlight.as_hex()))
        self._track = QColor(theme.foreground.as_hex())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a width that leaves room for words."""
        return QSize(48, 8)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the track and the parts."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(self._colours[1], 1))
        painter.setBrush(self._track)
        painter.drawRoundedRect(frame, 2, 2)
        painter.setPen(Qt.PenStyle.NoPen)
        left = frame.left()
        for part, colour in zip(self.parts, self._colours, strict=False):
            right = min(left + part * frame.width(), frame.right())
            painter.fillRect(QRectF(left, frame.top(), right - left, frame.height()), colour)
            left = right
        painter.end()


class Sparkline(QWidget):
    """The last values as a line over zero, newest at the right; the top of the widget is the largest of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values: tuple[float, ...] = ()
        self._line, self._fill, self._base = QColor("black"), QColor("lightgray"), QColor("gray")
        self.setFixedHeight(30)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_values(self, values: Sequence[float]) -> None:
        """Show other values, oldest first, none below zero."""
        self.values = tuple(values)
        self.update()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._line, self._base = _accent(theme), QColor(theme.highlight.as_hex())
        self._fill = QColor(self._line)
        self._fill.setAlpha(60)
        self.update()

    def points(self) -> list[QPointF]:
        """Return where the values lie in this widget's pixels."""
        if not self.values:
            return []
        frame = QRectF(self.rect()).adjusted(1, 3, -4, -1.5)
        top = max(self.values) or 1.0
        step = frame.width() / max(len(self.values) - 1, 1)
        # A single value lies at the right, where the newest always is.
        first = frame.right() - step * (len(self.values) - 1)
        return [
            QPointF(first + index * step, frame.bottom() - value / top * frame.height())
            for index, value in enumerate(self.values)
        ]

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the base line, the values and a dot on the newest."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bottom = self.height() - 1.0
        painter.setPen(QPen(self._base, 1))
        painter.drawLine(QPointF(0, bottom), QPointF(self.width(), bottom))
        if points := self.points():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._fill)
            painter.drawPolygon(QPolygonF([QPointF(points[0].x(), bottom), *points, QPointF(points[-1].x(), bottom)]))
            painter.setPen(QPen(self._line, 1.5))
            painter.drawPolyline(QPolygonF(points))
            painter.setBrush(self._line)
            painter.drawEllipse(points[-1], 2, 2)
        painter.end()


def _accent(theme: "Theme") -> QColor:
    """Return a colour of the theme that stands out from its background in both themes."""
    return QColor(theme.icon.as_hex())
