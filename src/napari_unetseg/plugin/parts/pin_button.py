"""A button that is pressed in to keep a choice."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QToolButton, QWidget

if TYPE_CHECKING:
    from napari.utils.theme import Theme


class PinButton(QToolButton):
    """A pin: slanted and hollow while it is out, upright and filled while it is in."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self._color, self._faint = QColor("grey"), QColor("grey")

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._color, self._faint = QColor(theme.text.as_hex()), QColor(theme.secondary.as_hex())
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw the pin upon the button."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pinned, color = self.isChecked(), self._color if self.isEnabled() else self._faint
        painter.setPen(QPen(color, 1.3))
        painter.setBrush(color if pinned else Qt.BrushStyle.NoBrush)
        painter.translate(QRectF(self.rect()).center())
        painter.rotate(0 if pinned else 40)
        painter.drawRect(QRectF(-3, -7, 6, 1.5))
        body = ((-2, -5), (2, -5), (2.5, -1), (4.5, 1), (-4.5, 1), (-2.5, -1))
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in body]))
        painter.drawLine(QPointF(0, 1), QPointF(0, 7))
