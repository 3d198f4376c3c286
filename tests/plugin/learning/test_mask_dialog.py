"""The window that checks masks, in a real viewer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from qtpy.QtCore import Qt

from napari_unetseg.plugin.learning.mask_dialog import MaskDialog
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.training.mask_reading import read_numbers

OpenWindow = Callable[..., SegmentationWidget]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images with masks, of which one has a speck, and a mask that is a photo."""
    folder = tmp_path / "discs"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    numbers = np.zeros((40, 60), np.uint8)
    numbers[4:24, 4:24], numbers[4:24, 30:50] = 1, 2
    for name in ("a", "b"):
        Pillow.fromarray(numbers * 60).save(folder / "images" / f"{name}.png")
        Pillow.fromarray(numbers).save(folder / "masks" / f"{name}.png")
        numbers[35, 55] = 1
    return folder


@pytest.fixture
def dialog(open_window: OpenWindow, qtbot: Any) -> Iterator[MaskDialog]:
    widget = open_window()
    widget.learning.open_train()
    panel = widget.learning.panel
    assert panel is not None
    yield widget.learning.masks
    widget.learning.masks.close()
    qtbot.waitUntil(lambda: not widget.learning.masks.worker.busy, timeout=30_000)


def look(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    dialog.show()
    dialog.check(data / "masks")
    qtbot.waitUntil(lambda: not dialog.worker.busy, timeout=30_000)


def click(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_faults_are_listed_and_offered_to_be_mended(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    look(dialog, qtbot, data)
    assert [dialog.table.name_of(row) for row in range(2)] == ["b.png", "a.png"]
    assert "Specks: 1 extra piece" in dialog.table.item(0, 2).text()
    assert [repair for repair, box in dialog.boxes.items() if box.isVisible()] == ["specks"]
    assert dialog.mend.isEnabled()
    assert dialog.message.text.text() == "2 masks looked at, 1 without a fault."


def test_mended_copies_can_be_trained_on(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    look(dialog, qtbot, data)
    click(qtbot, dialog.mend)
    qtbot.waitUntil(lambda: not dialog.worker.busy, timeout=30_000)
    mended = data.with_name("discs_mended")
    sound = read_numbers(data / "masks" / "a.png")
    for name in ("a", "b"):
        np.testing.assert_array_equal(read_numbers(mended / "masks" / f"{name}.png"), sound)
        assert (mended / "images" / f"{name}.png").read_bytes() == (data / "images" / f"{name}.png").read_bytes()
    assert read_numbers(data / "masks" / "b.png")[35, 55] == 1
    asked = []
    dialog.train_requested.connect(asked.append)
    click(qtbot, dialog.message.buttons.currentWidget().findChild(type(dialog.mend)))
    assert asked == [mended]


def test_nothing_is_mended_where_nothing_is_ticked(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    look(dialog, qtbot, data)
    dialog.boxes["specks"].setChecked(False)
    assert not dialog.mend.isEnabled()
    assert dialog.mend.toolTip() == "Tick what to mend."


def test_a_mask_opens_at_its_fault(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    look(dialog, qtbot, data)
    viewer = dialog._viewer
    before = len(viewer.layers)
    dialog.table.cellDoubleClicked.emit(0, 1)
    qtbot.waitUntil(lambda: not dialog.opener.busy, timeout=30_000)
    assert len(viewer.layers) == before + 1
    assert viewer.layers[-1].name == "b"
    assert tuple(viewer.scene.camera.center[-2:]) == (35, 55)


def test_a_folder_that_is_not_there_is_named(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    look(dialog, qtbot, data / "nowhere")
    assert "nowhere" in dialog.message.text.text()
    assert not dialog.mend.isEnabled()


@pytest.mark.parametrize("end", ["close", "reject"])
def test_a_window_that_was_closed_midway_waits_for_nothing(
    dialog: MaskDialog, qtbot: Any, data: Path, end: str
) -> None:
    dialog.show()
    dialog.check(data / "masks")
    getattr(dialog, end)()
    qtbot.waitUntil(lambda: not dialog.worker.busy, timeout=30_000)
    dialog.show()
    assert dialog.message.text.text() == "Cancelled."
    assert not dialog.cancel.isEnabled()
    assert dialog.bar.maximum() == 1


def test_copies_go_to_a_folder_that_is_new(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    data.with_name("discs_mended").mkdir()
    look(dialog, qtbot, data)
    assert dialog.output.text() == str(data.with_name("discs_mended2"))


def test_a_folder_without_masks_is_named(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    for mask in (data / "masks").iterdir():
        mask.unlink()
    look(dialog, qtbot, data)
    assert dialog.message.text.text().endswith("there are no masks in this folder.")


def test_a_folder_that_cannot_be_looked_into_is_no_fault_of_ours(
    dialog: MaskDialog, qtbot: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    look(dialog, qtbot, data)
    assert "cannot be looked into (Permission denied)" in dialog.message.text.text()


def test_a_folder_of_sound_masks_says_so(dialog: MaskDialog, qtbot: Any, data: Path) -> None:
    (data / "masks" / "b.png").unlink()
    look(dialog, qtbot, data)
    assert dialog.message.text.text() == "No fault was found."
    assert not dialog.mend.isEnabled()
