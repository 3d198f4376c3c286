"""Keeps what was edited on disk, and offers back what a crash left."""

from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_unetseg.plugin.autosave.edit_keeper import EditKeeper
from napari_unetseg.plugin.autosave.edit_store import EditStore
from napari_unetseg.plugin.autosave.recovery import Recovery
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
        Owner; a main window that it is in removes what is kept when its user closes it.
    store
        Where edits are kept; None for the user's own folder.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        message: MessageArea,
        parent: QWidget | None = None,
        store: EditStore | None = None,
    ) -> None:
        super().__init__(parent)
        self.keeper = EditKeeper(viewer, message, parent, store)
        self.recovery = Recovery(viewer, message, self.keeper, self)

    @property
    def busy(self) -> bool:
        """Whether edits are being written, read or removed."""
        return self.keeper.busy or self.recovery.busy

    def saved(self, layer: Layer) -> None:
        """Let go of what is kept of a layer, since it is saved; the next change is kept again."""
        self.keeper.saved(layer)

    def stop(self) -> None:
        """Write what waits, and watch no more."""
        self.keeper.stop()
        self.recovery.stop()
