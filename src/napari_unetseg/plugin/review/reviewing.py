"""Opens the review of a folder's results."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    import napari.viewer


class Reviewing(QObject):
    """Opens the window of a review.

    Parameters
    ----------
    viewer
        Shows the images under review.
    parent
        Owner.

    Attributes
    ----------
    improve_requested
        A model is to be improved on this exported training set (its folder as str, and the model's name or path).
    """

    improve_requested = Signal(str, str)

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer

    def open(self, folder: Path | None = None) -> None:
        """Review the results of a folder; None asks for one."""

    def stop(self) -> None:
        """Close the window."""
