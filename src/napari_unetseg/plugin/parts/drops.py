"""Files and folders that are dropped on a window."""

import json
from pathlib import Path
from typing import Literal

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.zoo.bioimageio.package import DESCRIPTION_FILES, ZIP
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.discovery import SUFFIXES

DropKind = Literal["image", "plate", "folder", "model", "settings", "other"]
_MODEL_SUFFIXES = (*SUFFIXES, ".onnx", ZIP)
_MODEL_FILES = (CARD_FILE, *DESCRIPTION_FILES)


def drop_kind(path: Path) -> DropKind:
    """Say what a path most likely is, by its name and, of a folder, by a model's card or what a plate says in it."""
    suffix = path.suffix.lower()
    if path.is_dir():
        # Folders that hold an image in many files have a name as images have.
        if suffix == ".zarr":
            return "plate" if _names_wells(path) else "image"
        return "model" if any((path / name).is_file() for name in _MODEL_FILES) else "folder"
    if path.name in _MODEL_FILES or suffix in _MODEL_SUFFIXES:
        return "model"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "settings" if suffix in (".yaml", ".yml") else "other"


def _names_wells(path: Path) -> bool:
    """Whether the metadata of an OME-Zarr are those of a plate, which are a small file."""
    for name in ("zarr.json", ".zattrs"):
        try:
            said = json.loads((path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # Whoever opens it says what is wrong.
        attributes = said.get("attributes", {}).get("ome") if name == "zarr.json" else said
        return isinstance(attributes, dict) and "plate" in attributes
    return False


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
