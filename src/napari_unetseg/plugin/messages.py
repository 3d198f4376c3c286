"""Where the window talks: an icon, a few lines, and a button or two, always of the same height."""

from collections.abc import Callable
from typing import Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.plugin.words import Failure

Kind = Literal["plain", "good", "warning", "error"]

# Shape and not only colour tells the kinds apart.
_SIGNS: dict[Kind, str] = {"plain": "", "good": "✓", "warning": "▲", "error": "✕"}
_LINES = 4


class MessageArea(QWidget):
    """A message that stays until the next one.

    Its height is fixed, so that nothing below it moves; longer text is complete in the tooltip.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sign = QLabel()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setFixedHeight(_LINES * self.text.fontMetrics().lineSpacing())
        self.sign.setFixedSize(14, self.text.fontMetrics().lineSpacing())
        self.action = QPushButton()
        self.details = QPushButton("Details")
        self.details.setToolTip("The full text of the error, to read or to copy into a report.")
        for button in (self.action, self.details):
            policy = button.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            button.setSizePolicy(policy)
        self._kind: Kind = "plain"
        self._colours: dict[Kind, str] = {}
        self._on_action: Callable[[], None] | None = None
        self._failure: Failure | None = None
        self.action.clicked.connect(self._act)
        self.details.clicked.connect(self._open_details)
        self._arrange()
        self.show_message("")

    def set_colours(self, colours: dict[Kind, str]) -> None:
        """Take the colours of the signs from a theme."""
        self._colours = colours
        self._paint_sign()

    def show_message(
        self,
        text: str,
        kind: Kind = "plain",
        *,
        action: tuple[str, str, Callable[[], None]] | None = None,
        failure: Failure | None = None,
    ) -> None:
        """Replace the message.

        Parameters
        ----------
        text
            One or two sentences.
        kind
            Gives the sign its shape and colour.
        action
            Words, tooltip and effect of a button.
        failure
            Offers its details.
        """
        self._kind, self._failure = kind, failure
        self.text.setText(text)
        self.text.setToolTip(text)
        self._paint_sign()
        self.action.setVisible(action is not None)
        if action is not None:
            words, tip, self._on_action = action
            self.action.setText(words)
            self.action.setToolTip(tip)
        self.details.setVisible(failure is not None)

    def _paint_sign(self) -> None:
        self.sign.setText(_SIGNS[self._kind])
        self.sign.setStyleSheet(f"color: {self._colours[self._kind]};" if self._kind in self._colours else "")

    def _act(self) -> None:
        if self._on_action is not None:
            self._on_action()

    def _open_details(self) -> None:
        if self._failure is not None:
            details_dialog(self._failure.details, self).open()

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.text, 1)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.action)
        buttons.addWidget(self.details)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addLayout(buttons)


def details_dialog(details: str, parent: QWidget) -> QDialog:
    """Make a window with the full text of an error and a Copy button."""
    text = QPlainTextEdit(details)
    text.setReadOnly(True)
    text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    dialog, buttons = _dialog("Details", text, parent)
    copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
    copy.clicked.connect(lambda: QApplication.clipboard().setText(details))
    return dialog


def card_dialog(title: str, markdown: str, parent: QWidget) -> QDialog:
    """Make a window that shows a model's card."""
    text = QTextBrowser()
    text.setMarkdown(markdown)
    text.setOpenExternalLinks(True)
    return _dialog(title, text, parent)[0]


def _dialog(title: str, content: QWidget, parent: QWidget) -> tuple[QDialog, QDialogButtonBox]:
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column = QVBoxLayout(dialog)
    column.addWidget(content)
    column.addWidget(buttons)
    dialog.resize(560, 420)
    return dialog, buttons
