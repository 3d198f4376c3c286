"""The strip above the image: a button for each tool, what to do with the one in hand, and what was done."""

from functools import partial
from typing import TYPE_CHECKING

from napari.utils.interactions import Shortcut
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.fixing.icons import HEIGHT, WIDTH, icon
from napari_unetseg.plugin.fixing.tools import BY_KIND, TOOLS
from napari_unetseg.plugin.parts.badge import Badge

if TYPE_CHECKING:
    from napari.utils.theme import Theme

UNDO, REDO = "Ctrl+Z", "Ctrl+Shift+Z"

_CHOOSE = mark("Choose a tool or press its letter. Esc puts it down.")
_UNDO_TIP = mark("Takes back the last change of the labels, by a tool or by the brush.")
_REDO_TIP = mark("Makes again what was taken back last.")
_COUNT_TIP = mark("What you fixed in this result. It is recorded with it, and stays when you move the sliders.")


class ToolBar(QWidget):
    """Shows which tool is in hand.

    Attributes
    ----------
    buttons
        By the kind of fix.
    chosen
        With the kind of the tool that was taken up, or an empty text where one was put down.
    undo_requested, redo_requested
        The last change is to be taken back, or made again.
    closed
        The dock around it was closed for good.
    """

    chosen = Signal(str)
    undo_requested = Signal()
    redo_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {tool.kind: QToolButton() for tool in TOOLS}
        self.undo, self.redo = QToolButton(), QToolButton()
        self.badge = Badge()
        self.hint, self.count = QLabel(), QLabel()
        self._in_hand = ""
        for tool in TOOLS:
            button = self.buttons[tool.kind]
            button.setCheckable(True)
            button.setText(tr(tool.title))
            button.setToolTip(f"{tr(tool.tip)}\n{tool.key}")
            button.clicked.connect(partial(self._on_button, tool.kind))
        for button, title, tip, key, signal in (
            (self.undo, tr("Undo"), tr(_UNDO_TIP), UNDO, self.undo_requested),
            (self.redo, tr("Redo"), tr(_REDO_TIP), REDO, self.redo_requested),
        ):
            button.setAccessibleName(title)
            button.setToolTip(f"{tip}\n{Shortcut(key).platform}")
            button.clicked.connect(signal)
        self._arrange()
        self.show_tool("")
        self.show_count("")

    def show_tool(self, kind: str) -> None:
        """Show which tool is in hand, and what to do with it; none where the kind is empty."""
        self._in_hand = kind
        for one, button in self.buttons.items():
            button.setChecked(one == kind)
        self.show_hint(tr(BY_KIND[kind].hint) if kind in BY_KIND else tr(_CHOOSE))

    def show_hint(self, text: str, warn: bool = False) -> None:
        """Say what to do, or why nothing could be done."""
        self.hint.setText(text)
        self.hint.setToolTip(text)
        self.badge.show_kind("warning" if warn else "plain")

    def show_count(self, text: str) -> None:
        """Say what was done."""
        self.count.setText(text)

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        for kind, button in self.buttons.items():
            button.setIcon(icon(kind, theme, BY_KIND[kind].key))
        self.undo.setIcon(icon("undo", theme))
        self.redo.setIcon(icon("redo", theme))
        self.badge.use_theme(theme)
        chosen = f"QToolButton:checked {{ background-color: {theme.current.as_hex()}; }}"
        self.setStyleSheet(f"QToolButton {{ padding: 3px 5px; }} {chosen}")

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Leave room for two lines, in the font that the viewer's theme gives, so that the image does not move."""
        self.hint.setFixedHeight(2 * (self.hint.fontMetrics().lineSpacing() + 1))
        super().showEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Emit `closed` when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
        return bool(super().event(event))

    def _on_button(self, kind: str) -> None:
        self.chosen.emit("" if kind == self._in_hand else kind)

    def _arrange(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.hint.setWordWrap(True)
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.count.setToolTip(tr(_COUNT_TIP))
        tools, words = QHBoxLayout(), QHBoxLayout()
        for button in (*self.buttons.values(), self.undo, self.redo):
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(WIDTH, HEIGHT))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            if button in (self.undo, self.redo):
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
                button.setIconSize(QSize(HEIGHT, HEIGHT))
            if button is self.undo:
                line = QFrame()
                line.setFrameShape(QFrame.Shape.VLine)
                tools.addWidget(line)
            tools.addWidget(button)
        tools.addStretch(1)
        tools.setSpacing(2)
        words.addWidget(self.badge)
        words.addWidget(self.hint, 1)
        words.addWidget(self.count)
        words.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 2)
        column.setSpacing(2)
        column.addLayout(tools)
        column.addLayout(words)
