"""Tells, a moment later and not too often, that what a viewer offers to learn from may have changed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel

_PAUSE_MS = 150
# Of any layer and of the list of them; others, such as those of the mouse and of drawing, come far more often.
_EVENTS = frozenset({"inserted", "removed", "name", "features", "paint", "data", "metadata", "affine", "scale"})


class ViewerWatch(QObject):
    """Watches a viewer between `begin` and `end`.

    Parameters
    ----------
    viewer
        What is watched.
    changed
        Called in the GUI thread.
    parent
        Owner.
    """

    def __init__(self, viewer: "ViewerModel", changed: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watching = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(changed)
        viewer.layers.events.connect(self._on_layers)
        viewer.layers.selection.events.active.connect(self._on_event)
        viewer.dims.events.current_step.connect(self._on_event)

    def begin(self) -> None:
        """Tell of changes from now on."""
        self._watching = True

    def end(self) -> None:
        """Tell of no more changes."""
        self._watching = False
        self._timer.stop()

    def _on_layers(self, event: Any) -> None:
        if event.type in _EVENTS:
            self._on_event()

    def _on_event(self, event: Any = None) -> None:
        if self._watching and not self._timer.isActive():
            self._timer.start()
