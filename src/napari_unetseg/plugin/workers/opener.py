"""A file of a batch in the viewer: the image, and its labels with their measurements."""

from typing import TYPE_CHECKING

from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, Signal

from napari_unetseg.batch.events import Event
from napari_unetseg.plugin.layers.file_layers import FILE_KEY, read_layers
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Opener(QObject):
    """Reads files in a worker and adds them to the viewer; what is there already is shown instead.

    Parameters
    ----------
    viewer
        Gets the layers.
    parent
        Owner.
    """

    opened = Signal(object)
    failed = Signal(object)

    def __init__(self, viewer: "ViewerModel", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._task: Task[list[Layer]] | None = None
        self._event: Event | None = None

    @property
    def busy(self) -> bool:
        """Whether a file is being read."""
        return self._task is not None

    def open(self, event: Event) -> None:
        """Open the image of a row, with its labels where it has some; nothing happens while another one is read."""
        if self.busy:
            return
        self._event = event
        self._task = Task(lambda _: read_layers(event.file, event.target))
        start(self._task, returned=self._show, errored=self.failed.emit, finished=self._end)

    def _show(self, layers: list[Layer]) -> None:
        shown = {str(layer.metadata.get(FILE_KEY)): layer for layer in self._viewer.layers}
        for layer in layers:
            if (before := shown.get(str(layer.metadata[FILE_KEY]))) is not None and isinstance(layer, Labels):
                self._viewer.layers.remove(before)  # the batch may have written it again
            elif before is not None:
                before.visible = True
                continue
            self._viewer.add_layer(layer)
        self.opened.emit(self._event)

    def _end(self) -> None:
        self._task = None
