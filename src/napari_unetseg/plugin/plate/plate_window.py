"""`Plate...`: opens the window of plates, once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_unetseg.plugin.plate.plate_dialog import PlateDialog
from napari_unetseg.plugin.workers.batch_run import ModelChoice
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel


class PlateWindow(QObject):
    """Makes the window on first use, and shows it again.

    Parameters
    ----------
    window
        Owner.
    viewer
        Gets the images that are opened.
    services
        Gives the service of a model and device, in workers.
    model_choice
        Gives what the panel says; None while no model can be used.
    """

    def __init__(
        self,
        window: QWidget,
        viewer: "ViewerModel",
        services: ServiceFactory,
        model_choice: Callable[[], ModelChoice | None],
    ) -> None:
        super().__init__(window)
        self._window, self._viewer, self._services, self._model_choice = window, viewer, services, model_choice
        self.dialog: PlateDialog | None = None

    @property
    def running(self) -> bool:
        """Whether a batch has started and not ended."""
        return self.dialog is not None and self.dialog.controller.running

    def open(self, plate: Path | None = None) -> PlateDialog:
        """Show the window, with a plate where one is given."""
        if self.dialog is None:
            self.dialog = PlateDialog(self._viewer, self._services, self._model_choice, parent=self._window)
        else:
            self.dialog.refresh()
        if plate is not None:
            self.dialog.take([plate])
        self.dialog.show()
        self.dialog.raise_()
        return self.dialog

    def cancel(self) -> None:
        """Stop the batch; what is finished is kept."""
        if self.dialog is not None:
            self.dialog.controller.cancel()
