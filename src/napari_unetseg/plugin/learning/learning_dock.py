"""The dock in which models learn: from corrections, or anew."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_unetseg.plugin.layers.current_result import FindResult
from napari_unetseg.zoo.registry import Listed

if TYPE_CHECKING:
    import napari.viewer


class Learning(QObject):
    """Opens the dock.

    Parameters
    ----------
    viewer
        Gets the dock, and previews.
    find_result
        Gives the selected result.
    models
        Lists the models there are; called in workers.
    parent
        Owner.

    Attributes
    ----------
    model_made
        A new model package was written: its name, and all models that there are now.
    """

    model_made = Signal(str, object)

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        find_result: FindResult,
        models: Callable[[], Sequence[Listed]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._find_result, self._models = viewer, find_result, models

    def open_improve(self) -> None:
        """Show how to improve the model of the selected result from corrections."""

    def improve_from(self, folder: str, model: str) -> None:
        """Show how to improve a model on a training set that lies in a folder, with its ``images`` and ``masks``."""

    def open_train(self) -> None:
        """Show how to train a new model."""

    def stop(self) -> None:
        """Stop what runs; it can be taken up again."""
