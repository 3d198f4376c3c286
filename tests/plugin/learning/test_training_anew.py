"""The tab "Train a new model" in a real viewer: what is looked at, what is said, and what is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_unetseg.plugin.learning.learning_panel import LearningPanel
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.training.corrected_images import read_corrected_images
from napari_unetseg.training.job_folder import job_folders

OpenWindow = Callable[..., SegmentationWidget]


def click(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def labelled(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Six discs on noise, and their numbers."""
    random = np.random.default_rng(seed)
    masks = np.zeros((96, 96), np.uint16)
    rows, columns = np.indices(masks.shape)
    for number in range(6):
        y, x = 16 + 32 * (number // 3), 16 + 32 * (number % 3)
        masks[(rows - y) ** 2 + (columns - x) ** 2 < 64] = number + 1
    return (random.integers(0, 40, masks.shape) + 160 * (masks > 0)).astype(np.uint8), masks


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four good pairs."""
    folder = tmp_path / "discs"
    for seed in range(4):
        image, masks = labelled(seed)
        for name, pixels in (("images", image), ("masks", masks)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name / f"{seed}.tif", pixels)
    return folder


def open_train(widget: SegmentationWidget, qtbot: Any, folder: Path | None = None) -> LearningPanel:
    widget.learning.open_train()
    panel = widget.learning.panel
    assert panel is not None
    form = panel.train
    if folder is not None:
        form.folder.setText(str(folder))
        form.folder_named()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=30_000)
    return panel


def test_a_good_folder_is_listed_and_can_be_trained_on(
    open_window: OpenWindow, data: Path, qtbot: Any, processes: Any
) -> None:
    widget = open_window()
    form = open_train(widget, qtbot, data).train
    assert form.table.rowCount() == 4
    assert form.table.item(0, 1).text() == "0\n96 x 96 px\n6 objects of 16 px"
    assert form.table.item(0, 0).icon().availableSizes()
    assert form.findings.text().startswith("4 images with their masks.")
    assert form.title.text() == "My discs"
    form.minutes.setValue(7)
    form.network.setCurrentIndex(form.network.findData("standard"))
    click(qtbot, form.train)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    arguments = processes.last.arguments
    assert arguments[:6] == ["train", str(data), "--objects", "touching", "--size", "standard"]
    assert arguments[arguments.index("--minutes") + 1] == "7"
    assert arguments[arguments.index("--title") + 1] == "My discs"


def test_a_missing_mask_stands_first_and_training_waits(open_window: OpenWindow, data: Path, qtbot: Any) -> None:
    (data / "masks" / "2.tif").unlink()
    form = open_train(open_window(), qtbot, data).train
    assert form.table.item(0, 1).text().startswith("2")
    assert form.table.item(0, 2).text().startswith("✕ ")
    assert not form.train.isEnabled()
    assert "cannot be used" in form.train.toolTip()


def test_masks_of_one_value_suggest_an_area_until_the_user_chooses(
    open_window: OpenWindow, data: Path, qtbot: Any
) -> None:
    for path in (data / "masks").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) > 0).astype(np.uint8))
    widget = open_window()
    form = open_train(widget, qtbot, data).train
    assert form.chosen_objects() == "area"
    form.objects.setCurrentIndex(form.objects.findData("touching"))
    form.objects.activated.emit(0)
    form.source_changed.emit()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=30_000)
    assert form.chosen_objects() == "touching"


def test_a_folder_without_masks_is_said(open_window: OpenWindow, tmp_path: Path, qtbot: Any) -> None:
    form = open_train(open_window(), qtbot, tmp_path).train
    assert "there is no such folder" in form.findings.text()
    assert not form.train.isEnabled()


def test_open_labels_are_written_down_and_trained_on(open_window: OpenWindow, qtbot: Any, processes: Any) -> None:
    image, masks = labelled(0)
    widget = open_window()
    widget.viewer.add_image(image, name="discs")
    widget.viewer.add_labels(masks.astype(np.int32), name="truth")
    form = open_train(widget, qtbot).train
    form.source.setCurrentIndex(1)
    assert form.labels.count() == 1
    assert form.labels.ticked() == []
    item = form.labels.item(0)
    assert item is not None
    item.setCheckState(Qt.CheckState.Checked)
    qtbot.waitUntil(lambda: form.train.isEnabled(), timeout=30_000)
    assert form.table.rowCount() == 1
    click(qtbot, form.train)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    (folder,) = job_folders()
    (written,) = read_corrected_images(folder.data / "images", folder.data / "masks")
    np.testing.assert_array_equal(written.labels, masks)
    np.testing.assert_array_equal(written.image.array, image)


def test_the_tab_is_ready_when_it_is_reached_by_a_click(open_window: OpenWindow, data: Path, qtbot: Any) -> None:
    widget = open_window()
    widget.learning.open_improve()
    panel = widget.learning.panel
    assert panel is not None
    panel.train.folder.setText(str(data))
    bar = panel.tabs.tabBar()
    assert bar is not None
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(1).center())
    qtbot.waitUntil(lambda: panel.train.table.rowCount() == 4, timeout=30_000)
