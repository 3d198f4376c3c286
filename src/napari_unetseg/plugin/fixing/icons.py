"""Pictures of the tools, in the colours of napari's theme."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

if TYPE_CHECKING:
    from napari.utils.theme import Theme

HEIGHT, WIDTH = 22, 44
_SHARPNESS = 3
"""Pixels of a picture for each of the screen, so that it is sharp on finer screens."""


def icon(name: str, theme: "Theme", key: str = "") -> QIcon:
    """Draw a picture; what cannot be pressed is faint.

    Parameters
    ----------
    name
        A kind of fix, ``"undo"`` or ``"redo"``.
    theme
        Gives the colours.
    key
        A letter to show beside it.
    """
    pictures = QIcon()
    width = WIDTH if key else HEIGHT
    faint = QColor(theme.text.as_hex())
    faint.setAlphaF(0.35)
    for color, mode in ((QColor(theme.text.as_hex()), QIcon.Mode.Normal), (faint, QIcon.Mode.Disabled)):
        picture = QPixmap(width * _SHARPNESS, HEIGHT * _SHARPNESS)
        picture.setDevicePixelRatio(_SHARPNESS)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(color, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        painter.translate(width / 2, HEIGHT / 2)
        _PICTURES[name](painter, color)
        _write(painter, key)
        painter.end()
        pictures.addPixmap(picture, mode)
    return pictures


def _write(painter: QPainter, key: str) -> None:
    """Write a letter to the right of a picture."""
    font = painter.font()
    font.setPixelSize(11)
    painter.setFont(font)
    painter.drawText(QRectF(11, -HEIGHT / 2, WIDTH / 2 - 11, HEIGHT), Qt.AlignmentFlag.AlignCenter, key)


def _disc(painter: QPainter, radius: float, x: float = 0, y: float = 0) -> None:
    painter.drawEllipse(QPointF(x, y), radius, radius)


def _line(painter: QPainter, *ends: float) -> None:
    painter.drawLine(QPointF(*ends[:2]), QPointF(*ends[2:]))


def _add(painter: QPainter, color: QColor) -> None:
    _disc(painter, 8.5)
    _line(painter, -4, 0, 4, 0)
    _line(painter, 0, -4, 0, 4)


def _remove(painter: QPainter, color: QColor) -> None:
    _disc(painter, 8.5)
    _line(painter, -3, -3, 3, 3)
    _line(painter, -3, 3, 3, -3)


def _split(painter: QPainter, color: QColor) -> None:
    painter.drawArc(QRectF(-9.5, -7, 14, 14), 60 * 16, 240 * 16)
    painter.drawArc(QRectF(-4.5, -7, 14, 14), -120 * 16, 240 * 16)
    _line(painter, 0, -9.5, 0, 9.5)


def _merge(painter: QPainter, color: QColor) -> None:
    _disc(painter, 4, -6)
    _disc(painter, 4, 6)
    painter.setPen(QPen(color, 3.2))
    _line(painter, -4, 0, 4, 0)


def _arrow(painter: QPainter, angle: float, first: float, last: float) -> None:
    """Draw an arrow along a ray, towards its end."""
    painter.save()
    painter.rotate(angle)
    _line(painter, first, 0, last, 0)
    back = 2.4 if last > first else -2.4
    _line(painter, last, 0, last - back, -2.4)
    _line(painter, last, 0, last - back, 2.4)
    painter.restore()


def _grow(painter: QPainter, color: QColor) -> None:
    _disc(painter, 3.5)
    for angle in (45, 135, 225, 315):
        _arrow(painter, angle, 5.5, 10.5)


def _shrink(painter: QPainter, color: QColor) -> None:
    _disc(painter, 3)
    for angle in (45, 135, 225, 315):
        _arrow(painter, angle, 11.5, 5.5)


def _turn(painter: QPainter, color: QColor) -> None:
    painter.drawArc(QRectF(-6, -5, 13, 11), -90 * 16, 200 * 16)
    _line(painter, -6.5, 0.5, -9, -3.5)
    _line(painter, -6.5, 0.5, -2.5, -1.5)


def _turn_back(painter: QPainter, color: QColor) -> None:
    painter.scale(-1, 1)
    _turn(painter, color)


_PICTURES: dict[str, Callable[[QPainter, QColor], None]] = {
    "add": _add,
    "remove": _remove,
    "split": _split,
    "merge": _merge,
    "grow": _grow,
    "shrink": _shrink,
    "undo": _turn,
    "redo": _turn_back,
}
