"""Opens the comparison of two models."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_unetseg.plugin.layers.current_result import FindResult
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    import napari.viewer


class Comparing(QObject):
    """Opens the window of a comparison.

    Parameters
    ----------
    viewer
        Gets the layers that are compared.
    find_result
        Gives the selected result.
    services
        Gives the service of a model and device, in workers.
    parent
        Owner.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        find_result: FindResult,
        services: ServiceFactory,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._find_result, self._services = viewer, find_result, services

    def open(self) -> None:
        """Show the window."""

    def stop(self) -> None:
        """Cancel what runs."""
