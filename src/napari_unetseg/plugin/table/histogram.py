"""A small histogram, drawn by Qt."""

import math

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QWidget

_MAX_BARS = 40


class Histogram(QWidget):
    """How many objects have which value of a column, with one value marked.

    Colours are those of the palette, so it follows the theme.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts, self.edges = bars(np.empty(0))
        self.marked: float | None = None
        self.setMinimumSize(120, 60)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size it likes."""
        return QSize(220, 140)

    def show_values(self, values: NDArray[np.floating]) -> None:
        """Count these values; those that are not finite are left out."""
        self.counts, self.edges = bars(values)
        self.update()

    def mark(self, value: float | None) -> None:
        """Mark where a value lies; None for none."""
        self.marked = value if value is not None and np.isfinite(value) else None
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the bars, the range below them and the highest count above them."""
        painter = QPainter(self)
        palette, line = self.palette(), self.fontMetrics().height()
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        area = QRectF(2, line + 2, self.width() - 4, self.height() - 2 * line - 6)
        if not self.counts.size:
            return
        low, high = float(self.edges[0]), float(self.edges[-1])
        below = QRectF(2, self.height() - line - 2, self.width() - 4, line)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, f"{low:.4g}")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{high:.4g}")
        painter.drawText(QRectF(2, 0, self.width() - 4, line), Qt.AlignmentFlag.AlignLeft, f"{self.counts.max():,}")
        width, bar = area.width() / self.counts.size, palette.color(QPalette.ColorRole.Highlight)
        bar.setAlphaF(1.0 if self.isEnabled() else 0.4)
        for place, count in enumerate(self.counts):
            height = area.height() * count / self.counts.max()
            painter.fillRect(
                QRectF(area.left() + place * width, area.bottom() - height, max(width - 1, 1), height), bar
            )
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if self.marked is not None and low <= self.marked <= high:
            x = round(area.left() + area.width() * ((self.marked - low) / (high - low)))
            painter.drawLine(x, round(area.top()), x, round(area.bottom()))


def bars(values: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Count finite values in bars of equal width.

    Their width follows Freedman and Diaconis, but there are 40 at most, and values that are all the same, or almost,
    get one.

    Returns
    -------
    counts, edges
        (N,) and (N + 1,); both are empty if there is no value.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return np.empty(0, dtype=np.intp), np.empty(0)
    spread = float(np.subtract(*np.percentile(finite, [75, 25])))
    reach = float(np.ptp(finite))
    narrowest = reach / _MAX_BARS
    width = max(2 * spread / float(np.cbrt(finite.size)), narrowest)
    # Where all values are the same but for their last digits, there are no numbers left to be edges between them.
    divisible = narrowest > np.spacing(np.abs(finite).max())
    counts, edges = np.histogram(finite, min(math.ceil(reach / width), _MAX_BARS) if divisible else 1)
    return counts, edges
