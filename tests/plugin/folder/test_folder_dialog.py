"""The window of folders in a real viewer, with a real, tiny model and real files."""

import csv
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QSettings, Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from tests.io.ome_zarr.foreign_writers import write_plate

from napari_unetseg.batch.events import BatchCounts, Event
from napari_unetseg.batch.output_files import ResultKind
from napari_unetseg.batch.summary_tables import FILES, OBJECTS
from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.plugin.folder import folder_words
from napari_unetseg.plugin.folder.folder_dialog import FolderDialog
from napari_unetseg.plugin.parts import batch_words
from napari_unetseg.plugin.workers.batch_run import ModelChoice
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage

Open = Callable[..., FolderDialog]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path) -> None:
    """Remember in a folder of this test."""
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))


@pytest.fixture
def plate(tmp_path: Path, squares: NDArray[np.uint16]) -> Path:
    folder = tmp_path / "plate"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.tif", "c.tif", "deep/d.tif"):
        tifffile.imwrite(folder / name, squares, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})
    (folder / "b.png").write_text("no image")
    return folder


class Gate:
    """A real service that stands still after its first result until `release` is set."""

    def __init__(self, service: SegmentationService) -> None:
        self._service = service
        self.entered, self.release = threading.Event(), threading.Event()
        self.package = service.package

    def iter_batch(self, images: Any, **options: Any) -> Iterator[Any]:
        for result in self._service.iter_batch(images, **options):
            yield result
            self.entered.set()
            assert self.release.wait(30)


@pytest.fixture
def gate(service: SegmentationService) -> Iterator[Gate]:
    gate = Gate(service)
    yield gate
    gate.release.set()


@pytest.fixture
def open_dialog(
    make_napari_viewer_proxy: Any, service: SegmentationService, package: ModelPackage, qtbot: Any
) -> Iterator[Open]:
    """Open the window and wait until it has found the folder's images."""
    made: list[FolderDialog] = []

    def make(folder: Path | None, model_choice: Any = service, model: ModelChoice | None = None) -> FolderDialog:
        viewer = made[0]._viewer if made else make_napari_viewer_proxy()
        chosen = model or ModelChoice(str(package.path), "cpu", {"min_size": 4}, "Bright objects")
        dialog = FolderDialog(viewer, lambda model, device: model_choice, lambda: chosen)
        made.append(dialog)
        dialog.show()
        if folder is not None:
            dialog.form.folder.setText(str(folder))
        qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
        return dialog

    yield make
    for dialog in made:
        dialog.close()
        qtbot.waitUntil(
            lambda d=dialog: not (d.controller.running or d.finder.busy or d.results_finder.busy or d.opener.busy),
            timeout=30_000,
        )
        dialog.deleteLater()


def wait(dialog: FolderDialog, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dialog.controller.running, timeout=60_000)


def shown(dialog: FolderDialog, column: int) -> list[str]:
    model = dialog.table.files
    return [str(model.data(model.index(row, column))) for row in range(model.rowCount())]


def test_a_plate_is_handed_to_the_window_of_plates(
    open_dialog: Open, tmp_path: Path, squares: NDArray[np.uint16], qtbot: Any
) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [squares]})
    dialog, asked = open_dialog(None), []
    dialog.plate_requested.connect(asked.append)
    dialog.form.folder.setText(str(tmp_path / "p.zarr"))
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert not dialog.run.isEnabled()
    assert "plate" in dialog.message.text.text()
    dialog.message.action.click()
    assert asked == [tmp_path / "p.zarr"]


def test_a_folder_is_segmented_and_every_file_told(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    assert dialog.form.matches.text() == "3 images"
    assert dialog.form.output.text() == str(plate / "segmented")
    assert shown(dialog, 1) == 3 * ["○ waiting"]
    dialog.form.results[ResultKind.CONTOURS].setChecked(True)
    dialog.run.click()
    assert not dialog.run.isEnabled()
    assert not dialog.form.folder.isEnabled()
    wait(dialog, qtbot)
    assert shown(dialog, 0) == ["a.tif", "b.png", "c.tif"]
    assert shown(dialog, 1) == ["✓ done", "✕ failed", "✓ done"]
    assert shown(dialog, 2) == ["3", "", "3"]
    assert shown(dialog, 4)[1].startswith("cannot be read as an image")
    assert dialog.message.text.text().endswith("1 failed. 6 objects in all.")
    assert dialog.bar.text() == "3 / 3"
    assert dialog.run.isEnabled()
    assert not dialog.cancel.isEnabled()
    assert (plate / "segmented" / "a_contours.geojson").exists()
    with (plate / "segmented" / OBJECTS).open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == 3 * ["a.tif"] + 3 * ["c.tif"]
    dialog.run.click()
    wait(dialog, qtbot)
    assert shown(dialog, 1) == ["✓ done before", "✕ failed", "✓ done before"]
    assert "2 were done before." in dialog.message.text.text()


def test_results_are_offered_for_review_once_there_are_some(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    qtbot.waitUntil(lambda: not dialog.results_finder.busy, timeout=20_000)
    assert not dialog.review.isEnabled()
    dialog.run.click()
    wait(dialog, qtbot)
    qtbot.waitUntil(dialog.review.isEnabled, timeout=20_000)
    with qtbot.waitSignal(dialog.review_requested) as asked:
        QTest.mouseClick(dialog.review, Qt.MouseButton.LeftButton)
    assert asked.args == [plate / "segmented"]
    dialog.form.output.setText(str(plate / "elsewhere"))
    assert not dialog.review.isEnabled()


def test_pattern_and_sub_folders_decide_which_images_match(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    dialog.form.recursive.setChecked(True)
    dialog.form.pattern.setText("*.tif")
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert shown(dialog, 0) == ["a.tif", "c.tif", "deep/d.tif"]
    dialog.form.pattern.setText("*.jpg")
    assert not dialog.run.isEnabled()
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert dialog.message.text.text() == folder_words.NO_IMAGES
    assert dialog.form.matches.text() == "0 images"
    dialog.form.folder.setText(str(plate / "gone"))
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert "there is no such folder" in dialog.message.text.text()


def test_scenes_of_a_file_are_rows_of_their_own(
    open_dialog: Open, tmp_path: Path, squares: NDArray[np.uint16], write_czi: Callable[..., Path], qtbot: Any
) -> None:
    write_czi(tmp_path / "folder/cells.czi", squares, squares[::-1], squares)
    write_czi(tmp_path / "folder/other.czi", squares)
    dialog = open_dialog(tmp_path / "folder")
    assert shown(dialog, 0) == [*(f"cells.czi/Scene {number}" for number in range(3)), "other.czi"]
    dialog.form.scenes.setText("scene 1, 2")
    qtbot.waitUntil(lambda: not dialog.finder.busy, timeout=20_000)
    assert shown(dialog, 0) == ["cells.czi/Scene 1", "cells.czi/Scene 2"]
    dialog.run.click()
    wait(dialog, qtbot)
    assert shown(dialog, 1) == 2 * ["✓ done"]
    dialog.table.opened.emit(dialog.table.files.event_at(0))
    qtbot.waitUntil(lambda: not dialog.opener.busy, timeout=20_000)
    image, labels = dialog._viewer.layers
    assert (image.name, labels.name) == ("cells.czi/Scene 1", "cells.czi/Scene 1 labels")
    np.testing.assert_array_equal(image.data, squares[::-1])
    assert labels.data.max() == 3


def test_cancel_keeps_what_is_finished(open_dialog: Open, plate: Path, gate: Gate, qtbot: Any) -> None:
    for number in range(60):  # more than a run is ahead of the result that is asked for, on any machine
        shutil.copy(plate / "a.tif", plate / f"z{number:02}.tif")
    dialog = open_dialog(plate, model_choice=gate)
    dialog.run.click()
    qtbot.waitUntil(gate.entered.is_set, timeout=60_000)
    dialog.cancel.click()
    gate.release.set()
    wait(dialog, qtbot)
    states = shown(dialog, 1)
    assert states[0] == "✓ done"
    assert states[-1] == "○ waiting"
    done = states.count("✓ done")
    assert dialog.message.text.text().startswith(f"Cancelled. {done} image")
    with (plate / "segmented" / FILES).open(newline="") as file:
        assert {row["file"]: row["status"] for row in csv.DictReader(file)}["z59.tif"] == "waiting"


def test_closing_the_window_cancels_and_escape_does_not(open_dialog: Open, plate: Path, gate: Gate, qtbot: Any) -> None:
    dialog = open_dialog(plate, model_choice=gate)
    dialog.run.click()
    qtbot.waitUntil(gate.entered.is_set, timeout=60_000)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert not dialog.controller.cancelling
    dialog.close()
    assert not dialog.isVisible()
    assert dialog.controller.cancelling
    gate.release.set()
    wait(dialog, qtbot)


def test_a_double_click_opens_the_image_with_its_labels(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    dialog.run.click()
    wait(dialog, qtbot)
    viewer = dialog._viewer
    for _ in range(2):  # the second one shows what is there already
        dialog.table.doubleClicked.emit(dialog.table.files.index(0, 0))
        qtbot.waitUntil(lambda: not dialog.opener.busy, timeout=20_000)
        assert [layer.name for layer in viewer.layers] == ["a", "a labels"]
    labels = viewer.layers["a labels"]
    assert isinstance(labels, Labels)
    assert labels.data.max() == 3
    assert list(labels.features["index"]) == [1, 2, 3]
    np.testing.assert_allclose(labels.scale, (0.5, 0.5))
    np.testing.assert_allclose(labels.scale, viewer.layers["a"].scale)
    dialog.table.doubleClicked.emit(dialog.table.files.index(1, 0))
    qtbot.waitUntil(lambda: not dialog.opener.busy, timeout=20_000)
    assert "cannot be read as an image" in dialog.message.text.text()


def test_a_model_that_cannot_be_used_is_told(
    open_dialog: Open, plate: Path, qtbot: Any, service: SegmentationService
) -> None:
    class Broken:
        package = service.package

        def iter_batch(self, images: Any, **options: Any) -> Any:
            raise ModelError("The weights are damaged.")

    dialog = open_dialog(plate, model_choice=Broken())
    dialog.run.click()
    wait(dialog, qtbot)
    assert dialog.message.text.text() == "The weights are damaged."
    assert dialog.message.badge.kind == "error"
    assert dialog.run.isEnabled()


def test_the_last_folder_is_remembered(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    dialog.run.click()
    wait(dialog, qtbot)
    again = open_dialog(None)
    assert again.form.folder.text() == str(plate)
    assert again.form.matches.text() == "3 images"


def test_an_output_folder_of_ones_own_stays(open_dialog: Open, plate: Path, tmp_path: Path) -> None:
    dialog = open_dialog(plate)
    dialog.form.output.setText(str(tmp_path / "mine"))
    dialog.form.folder.setText(str(plate / "deep"))
    assert dialog.form.output_folder() == tmp_path / "mine"


def test_the_output_folder_is_opened_once_it_is_there(
    open_dialog: Open, plate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    dialog = open_dialog(plate)
    dialog.show_output.click()
    assert "is not there yet" in dialog.message.text.text()
    (plate / "segmented").mkdir()
    dialog.show_output.click()
    assert opened == [str(plate / "segmented")]


def test_sentences() -> None:
    path = Path("x/a.tif")
    failed = Event(path, "failed", error=UnetsegError(f"{path}: the file is empty."))
    assert batch_words.message(failed) == "the file is empty."
    assert batch_words.status(Event(path, "running", fraction=0.25)) == "… 25 %"
    counts = BatchCounts((path, Path("b.tif")))
    counts.add(Event(path, "done", objects=7))
    assert batch_words.summary(counts, cancelled=True).startswith("Cancelled. 1 image segmented in ")
    assert batch_words.summary(counts, cancelled=True).endswith("1 is left: Run goes on. 7 objects in all.")
    assert batch_words.batch_progress(BatchCounts((path,))) == "0 %"
