"""Files and folders dropped on the panel go where they belong, or a sentence says why not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget
from tests.io.ome_zarr.foreign_writers import write_plate

from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.zoo.registry import ModelPackage

MakeWidget = Callable[..., SegmentationWidget]


def drop(target: QWidget, paths: Sequence[Path]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    # Qt hands a drop to what took the pointer when it came in.
    QApplication.sendEvent(target, QDragEnterEvent(QPoint(5, 5), *how))
    QApplication.sendEvent(target, QDropEvent(QPointF(5, 5), *how))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [folder / name for name in ("a.tif", "b [1].tif", "c.tif")]
    for path in paths:
        tifffile.imwrite(path, np.zeros((16, 16), np.uint8))
    return paths


def test_images_are_opened_by_napari_each_as_a_layer(make_widget: MakeWidget, images: list[Path]) -> None:
    widget = make_widget()
    drop(widget, images[:2])
    assert [layer.name for layer in widget.viewer.layers] == ["a", "b [1]"]
    assert widget.inputs.layer() is not None


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plate_opens_the_window_of_plates(
    make_widget: MakeWidget, tmp_path: Path, qtbot: Any, zarr_format: int
) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [np.zeros((16, 16), np.uint8)]}, zarr_format=zarr_format)
    widget = make_widget()
    drop(widget, [tmp_path / "p.zarr"])
    dialog = widget.plates.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.facts is not None, timeout=20_000)
    assert [well.name for well in dialog.facts.plate.wells] == ["A01"]
    assert not widget.viewer.layers


def test_a_folder_opens_the_window_of_folders(make_widget: MakeWidget, images: list[Path], qtbot: Any) -> None:
    widget = make_widget()
    drop(widget, [images[0].parent])
    dialog = widget.folder.dialog
    assert dialog is not None
    assert dialog.form.folder.text() == str(images[0].parent)
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert dialog.table.files.rowCount() == 3
    drop(dialog, images[1:])
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert dialog.table.files.rowCount() == 2
    drop(dialog, [images[0].parent])
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert dialog.table.files.rowCount() == 3
    drop(dialog, [images[0], images[0].parent])
    assert dialog.message.text.text() == "Drop a folder here, or images of one folder."
    dialog.close()


@pytest.mark.parametrize("of", ["folder", "card"])
def test_a_model_package_is_examined_to_be_added(
    make_widget: MakeWidget, package: ModelPackage, qtbot: Any, of: str
) -> None:
    widget = make_widget()
    drop(widget, [package.path if of == "folder" else package.path / "model.yaml"])
    qtbot.waitUntil(lambda: widget.model_adder.dialog is not None, timeout=60_000)
    widget.model_adder.dialog.reject()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["notes.docx"], "'notes.docx' is no image, folder or model"),
        (["recipe.yaml"], "'recipe.yaml' holds settings or a recipe"),
        (["a.pth", "b.pth"], "Drop images, or one folder, or one model."),
    ],
)
def test_what_cannot_be_taken_is_told(make_widget: MakeWidget, tmp_path: Path, names: list[str], words: str) -> None:
    widget = make_widget()
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(b"")
    drop(widget, paths)
    assert widget.message.text.text().startswith(words)
    assert len(widget.viewer.layers) == 0


def test_a_checkpoint_that_is_none_says_so(make_widget: MakeWidget, tmp_path: Path, qtbot: Any) -> None:
    widget = make_widget()
    path = tmp_path / "weights.pth"
    path.write_bytes(b"nothing")
    drop(widget, [path])
    qtbot.waitUntil(lambda: not widget.model_adder.busy, timeout=60_000)
    assert "weights.pth" in widget.message.text.text()
