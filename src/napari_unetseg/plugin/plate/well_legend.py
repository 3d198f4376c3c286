"""What the colours of the wells stand for."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QLinearGradient, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QWidget

from napari_unetseg.language import grouped, tr
from napari_unetseg.plugin.parts.badge import GLYPHS
from napari_unetseg.plugin.parts.batch_words import SIGNS, STATUS_WORDS
from napari_unetseg.plugin.plate.well_colours import ColourBy, CountScale, WellColours, readable_on, scale_colour

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.batch.events import Status

_STATUSES: "tuple[Status, ...]" = ("waiting", "running", "done", "failed")
_STOPS = 12
_GAP = 6


class WellLegend(QWidget):
    """Draws one line: a patch for each status, or the scale of counts with its ends."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours: WellColours | None = None
        self._by: ColourBy = "status"
        self._scale: CountScale | None = None

    def explain(self, by: ColourBy, scale: CountScale | None) -> None:
        """Explain other colours, of which those of counts stand for a scale."""
        if (by, scale) != (self._by, self._scale):
            self._by, self._scale = by, scale
            self.setAccessibleName(self.words)
            self.update()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self._colours = WellColours.of(theme)
        self.update()

    @property
    def words(self) -> str:
        """What stands there."""
        if self._by == "status":
            return ", ".join(tr(STATUS_WORDS[status]) for status in _STATUSES)
        if self._scale is None:
            return tr("nothing is counted yet")
        ends = (grouped(round(end)) for end in (self._scale.low, self._scale.high))
        return tr("{low} to {high} objects a field").format(**dict(zip(("low", "high"), ends, strict=True)))

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return room for a line."""
        return QSize(300, self.fontMetrics().height() + 6)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return room for a line."""
        return QSize(120, self.fontMetrics().height() + 6)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw the patches or the scale."""
        if self._colours is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._by == "status":
            self._draw_statuses(painter, self._colours)
        else:
            self._draw_scale(painter, self._colours)
        painter.end()

    def _draw_statuses(self, painter: QPainter, colours: WellColours) -> None:
        side, left = self.height() - 6, 2.0
        for status in _STATUSES:
            patch = QRectF(left, 3, side, side)
            painter.setPen(QPen(colours.line, 1))
            painter.setBrush(colours.statuses[status])
            painter.drawEllipse(patch)
            painter.setPen(readable_on(colours.statuses[status]))
            painter.drawText(patch, Qt.AlignmentFlag.AlignCenter, "" if status == "waiting" else GLYPHS[SIGNS[status]])
            left = self._draw_words(painter, colours, patch.right() + _GAP, tr(STATUS_WORDS[status])) + 2 * _GAP

    def _draw_scale(self, painter: QPainter, colours: WellColours) -> None:
        left = 2.0
        if self._scale is not None:
            bar = QRectF(left, 4, min(120, self.width() / 3), self.height() - 8)
            gradient = QLinearGradient(bar.topLeft(), bar.topRight())
            for stop in range(_STOPS + 1):
                gradient.setColorAt(stop / _STOPS, scale_colour(stop / _STOPS))
            painter.setPen(QPen(colours.line, 1))
            painter.setBrush(gradient)
            painter.drawRect(bar)
            left = bar.right() + _GAP
        self._draw_words(painter, colours, left, self.words)

    def _draw_words(self, painter: QPainter, colours: WellColours, left: float, words: str) -> float:
        """Write words, and return where they end."""
        width = self.fontMetrics().horizontalAdvance(words)
        painter.setPen(colours.text)
        painter.drawText(QRectF(left, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, words)
        return left + width
