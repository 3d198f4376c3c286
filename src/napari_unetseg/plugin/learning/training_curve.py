"""The curves of a training run, drawn by Qt: what the network gets wrong, and how well it scores."""

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_unetseg.language import tr

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_HEIGHT = 150
_MOST_POINTS = 600
_SMOOTHED = 10
"""Over about how many steps the drawn loss is averaged: that of single steps jumps."""
_DOT = 3.5
_LIGHT = 127


class TrainingCurve(QWidget):
    """Loss and score over the time of a run; the score of the model as it was, if any, is a dashed line.

    The score has the scale at the left, 0 to 1. The loss begins at zero, too, and fills the height.

    Attributes
    ----------
    losses, scores
        Seconds and value of each, in the order of time; those of `losses` are smoothed.
    before
        Score of the model that is improved.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: list[tuple[float, float]] = []
        self.scores: list[tuple[float, float]] = []
        self.before: float | None = None
        self._metric, self._steps = "", 0
        self._seconds = 0.0
        self._text, self._grid = QColor("black"), QColor("lightgray")
        self._score, self._loss = QColor("black"), QColor("gray")
        self.setMinimumSize(160, _HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size it likes."""
        return QSize(320, _HEIGHT)

    def begin(self, seconds: float) -> None:
        """Forget the curves there are, for a run that is likely to take so long."""
        self.losses, self.scores, self.before, self._metric = [], [], None, ""
        self._steps = 0
        self._seconds = max(seconds, 1.0)
        self.update()

    def show_metric(self, metric: str, before: float | None) -> None:
        """Say which score it is, and what the model had before."""
        self._metric, self.before = metric, before
        self.update()

    def add_loss(self, seconds: float, loss: float) -> None:
        """Add the loss of a step; what is no number is left out."""
        if not math.isfinite(loss):
            return
        self._steps += 1
        if self.losses:
            before = self.losses[-1][1]
            loss = before + (loss - before) / min(self._steps, _SMOOTHED)
        self.losses.append((seconds, loss))
        if len(self.losses) > 2 * _MOST_POINTS:
            self.losses = [*self.losses[:-1:2], self.losses[-1]]
        self._stretch(seconds)

    def add_score(self, seconds: float, score: float) -> None:
        """Add the score of a validation."""
        if math.isfinite(score):
            self.scores.append((seconds, score))
        self._stretch(seconds)

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._text, self._grid = QColor(theme.text.as_hex()), QColor(theme.primary.as_hex())
        self._score, self._loss = QColor(theme.current.as_hex()), QColor(theme.text.as_hex())
        if QColor(theme.background.as_hex()).lightness() > _LIGHT:
            self._score = self._score.darker(170)
        self._loss.setAlpha(130)
        self.update()

    def _stretch(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)
        self.update()

    def frame(self) -> QRectF:
        """Return where the curves are drawn, in this widget's pixels."""
        metrics = self.fontMetrics()
        left = metrics.horizontalAdvance("0.5") + 8
        line = metrics.height()
        return QRectF(left, line + 6, self.width() - left - 8, self.height() - 2 * line - 14)

    def score_points(self) -> list[QPointF]:
        """Return where the scores lie in this widget's pixels."""
        frame = self.frame()
        return [
            QPointF(self._x(seconds, frame), frame.bottom() - score * frame.height()) for seconds, score in self.scores
        ]

    def loss_points(self) -> list[QPointF]:
        """Return where the losses lie in this widget's pixels."""
        if not self.losses:
            return []
        frame = self.frame()
        # The first steps may be far above the rest, which would be flat beside them.
        later = [loss for _, loss in self.losses[bisect_left(self.losses, (0.02 * self._seconds, 0.0)) :]]
        values = later or [loss for _, loss in self.losses]
        # From zero, so that a little less does not look like much.
        reach = 1.15 * max(max(values), 1e-9)
        return [
            QPointF(self._x(seconds, frame), frame.bottom() - min(max(loss / reach, 0.0), 1.0) * frame.height())
            for seconds, loss in self.losses
        ]

    def _x(self, seconds: float, frame: QRectF) -> float:
        return frame.left() + frame.width() * seconds / max(self._seconds, 1.0)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw the scales, both curves, and what they are."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = self.frame()
        self._draw_scales(painter, frame)
        painter.setPen(QPen(self._loss, 1.3))
        painter.drawPolyline(QPolygonF(self.loss_points()))
        if self.before is not None:
            y = frame.bottom() - self.before * frame.height()
            painter.setPen(QPen(self._score, 1.2, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
        points = self.score_points()
        painter.setPen(QPen(self._score, 2))
        painter.drawPolyline(QPolygonF(points))
        painter.setBrush(self._score)
        painter.setPen(Qt.PenStyle.NoPen)
        for point in points:
            painter.drawEllipse(point, _DOT, _DOT)
        self._draw_legend(painter, frame)
        painter.end()

    def _draw_scales(self, painter: QPainter, frame: QRectF) -> None:
        line = self.fontMetrics().height()
        for share in (0.0, 0.5, 1.0):
            y = frame.bottom() - share * frame.height()
            painter.setPen(QPen(self._grid, 1))
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
            painter.setPen(self._text)
            place = QRectF(0, y - line / 2, frame.left() - 5, line)
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{share:g}")
        below = QRectF(frame.left(), frame.bottom() + 4, frame.width(), line)
        if self._seconds:
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
            painter.drawText(below, Qt.AlignmentFlag.AlignRight, _clock(self._seconds))

    def _draw_legend(self, painter: QPainter, frame: QRectF) -> None:
        """Name the curves above them, each after a piece of its line."""
        words = [(tr("error"), self._loss, Qt.PenStyle.SolidLine, 1.3)] if self._seconds else []
        if self._metric:
            words.insert(0, (self._metric, self._score, Qt.PenStyle.SolidLine, 2.0))
        if self.before is not None:
            words.insert(1, (tr("before"), self._score, Qt.PenStyle.DashLine, 1.2))
        metrics, x = self.fontMetrics(), frame.left()
        for text, colour, style, width in words:
            middle = metrics.height() / 2 + 1
            painter.setPen(QPen(colour, width, style))
            painter.drawLine(QPointF(x, middle), QPointF(x + 16, middle))
            painter.setPen(self._text)
            advance = metrics.horizontalAdvance(text)
            painter.drawText(QRectF(x + 20, 1, advance + 2, metrics.height()), Qt.AlignmentFlag.AlignLeft, text)
            x += 20 + advance + 12


def _clock(seconds: float) -> str:
    """Return ``"4:30"``, or ``"1:02:30"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
