"""`folder...` of the dock widget: opens the window, once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_unetseg.plugin.folder.folder_dialog import FolderDialog
from napari_unetseg.plugin.workers.batch_run import ModelChoice
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari.components import ViewerModel


class FolderBatch(QObject):
    """Makes the window on first use, and shows it again.

    `review_requested` gives the folder of results to review, `plate_requested` a plate to open.

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

    review_requested = Signal(object)
    plate_requested = Signal(object)

    def __init__(
        self,
        window: QWidget,
        viewer: "ViewerModel",
        services: ServiceFactory,
        model_choice: Callable[[], ModelChoice | None],
    ) -> None:
        super().__init__(window)
        self._window, self._viewer, self._services, self._model_choice = window, viewer, services, model_choice
        self.dialog: FolderDialog | None = None

    @property
    def running(self) -> bool:
        """Whether a batch has started and not ended."""
        return self.dialog is not None and self.dialog.controller.running

    def open(self) -> FolderDialog:
        """Show the window."""
        if self.dialog is None:
            self.dialog = FolderDialog(self._viewer, self._services, self._model_choice, parent=self._window)
            self.dialog.review_requested.connect(self.review_requested)
            self.dialog.plate_requested.connect(self.plate_requested)
        else:
            self.dialog.refresh()
        self.dialog.show()
        self.dialog.raise_()
        return self.dialog

    def cancel(self) -> None:
        """Stop the batch; what is finished is kept."""
        if self.dialog is not None:
            self.dialog.controller.cancel()
