"""The dialog of servers, on fake servers: what it says, what it keeps, and that it keeps nothing before Save."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_unetseg.client.errors import KeyRefused
from napari_unetseg.plugin.servers import server_words as words
from napari_unetseg.plugin.servers.server_dialog import ServerDialog

LAB = "http://lab:8001"


@pytest.fixture
def open_dialog(lab: Any, qtbot: Any) -> Iterator[Callable[..., ServerDialog]]:
    opened: list[ServerDialog] = []

    def make(address: str = "", removable: bool = False) -> ServerDialog:
        dialog = ServerDialog(lab, address, removable)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
        opened.append(dialog)
        return dialog

    yield make
    for dialog in opened:
        qtbot.waitUntil(lambda d=dialog: not d.busy, timeout=20_000)


@pytest.fixture
def settle(qtbot: Any) -> Callable[[ServerDialog], None]:
    return lambda dialog: qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)


def shown(dialog: ServerDialog) -> dict[str, str]:
    return {name: label.text() for name, label in dialog.facts.items()}


def test_a_test_says_what_the_server_is_and_keeps_nothing(open_dialog: Any, settle: Any, lab: Any) -> None:
    dialog = open_dialog()
    assert set(shown(dialog).values()) == {"-"}
    dialog.address.setText("lab:8001")
    dialog.key.setText("secret")
    dialog.test.click()
    settle(dialog)
    assert shown(dialog) == {"version": "1.2.3", "device": "NVIDIA GPU", "models": "bright", "answer": "12 ms"}
    assert dialog.message.text.text() == words.WORKS
    assert lab.asked == [(LAB, "secret")]
    assert lab.keys == {}


def test_the_key_cannot_be_read_from_the_screen(open_dialog: Any) -> None:
    assert open_dialog().key.echoMode() is QLineEdit.EchoMode.Password


def test_what_is_wrong_is_said_in_words(open_dialog: Any, settle: Any, lab: Any) -> None:
    lab.error = KeyRefused("The server does not take this key.")
    dialog = open_dialog(LAB)
    dialog.test.click()
    settle(dialog)
    assert dialog.message.text.text() == "The server does not take this key."
    assert dialog.message.badge.kind == "error"
    assert set(shown(dialog).values()) == {"-"}


def test_an_answer_belongs_to_the_address_that_was_asked(open_dialog: Any, settle: Any) -> None:
    dialog = open_dialog(LAB)
    dialog.test.click()
    dialog.address.setText("lab:8002")
    settle(dialog)
    assert set(shown(dialog).values()) == {"-"}
    dialog.test.click()
    settle(dialog)
    assert shown(dialog)["version"] == "1.2.3"
    dialog.key.setText("another")
    assert set(shown(dialog).values()) == {"-"}


@pytest.mark.parametrize("text", ["", "ftp://lab", "http://", "lab 8001"])
def test_what_is_no_address_can_be_neither_tested_nor_saved(open_dialog: Any, text: str) -> None:
    dialog = open_dialog(LAB)
    dialog.address.setText(text)
    assert not dialog.test.isEnabled()
    assert not dialog.save.isEnabled()
    assert dialog.save.toolTip() == dialog.message.text.text() != words.READY
    assert dialog.message.badge.kind == ("warning" if text else "plain")
    dialog.address.setText("lab")
    assert dialog.save.isEnabled()


def test_save_keeps_the_key_and_says_which_server(open_dialog: Any, qtbot: Any, lab: Any) -> None:
    dialog = open_dialog()
    dialog.address.setText("lab:8001")
    dialog.key.setText(" secret ")
    with qtbot.waitSignals([dialog.saved, dialog.accepted], timeout=20_000) as caught:
        dialog.save.click()
    assert caught.all_signals_and_args[0].args == (LAB,)
    assert lab.keys == {LAB: "secret"}


def test_enter_in_a_line_saves(open_dialog: Any, qtbot: Any) -> None:
    dialog = open_dialog(LAB)
    with qtbot.waitSignal(dialog.saved, timeout=20_000):
        QTest.keyClick(dialog.key, Qt.Key.Key_Return)


def test_an_empty_line_leaves_the_key_that_is_kept(open_dialog: Any, qtbot: Any, lab: Any) -> None:
    lab.keys[LAB] = "kept"
    dialog = open_dialog(LAB)
    assert dialog.key.placeholderText() == words.KEY_KEPT
    with qtbot.waitSignal(dialog.saved, timeout=20_000):
        dialog.save.click()
    assert lab.keys == {LAB: "kept"}


@pytest.mark.parametrize("leave", ["cancel", "escape"])
def test_cancel_and_escape_leave_all_as_it_was(open_dialog: Any, lab: Any, leave: str) -> None:
    lab.keys[LAB] = "kept"
    dialog = open_dialog(LAB, True)
    said: list[str] = []
    dialog.saved.connect(said.append)
    dialog.removed.connect(said.append)
    dialog.key.setText("another")
    if leave == "cancel":
        dialog.cancel.click()
    else:
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert lab.keys == {LAB: "kept"}
    assert said == []


def test_remove_forgets_the_key_of_the_server_that_was_shown(open_dialog: Any, qtbot: Any, lab: Any) -> None:
    lab.keys = {LAB: "kept", "http://lab:8002": "other"}
    dialog = open_dialog(LAB, True)
    assert dialog.remove.isVisible()
    dialog.address.setText("lab:8002")
    with qtbot.waitSignal(dialog.removed, timeout=20_000) as caught:
        dialog.remove.click()
    assert caught.args == [LAB]
    assert lab.keys == {"http://lab:8002": "other"}


def test_a_new_server_cannot_be_removed(open_dialog: Any) -> None:
    assert not open_dialog().remove.isVisible()


@pytest.mark.parametrize(
    ("address", "key", "warned"),
    [
        ("http://lab:8001", "secret", True),
        ("http://lab:8001", "", False),
        ("https://lab:8001", "secret", False),
        ("http://127.0.0.1:8001", "secret", False),
    ],
)
def test_a_key_that_would_travel_unprotected_is_warned_of(
    open_dialog: Any, address: str, key: str, warned: bool
) -> None:
    dialog = open_dialog(address)
    dialog.key.setText(key)
    assert (words.UNPROTECTED in dialog.note.text()) is warned
    assert dialog.badge.kind == ("warning" if warned else "plain")


def test_where_there_is_no_keyring_the_key_is_kept_for_this_session_and_that_is_said(
    open_dialog: Any, lab: Any
) -> None:
    lab.has_keyring = False
    dialog = open_dialog("https://lab.example.org")
    assert dialog.note.text() == ""
    dialog.key.setText("secret")
    assert dialog.note.text() == words.NO_KEYRING
    assert dialog.badge.kind == "warning"


def test_a_keyring_that_refuses_is_reported_and_the_dialog_stays(open_dialog: Any, settle: Any, lab: Any) -> None:
    def refuse(address: str, key: str) -> None:
        raise OSError("The keyring is locked.")

    lab.keep_key = refuse
    dialog = open_dialog(LAB)
    dialog.key.setText("secret")
    dialog.save.click()
    settle(dialog)
    assert dialog.isVisible()
    assert "The keyring is locked." in dialog.message.text.text()
    assert dialog.save.isEnabled()


def test_closing_during_a_test_is_not_waited_for(open_dialog: Any, lab: Any, qtbot: Any) -> None:
    import threading

    release = threading.Event()
    check = lab.check

    def wait(address: str, key: str | None) -> Any:
        assert release.wait(20)
        return check(address, key)

    lab.check = wait
    dialog = open_dialog(LAB)
    dialog.test.click()
    dialog.cancel.click()
    assert not dialog.isVisible()
    release.set()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
    assert set(shown(dialog).values()) == {"-"}
