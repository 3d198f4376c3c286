"""The line that somebody is drawing, on top of the canvas."""

from collections.abc import Sequence

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QMainWindow, QWidget

_WIDTH = 2.0
_RIM = 2.0


def canvas_of(window: QWidget) -> QWidget | None:
    """Return the widget in which napari draws images; None if its window has none."""
    middle = window.centralWidget() if isinstance(window, QMainWindow) else None
    if middle is None:
        return None
    # By its name: PyQt5, which napari still takes, has the class in another module.
    return next((child for child in middle.findChildren(QWidget) if child.inherits("QOpenGLWidget")), None)


class DrawnLine(QWidget):
    """Shows a line and lets the mouse through; one that reads on any image, since it is bright with a dark rim.

    Parameters
    ----------
    canvas
        What it lies on.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self._points: list[QPointF] = []
        self.hide()

    def show_points(self, points: Sequence[tuple[float, float]]) -> None:
        """Show a line through places (x, y) of the canvas, or nothing where there are fewer than two."""
        self._points = [QPointF(x, y) for x, y in points]
        canvas = self.parentWidget()
        if len(self._points) < 2 or canvas is None:
            self.hide()
            return
        self.setGeometry(canvas.rect())
        self.raise_()
        self.show()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw the line, and a dot where it began."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = QPolygonF(self._points)
        for color, width in ((QColor(0, 0, 0, 160), _WIDTH + 2 * _RIM), (QColor(255, 255, 255), _WIDTH)):
            painter.setPen(
                QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
            )
            painter.drawPolyline(line)
            painter.drawEllipse(line.first(), _WIDTH, _WIDTH)
