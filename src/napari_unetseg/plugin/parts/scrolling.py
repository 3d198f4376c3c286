"""A column of rows that scrolls where the window is too low for it."""

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFrame,
    QScrollArea,
    QScrollBar,
    QVBoxLayout,
    QWidget,
)

_LEFT, _TOP, _RIGHT, _BOTTOM = 9, 6, 4, 6


class ScrollingColumn(QScrollArea):
    """Rows below each other, never wider than the window; a bar appears beside them where they are higher.

    The place of the bar is kept free, so that no row changes its width with it. While it is there, the wheel moves
    the column, and not the slider or box that it happens to pass, unless that was clicked before.

    Attributes
    ----------
    rows
        Where rows are added.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.content = QWidget()
        self.rows = QVBoxLayout(self.content)
        self.rows.setSpacing(4)
        self.setWidget(self.content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet("QScrollArea { padding: 0; border: 0; }")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if (bar := self.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._keep_free)
        self._keep_free()

    @property
    def scrolls(self) -> bool:
        """Whether the rows are higher than there is room for."""
        bar = self.verticalScrollBar()
        return bar is not None and bar.maximum() > 0

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Take the width of the bar from the theme, and watch what the wheel would change."""
        super().showEvent(event)
        self._keep_free()
        for child in self.content.findChildren(QWidget):
            if isinstance(child, QAbstractSlider | QAbstractSpinBox | QComboBox) and not isinstance(child, QScrollBar):
                child.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Let the wheel pass through what it must not change."""
        wheel = event is not None and event.type() == QEvent.Type.Wheel
        if event is not None and wheel and isinstance(watched, QWidget) and self._passes(watched):
            QApplication.sendEvent(self.verticalScrollBar(), event)
            return True
        return super().eventFilter(watched, event)

    def _passes(self, widget: QWidget) -> bool:
        """Whether the wheel moves the column over a widget."""
        return self.scrolls and self.content.isAncestorOf(widget) and not widget.hasFocus()

    def _keep_free(self) -> None:
        bar = self.verticalScrollBar()
        width = 0 if bar is None or self.scrolls else bar.sizeHint().width()
        self.rows.setContentsMargins(_LEFT, _TOP, _RIGHT + width, _BOTTOM)
