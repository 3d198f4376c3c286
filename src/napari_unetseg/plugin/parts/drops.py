"""Files and folders that are dropped on a window."""

from pathlib import Path
from typing import Literal

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.discovery import SUFFIXES

DropKind = Literal["image", "folder", "model", "settings", "other"]
_MODEL_SUFFIXES = (*SUFFIXES, ".onnx")


def drop_kind(path: Path) -> DropKind:
    """Say what a path most likely is, by its name and, of a folder, by whether it has a model's card."""
    suffix = path.suffix.lower()
    if path.is_dir():
        # Folders that hold an image in many files have a name as images have.
        return "model" if (path / CARD_FILE).is_file() else "image" if suffix == ".zarr" else "folder"
    if path.name == CARD_FILE or suffix in _MODEL_SUFFIXES:
        return "model"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "settings" if suffix in (".yaml", ".yml") else "other"


class FileDrops(QObject):
    """Takes what is dropped on a widget or anything in it.

    Attributes
    ----------
    dropped
        With the list of paths.
    """

    dropped = Signal(object)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)
        for line in widget.findChildren(QLineEdit):
            # Would take a file for a text to be inserted.
            line.setAcceptDrops(False)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Accept files of this computer; all else goes its way."""
        dragged = isinstance(event, QDropEvent) and event.type() in (
            QEvent.Type.DragEnter,
            QEvent.Type.DragMove,
            QEvent.Type.Drop,
        )
        paths = _paths(event) if isinstance(event, QDropEvent) and dragged else []
        if event is None or not paths:
            return super().eventFilter(watched, event)
        if isinstance(event, QDropEvent):
            event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            self.dropped.emit(paths)
        return True


def _paths(event: QDropEvent) -> list[Path]:
    data = event.mimeData()
    urls = [] if data is None else data.urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
