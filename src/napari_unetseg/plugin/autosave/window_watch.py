"""When a window is closed by its user, rather than by a crash."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QWidget


class WindowWatch(QObject):
    """Calls a function when a main window was closed; one that is destroyed without that was not.

    Parameters
    ----------
    window
        Owns this.
    closed
        Called once the window agreed to be closed.
    """

    def __init__(self, window: QMainWindow, closed: Callable[[], None]) -> None:
        super().__init__(window)
        self._closed = closed
        self._asked = False
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Tell a window that hides since it was closed from one that asks its user and stays."""
        if event is not None and watched is self.parent():
            if event.type() == QEvent.Type.Close:
                self._asked = True
            elif event.type() == QEvent.Type.Hide and self._asked and not event.spontaneous():
                self._asked = False
                self._closed()
        return False


def main_window(widget: QWidget) -> QMainWindow | None:
    """Return the main window that a widget is docked in, or floats beside."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    return parent
