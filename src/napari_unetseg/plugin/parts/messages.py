"""Where the window talks: an icon and a few lines, always of the same height, and a button."""

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import tr
from napari_unetseg.plugin.parts.badge import Badge, BadgeKind
from napari_unetseg.plugin.parts.words import FailureText

_LINES = 3

Action = tuple[str, str, Callable[[], None]]
"""Words, tooltip and effect of a button."""


class MessageArea(QWidget):
    """A message that stays until the next one.

    Its height is fixed, so that nothing below it moves; longer text scrolls.

    Attributes
    ----------
    buttons
        The one that the message offers, if any; to be shown elsewhere, where there is room.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.badge = Badge()
        self.text = QLabel()
        self.text.setStyleSheet("padding: 0;")
        self.text.setWordWrap(True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.area = QScrollArea()
        self.action, self.second = QPushButton(), QPushButton()
        self.details = QPushButton(tr("Details"))
        self.details.setToolTip(tr("The full text of the error, to read or to copy into a report."))
        self.buttons = QStackedWidget()
        self._no_button = QWidget()
        self._actions = QWidget()
        self._on_action: Callable[[], None] | None = None
        self._on_second: Callable[[], None] | None = None
        self._failure: FailureText | None = None
        self.action.clicked.connect(self._act)
        self.second.clicked.connect(self._act_second)
        self.details.clicked.connect(self._open_details)
        self._arrange()
        self.show_message("")

    def show_message(
        self,
        text: str,
        kind: BadgeKind = "plain",
        *,
        action: Action | None = None,
        second: Action | None = None,
        failure: FailureText | None = None,
    ) -> None:
        """Replace the message.

        Parameters
        ----------
        text
            One or two sentences.
        kind
            Gives the badge its glyph and colour.
        action
            Words, tooltip and effect of a button.
        second
            Those of another one beside it.
        failure
            Offers its details, beside an action if there is one.
        """
        if failure is not None and action is not None:
            second = (self.details.text(), self.details.toolTip(), self._open_details)
        self._failure = failure
        self.text.setText(text)
        self.area.ensureVisible(0, 0)
        self.badge.show_kind(kind)
        self.buttons.setCurrentWidget(self._no_button)
        if action is not None:
            words, tip, self._on_action = action
            self.action.setText(words)
            self.action.setToolTip(tip)
            self.buttons.setCurrentWidget(self._actions)
        self.action.setVisible(action is not None)
        self.second.setVisible(second is not None)
        if second is not None:
            words, tip, self._on_second = second
            self.second.setText(words)
            self.second.setToolTip(tip)
        if failure is not None and action is None:
            self.buttons.setCurrentWidget(self.details)

    def show_failure(self, failure: FailureText, action: Action | None = None) -> None:
        """Replace the message by an error, and offer its details, and what helps."""
        self.show_message(failure.sentence, "error", action=action, failure=failure)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Take the height from the font that the viewer's theme gives, which comes with the first show."""
        # Text that is wrapped takes up to a pixel a line more than the font says.
        self.area.setFixedHeight(_LINES * (self.text.fontMetrics().lineSpacing() + 1))
        super().showEvent(event)

    def _act(self) -> None:
        if self._on_action is not None:
            self._on_action()

    def _act_second(self) -> None:
        if self._on_second is not None:
            self._on_second()

    def _open_details(self) -> None:
        if self._failure is not None:
            details_dialog(self._failure.details, self).open()

    def _arrange(self) -> None:
        self.area.setWidget(self.text)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setStyleSheet("QScrollArea { padding: 0; border: 0; }")
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.area, 1)
        beside = QHBoxLayout(self._actions)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(4)
        beside.addWidget(self.action, 1)
        beside.addWidget(self.second)
        for page in (self._no_button, self._actions, self.details):
            self.buttons.addWidget(page)


def details_dialog(details: str, parent: QWidget) -> QDialog:
    """Make a window with the full text of an error and a Copy button."""
    text = QPlainTextEdit(details)
    text.setReadOnly(True)
    text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    dialog, buttons = _dialog(tr("Details"), text, parent)
    copy = QPushButton(tr("Copy"))
    copy.clicked.connect(lambda: copy_text(details))
    buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
    return dialog


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    if (clipboard := QApplication.clipboard()) is not None:
        clipboard.setText(text)


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
    # napari does not load Qt's own translations.
    if (close := buttons.button(QDialogButtonBox.StandardButton.Close)) is not None:
        close.setText(tr("Close"))
    buttons.rejected.connect(dialog.reject)
    column = QVBoxLayout(dialog)
    column.addWidget(content)
    column.addWidget(buttons)
    dialog.resize(560, 420)
    return dialog, buttons
