"""A file of a batch in the viewer: the image, and its labels with their measurements."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, Signal

from napari_unetseg.batch.events import Event
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.image import Image
from napari_unetseg.layer_style import LABELS
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    from napari.components import ViewerModel

_KEY = "napari_unetseg_file"


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
        self._task = Task(lambda _: read_layers(event))
        start(self._task, returned=self._show, errored=self.failed.emit, finished=self._end)

    def _show(self, layers: list[Layer]) -> None:
        shown = {str(layer.metadata.get(_KEY)): layer for layer in self._viewer.layers}
        for layer in layers:
            if (before := shown.get(str(layer.metadata[_KEY]))) is not None and isinstance(layer, Labels):
                self._viewer.layers.remove(before)  # the batch may have written it again
            elif before is not None:
                before.visible = True
                continue
            self._viewer.add_layer(layer)
        self.opened.emit(self._event)

    def _end(self) -> None:
        self._task = None


def read_layers(event: Event) -> list[Layer]:
    """Read an image and its labels; call it in a worker.

    Raises
    ------
    UnetsegError
        If a file cannot be read.
    """
    from napari_unetseg.io import read_image

    image = read_image(event.file)
    data = image.array
    axes = image.axes.replace("C", "")
    if "C" in image.axes:
        data = np.moveaxis(data, image.axes.index("C"), -1 if image.rgb else 0)
        axes = axes if image.rgb else f"C{axes}"
    layers: list[Layer] = [
        ImageLayer(
            data,
            rgb=image.rgb,
            name=event.file.stem,
            metadata={_KEY: str(event.file)},
            **_place(image, axes),
        )
    ]
    if event.target is not None and event.target.holds(ResultKind.LABELS):
        layers.append(_labels(event.target, f"{event.file.stem} labels", image))
    return layers


def _labels(target: Target, name: str, image: Image) -> Labels:
    import pandas as pd

    from napari_unetseg.io import read_label_image

    path = target.path(ENDINGS[ResultKind.LABELS])
    array = read_label_image(path).array
    features = pd.DataFrame()
    if target.holds(ResultKind.TABLE):
        features = pd.read_csv(target.path(ENDINGS[ResultKind.TABLE])).rename(columns={"label": "index"})
    arguments = {**LABELS, "features": features, "metadata": {_KEY: str(path)}}
    return Labels(array, name=name, **arguments, **_place(image, f"{image.stack_axes}YX"))


def _place(image: Image, axes: str) -> dict[str, Any]:
    """Return the size and unit of a step along each axis as napari's layers take them."""
    scale, units = image.steps_along(axes)
    return {"scale": scale, "units": units} if set(units) != {"pixel"} else {}
