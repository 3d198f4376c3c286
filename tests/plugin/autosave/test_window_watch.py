"""A window that is closed is told from one that is asked to and stays, hides, or is destroyed."""

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_unetseg.plugin.autosave.window_watch import WindowWatch, main_window


class Window(QMainWindow):
    stays = False

    def closeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        event.setAccepted(not self.stays)


@pytest.fixture
def closed(qtbot: Any) -> tuple[Window, list[str]]:
    window, calls = Window(), list[str]()
    qtbot.addWidget(window)
    WindowWatch(window, lambda: calls.append("closed"))
    window.show()
    return window, calls


def test_a_window_that_is_closed(closed: tuple[Window, list[str]]) -> None:
    window, calls = closed
    window.close()
    assert calls == ["closed"]


def test_a_window_that_stays(closed: tuple[Window, list[str]]) -> None:
    window, calls = closed
    window.stays = True
    window.close()
    assert calls == []


def test_a_window_that_only_hides(closed: tuple[Window, list[str]]) -> None:
    window, calls = closed
    window.hide()
    assert calls == []


@pytest.mark.parametrize("floats", [False, True])
def test_the_window_of_a_dock(qtbot: Any, floats: bool) -> None:
    window, dock, panel = QMainWindow(), QDockWidget(), QWidget()
    qtbot.addWidget(window)
    dock.setWidget(panel)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    dock.setFloating(floats)
    assert main_window(panel) is window
    assert main_window(window) is None
