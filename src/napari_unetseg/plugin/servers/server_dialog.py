"""The window that asks for a server's address and key, and tests them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr
from napari_unetseg.plugin.parts.badge import Badge
from napari_unetseg.plugin.parts.form import LABEL_WIDTH, form_grid
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.servers import server_words as words
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.plugin.workers.servers import KnownKey, Servers, cancellable_questions

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.client import ServerReport

_WIDTH = 560
_NOTE_LINES = 3
_BUTTON = (LABEL_WIDTH - 10, 26)
_PAUSE_MS = 200


class ServerDialog(QDialog):
    """Address, key, Test, Save and Remove.

    Nothing is kept before Save. The server and the keyring are asked in workers; the window can be closed meanwhile.

    Parameters
    ----------
    servers
        Asks servers and keeps keys.
    address
        Of the server that is shown; empty for a new one.
    removable
        Whether it can be taken out of the list.
    parent
        Owner.

    Attributes
    ----------
    saved
        The address of the server that is to be used.
    removed
        The address of the one that is to be used no longer.
    """

    saved = Signal(str)
    removed = Signal(str)

    def __init__(
        self, servers: Servers, address: str = "", removable: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Server"))
        self._servers, self._shown_address = servers, address
        self._known = KnownKey("", exists=False, in_keyring=True)
        self._task: Task[None] | None = None
        self._error: Exception | None = None
        self._then: Callable[[], None] = lambda: None
        self.address = QLineEdit(address)
        self.address.setPlaceholderText("lab:8001")
        self.address.setToolTip(tr(words.ADDRESS_TIP))
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setToolTip(tr(words.KEY_TIP))
        self.badge, self.note = Badge(), _text()
        self.facts = {name: _text() for name in words.FACTS}
        self.message = MessageArea()
        self.test, self.remove = QPushButton(tr("Test")), QPushButton(tr("Remove"))
        self.cancel, self.save = QPushButton(tr("Cancel")), QPushButton(tr("Save"))
        self.test.setToolTip(tr(words.TEST_TIP))
        self.remove.setToolTip(tr(words.REMOVE_TIP))
        self.remove.setVisible(removable)
        self._tester: LatestWorker[tuple[str, str], ServerReport] = LatestWorker(self._prepare_test, 0, self)
        self._reader: LatestWorker[str, KnownKey] = LatestWorker(self._prepare_reading, _PAUSE_MS, self)
        self._arrange()
        self._connect()
        self._show_facts(None)
        self._on_edited()

    @property
    def busy(self) -> bool:
        """Whether an answer of the server or the keyring is still to come."""
        return self._tester.busy or self._reader.busy or self._task is not None

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.badge.use_theme(theme)
        self.message.badge.use_theme(theme)

    def done(self, result: int) -> None:
        """Close; what is still asked is for nobody."""
        self._tester.stop()
        self._reader.stop()
        if self._task is not None:
            self._task.quit()
        super().done(result)

    def _checked(self) -> str:
        """Return the address as it is kept; empty if it is none."""
        try:
            return self._servers.checked_address(self.address.text())
        except UnetsegError:
            return ""

    def _on_edited(self) -> None:
        """Say what is wrong with the address, and forget what another one answered."""
        self._tester.stop()
        self._show_facts(None)
        address, text = self._checked(), self.address.text().strip()
        fault = "" if address else words.address_fault(text)
        for button, tip in ((self.test, words.TEST_TIP), (self.save, words.SAVE_TIP)):
            button.setEnabled(not fault)
            button.setToolTip(fault or tr(tip))
        self.message.show_message(fault or tr(words.READY), "warning" if fault and text else "plain")
        if address and address != self._known.address:
            self._reader.ask(address)
        self._show_note()

    def _show_note(self) -> None:
        """Say where the key is kept, and whether it would travel unprotected."""
        address = self._checked()
        known = self._known if self._known.address == address else KnownKey(address, False, self._known.in_keyring)
        self.key.setPlaceholderText(tr(words.KEY_KEPT if known.exists else words.KEY_NONE))
        has_key = bool(self.key.text()) or known.exists
        warn = bool(address) and words.travels_unprotected(address, has_key)
        sentences = [tr(words.UNPROTECTED)] if warn else []
        if has_key:
            sentences.append(tr(words.KEYRING if known.in_keyring else words.NO_KEYRING))
        self.badge.show_kind("warning" if warn or (has_key and not known.in_keyring) else "plain")
        self.note.setText("\n".join(sentences))

    def _show_facts(self, report: "ServerReport | None") -> None:
        for name, text in words.facts(report).items():
            self.facts[name].setText(text)

    def _start_test(self) -> None:
        if address := self._checked():
            self._show_facts(None)
            self.message.show_message(words.testing(address), "busy")
            self._tester.ask((address, self.key.text().strip()), at_once=True)

    def _prepare_test(self, question: tuple[str, str]) -> "Callable[[Task[ServerReport]], ServerReport]":
        address, key = question

        def check(task: "Task[ServerReport]") -> "ServerReport":
            with cancellable_questions(address, task.cancelled):  # so that another server is asked at once
                return self._servers.check(address, key or None)

        return check

    def _prepare_reading(self, address: str) -> "Callable[[Task[KnownKey]], KnownKey]":
        return lambda task: self._servers.known_key(address)

    def _on_tested(self, question: tuple[str, str], report: "ServerReport") -> None:
        self._show_facts(report)
        self.message.show_message(tr(words.WORKS), "good")

    def _on_test_failed(self, question: tuple[str, str], error: Exception) -> None:
        self.message.show_failure(describe_error(error))

    def _on_known(self, address: str, known: KnownKey) -> None:
        self._known = known
        self._show_note()

    def _on_reading_failed(self, address: str, error: Exception) -> None:
        self.message.show_failure(describe_error(error))

    def _start_saving(self) -> None:
        address, key = self._checked(), self.key.text().strip()
        if not address or self._task is not None:
            return
        self._then = lambda: self.saved.emit(address)
        self._start(lambda: self._servers.keep_key(address, key) if key else None)

    def _start_removing(self) -> None:
        address = self._shown_address
        if self._task is None:
            self._then = lambda: self.removed.emit(address)
            self._start(lambda: self._servers.forget_key(address))

    def _start(self, work: Callable[[], None]) -> None:
        """Use the keyring in a worker: it may ask the user for a password."""
        self._error = None
        self._enable(False)
        self._task = Task(lambda task: work())
        start(self._task, returned=_ignore, errored=self._keep_error, finished=self._on_worked)

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _on_worked(self) -> None:
        task, self._task = self._task, None
        if task is None or task.cancelled():
            return
        self._enable(True)
        if self._error is not None:
            self.message.show_failure(describe_error(self._error))
            return
        self._then()
        self.accept()

    def _enable(self, enabled: bool) -> None:
        for button in (self.save, self.remove, self.test):
            button.setEnabled(enabled)

    def _connect(self) -> None:
        self.address.textChanged.connect(self._on_edited)
        self.key.textChanged.connect(self._on_edited)
        self.test.clicked.connect(self._start_test)
        self.save.clicked.connect(self._start_saving)
        self.remove.clicked.connect(self._start_removing)
        self.cancel.clicked.connect(self.reject)
        self._tester.answered.connect(self._on_tested)
        self._tester.failed.connect(self._on_test_failed)
        self._reader.answered.connect(self._on_known)
        self._reader.failed.connect(self._on_reading_failed)

    def _arrange(self) -> None:
        explanation = _text(tr(words.EXPLANATION))
        form = form_grid(None, 6)
        for row, (title, line) in enumerate(((tr("Address"), self.address), (tr("Key"), self.key))):
            label = _text(title)
            label.setAlignment(Qt.AlignmentFlag.AlignVCenter)
            label.setBuddy(line)
            label.setToolTip(line.toolTip())
            form.addWidget(label, row, 0)
            form.addWidget(line, row, 1)
        note = QHBoxLayout()
        note.setContentsMargins(4, 0, 0, 0)
        note.setSpacing(6)
        note.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self.note, 1)
        form.addLayout(note, 2, 1)
        test = QHBoxLayout()
        test.setSpacing(10)
        test.addWidget(self.test, 0, Qt.AlignmentFlag.AlignTop)
        test.addWidget(self.message, 1)
        facts = form_grid(None, 6)
        for row, (name, (title, tip)) in enumerate(words.FACTS.items()):
            label, value = _text(tr(title)), self.facts[name]
            for part in (label, value):
                part.setToolTip(tr(tip))
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            facts.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            facts.addWidget(value, row, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.remove)
        buttons.addStretch()
        buttons.addWidget(self.message.buttons)
        for button in (self.cancel, self.save):
            buttons.addWidget(button)
        self.message.buttons.setMaximumSize(*_BUTTON)
        for button in (self.test, self.remove, self.cancel, self.save):
            button.setMinimumSize(*_BUTTON)
        for button in (self.test, self.remove, self.cancel):
            button.setAutoDefault(False)  # Enter in a line saves
        self.save.setDefault(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(12)
        column.addWidget(explanation)
        for rows in (form, test, facts):
            column.addLayout(rows)
        column.addStretch()
        column.addLayout(buttons)
        self.setMinimumWidth(_WIDTH)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Hold the lines of the note open, in the font that comes with the first show, so that nothing moves."""
        self.note.setFixedHeight(_NOTE_LINES * (self.note.fontMetrics().lineSpacing() + 1))
        super().showEvent(event)


def _text(words: str = "") -> QLabel:
    """Make a label of several lines that begins where the boxes do."""
    label = QLabel(words)
    label.setWordWrap(True)
    label.setStyleSheet("padding: 0;")
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    return label


def _ignore(_: None) -> None: ...
