"""What is dropped on the dock widget: images, a folder of images, a model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.add_model.adder import ModelAdder
from napari_unetseg.plugin.folder.folder_batch import FolderBatch
from napari_unetseg.plugin.parts.drops import FileDrops, drop_kind
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.plate.plate_window import PlateWindow

if TYPE_CHECKING:
    from napari.components import ViewerModel

BUSY = mark("Wait until what is under way has ended, then drop '{file}' again.")
ONE_BY_ONE = mark("Drop images, or one folder, or one model.")
SETTINGS = mark(
    "'{file}' holds settings or a recipe, which the window does not read. Use it with napari-unetseg segment."
)
UNKNOWN = mark("'{file}' is no image, folder or model that can be opened here.")


class PanelDrops(QObject):
    """Opens images in the viewer, a folder or a plate in its window, and adds a model.

    Parameters
    ----------
    widget
        Takes the drops.
    viewer
        Opens images.
    folder, plates, adder
        The windows of folders and of plates, and what adds models.
    message
        Says what cannot be done.
    busy
        Whether something is under way that must not be disturbed.
    """

    def __init__(
        self,
        widget: QWidget,
        viewer: "ViewerModel",
        folder: FolderBatch,
        plates: PlateWindow,
        adder: ModelAdder,
        message: MessageArea,
        busy: Callable[[], bool],
    ) -> None:
        super().__init__(widget)
        self._viewer, self._folder, self._plates, self._adder = viewer, folder, plates, adder
        self._message, self._busy = message, busy
        self._drops = FileDrops(widget)
        self._drops.dropped.connect(self.take)

    def take(self, paths: Sequence[Path]) -> None:
        """Do with paths what they are for, or say in a sentence why not."""
        kinds, first = {drop_kind(path) for path in paths}, paths[0]
        if self._busy():
            self._warn(BUSY, first)
        elif kinds == {"plate"} and len(paths) == 1:
            self._plates.open(first)
        elif kinds == {"image"}:
            self._open(paths)
        elif "other" in kinds:
            self._warn(UNKNOWN, next(path for path in paths if drop_kind(path) == "other"))
        elif len(paths) > 1:
            self._warn(ONE_BY_ONE, first)
        elif kinds == {"folder"}:
            self._folder.open().take([first])
        elif kinds == {"model"}:
            self._adder.add(first)
        else:
            self._warn(SETTINGS, first)

    def _open(self, paths: Sequence[Path]) -> None:
        try:
            self._viewer.open([str(path) for path in paths], stack=False)
        except Exception as error:
            self._message.show_failure(describe_error(error))

    def _warn(self, sentence: str, path: Path) -> None:
        self._message.show_message(tr(sentence).format(file=path.name), "warning")
