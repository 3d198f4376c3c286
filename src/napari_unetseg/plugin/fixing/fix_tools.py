"""The tool bar of click to fix."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_unetseg.plugin.layers.current_result import FindResult

if TYPE_CHECKING:
    import napari.viewer


class FixTools(QObject):
    """Opens the tools.

    Parameters
    ----------
    viewer
        Gets the tool bar and the mouse callbacks.
    find_result
        Gives the selected result.
    parent
        Owner.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", find_result: FindResult, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._find_result = viewer, find_result

    def open(self) -> None:
        """Show the tools."""

    def stop(self) -> None:
        """Take the tools away; nothing acts any more."""
