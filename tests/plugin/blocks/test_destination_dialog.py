"""The window that asks where labels go says what is there, and never replaces anything unasked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QSettings

from napari_unetseg.plugin.blocks.destination import Destination
from napari_unetseg.plugin.blocks.destination_dialog import DestinationDialog, amount, next_name
from napari_unetseg.plugin.layers.plane import shown_plane

Ask = Callable[..., DestinationDialog]


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test begin with the folder that the one before chose."""
    path = str(tmp_path / "settings.ini")
    monkeypatch.setattr(
        "napari_unetseg.plugin.blocks.destination_dialog._qt_settings",
        lambda: QSettings(path, QSettings.Format.IniFormat),
    )


@pytest.fixture
def ask(qtbot: Any) -> Ask:
    """Ask for the labels of an image of 20 x 30 pixels in a file."""

    def ask(file: Path | str | None, needed: int = 0, chosen: Path | None = None) -> DestinationDialog:
        viewer = ViewerModel()
        layer = viewer.add_image(np.zeros((20, 30), np.uint8), name="cells")
        layer._source = layer.source.model_copy(update={"path": None if file is None else str(file)})
        dialog = DestinationDialog(shown_plane(layer, viewer.dims), "nuclei", needed, "dark", lambda *_: chosen)
        qtbot.addWidget(dialog)
        settle(dialog)
        return dialog

    def settle(dialog: DestinationDialog) -> None:
        qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)

    ask.settle = settle  # type: ignore[attr-defined]
    return ask


def write_image(folder: Path, shape: tuple[int, ...] = (20, 30), version: str = "0.5") -> Path:
    """Write as much of an OME-Zarr image as says what it is."""
    about = {"multiscales": [{"datasets": [{"path": "0"}]}]}
    files: dict[str, Any] = {
        "0.5": {"zarr.json": {"attributes": {"ome": about}}, "0/zarr.json": {"shape": shape}},
        "0.4": {".zattrs": about, "0/.zarray": {"shape": shape}},
    }[version]
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


def press(dialog: DestinationDialog) -> Destination:
    given: list[Destination] = []
    dialog.chosen.connect(given.append)
    dialog.start.click()
    (destination,) = given
    return destination


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_of_an_ome_zarr_image_go_into_it_under_the_name_of_the_model(
    ask: Ask, tmp_path: Path, version: str
) -> None:
    image = write_image(tmp_path / "slide.ome.zarr", version=version)
    dialog = ask(image)
    assert press(dialog) == Destination(image, True, "nuclei")
    assert Destination(image, True, "nuclei").group == image / "labels" / "nuclei"


def test_labels_of_another_file_go_beside_it_under_its_name(ask: Ask, tmp_path: Path) -> None:
    dialog = ask(tmp_path / "slide.tif")
    assert not dialog.into.isEnabled()
    assert "OME-Zarr" in dialog.into.toolTip()
    destination = press(dialog)
    assert destination == Destination(tmp_path, False, "slide")
    assert destination.store == tmp_path / "slide_labels.ome.zarr"


@pytest.mark.parametrize(
    ("file", "shape", "why"),
    [("https://example.org/a.ome.zarr", None, "web"), ("a.zarr", (40, 60), "another size"), (None, None, "no file")],
)
def test_what_cannot_hold_the_labels_is_told_and_the_last_folder_offered(
    ask: Ask, tmp_path: Path, file: str | None, shape: tuple[int, ...] | None, why: str
) -> None:
    path = write_image(tmp_path / file, shape) if file and shape else file
    last = tmp_path / "last"
    last.mkdir()
    first = ask(None, chosen=last)
    first.folder_button.click()
    ask.settle(first)  # type: ignore[attr-defined]
    press(first)
    dialog = ask(path)
    assert not dialog.into.isEnabled()
    assert why in dialog.into.toolTip()
    assert dialog.folder.text() == str(tmp_path if shape else last)
    assert dialog.name.text() == ("cells" if file is None else "a")


def test_the_choice_of_a_folder_rather_than_the_image_is_remembered(ask: Ask, tmp_path: Path) -> None:
    image = write_image(tmp_path / "slide.zarr")
    dialog = ask(image)
    dialog.beside.setChecked(True)
    ask.settle(dialog)  # type: ignore[attr-defined]
    assert press(dialog) == Destination(tmp_path, False, "slide")
    assert ask(image).beside.isChecked()


def test_finished_labels_are_not_replaced_unless_somebody_says_so(ask: Ask, tmp_path: Path) -> None:
    image = write_image(tmp_path / "slide.zarr")
    write_image(image / "labels" / "nuclei")
    write_image(image / "labels" / "nuclei_2")
    dialog = ask(image)
    assert dialog.name.text() == "nuclei_3"
    dialog.name.clear()
    dialog.name.insert("nuclei")
    dialog.name.setModified(True)
    ask.settle(dialog)  # type: ignore[attr-defined]
    assert not dialog.start.isEnabled()
    assert "already" in dialog.message.text.text()
    dialog.replace.setChecked(True)
    assert press(dialog) == Destination(image, True, "nuclei", replace=True)


def test_a_run_that_was_stopped_goes_on_under_its_name(ask: Ask, tmp_path: Path) -> None:
    Destination(tmp_path, False, "slide").job_folder.mkdir()
    dialog = ask(tmp_path / "slide.tif")
    assert dialog.start.text() == "Go on"
    assert "goes on" in dialog.message.text.text()
    dialog.replace.setChecked(True)
    assert dialog.start.text() == "Start"
    assert press(dialog).replace


def test_a_disk_without_room_is_told_before_hours_are_spent(ask: Ask, tmp_path: Path) -> None:
    dialog = ask(tmp_path / "slide.tif", needed=10**18)
    assert "only" in dialog.message.text.text()
    assert dialog.start.isEnabled()


def test_a_folder_that_may_not_be_written_is_told(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    dialog = ask(tmp_path / "slide.tif")
    dialog.folder.setText(str(tmp_path))
    ask.settle(dialog)  # type: ignore[attr-defined]
    assert "may not be written" in dialog.message.text.text()
    assert not dialog.start.isEnabled()


def test_names_go_on_counting_and_sizes_are_short() -> None:
    assert [next_name(name) for name in ("a", "a_2", "a_9")] == ["a_2", "a_3", "a_10"]
    assert [amount(size) for size in (0, 850 * 2**20, 3 * 2**30, 80 * 2**30)] == ["1 MB", "850 MB", "3.0 GB", "80 GB"]


def test_a_file_is_no_folder_for_labels(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a file")
    dialog = ask(tmp_path / "cells.tif")
    for folder, can in ((tmp_path / "new" / "deep", True), (tmp_path / "notes.txt" / "deep", False)):
        dialog.folder.setText(str(folder))
        ask.settle(dialog)  # type: ignore[attr-defined]
        assert dialog.start.isEnabled() == can
    assert "Choose another folder" in dialog.message.text.text()
