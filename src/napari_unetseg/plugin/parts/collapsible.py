"""Rows that are seldom needed, behind a line that opens them."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget


class CollapsibleRows(QWidget):
    """A line with a title and, below it once it was pressed, other widgets; closed at first.

    superqt's collapsible animates its height, which makes the rows below it flow for a quarter of a second; this
    one is there at once and looks like the Model & Health section.

    Parameters
    ----------
    title
        Words on the line.
    tip
        What is inside.
    rows
        Widgets to show when it is open, from top to bottom.
    line_end
        What stands at the end of the line, open or closed.
    parent
        Owner.
    """

    toggled = Signal(bool)

    def __init__(
        self, title: str, tip: str, rows: list[QWidget], line_end: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._title = title
        self.toggle = QPushButton()
        self.toggle.setToolTip(tip)
        self.toggle.setStyleSheet("text-align: left; padding-left: 6px;")
        self.toggle.clicked.connect(lambda: self.expand(not self.expanded))
        self.body = QWidget()
        inner = QVBoxLayout(self.body)
        inner.setContentsMargins(0, 4, 0, 2)
        inner.setSpacing(5)
        for row in rows:
            inner.addWidget(row)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.toggle, 1)
        line.addWidget(line_end)
        column.addLayout(line)
        column.addWidget(self.body)
        self.expand(False)

    @property
    def expanded(self) -> bool:
        """Whether the rows are shown."""
        return not self.body.isHidden()

    def expand(self, expanded: bool = True) -> None:
        """Show or hide the rows."""
        self.body.setVisible(expanded)
        self.toggle.setText(f"{'▾' if expanded else '▸'}  {self._title}")
        self.toggled.emit(expanded)
