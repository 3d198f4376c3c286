from typing import Any

import pytest
from napari._qt.qt_resources import get_stylesheet
from qtpy.QtWidgets import QApplication, QScrollBar

from napari_unetseg.plugin.parts.messages import MessageArea


@pytest.fixture(params=["dark", "light"])
def message(qtbot: Any, request: pytest.FixtureRequest) -> MessageArea:
    message = MessageArea()
    message.setStyleSheet(get_stylesheet(request.param))
    qtbot.addWidget(message)
    message.resize(318, 48)
    message.show()
    return message


def scroll_bar(message: MessageArea) -> QScrollBar:
    QApplication.processEvents()
    bar = message.area.verticalScrollBar()
    assert bar is not None
    return bar


@pytest.mark.parametrize("line", ["one gap", "Konfidenz ≥"])
def test_three_lines_fit(message: MessageArea, line: str) -> None:
    message.show_message("\n".join([line] * 3), "warning")
    assert scroll_bar(message).maximum() == 0


def test_all_of_a_longer_message_can_be_read(message: MessageArea) -> None:
    height = message.height()
    message.show_message("word " * 60, "warning")
    bar, text, shown = scroll_bar(message), message.text, message.area.viewport()
    assert shown is not None
    assert text.height() >= text.heightForWidth(text.width())
    assert bar.maximum() == text.height() - shown.height() > 0
    assert message.height() == height


def test_the_next_message_is_shown_from_its_beginning(message: MessageArea) -> None:
    message.show_message("word " * 60, "warning")
    bar = scroll_bar(message)
    bar.setValue(bar.maximum())
    message.show_message("word " * 50, "warning")
    assert scroll_bar(message).value() == 0
