"""Keeps what was edited on disk, and offers back what a crash left."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_unetseg.plugin.parts.messages import MessageArea

if TYPE_CHECKING:
    import napari.viewer


class Autosave(QObject):
    """Watches the Labels layers of results.

    Parameters
    ----------
    viewer
        Its layers are watched.
    message
        Where what was found is offered.
    parent
        Owner.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", message: MessageArea, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._message = viewer, message

    def stop(self) -> None:
        """Write what waits, and watch no more."""
