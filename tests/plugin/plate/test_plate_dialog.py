"""The window of plates in a real viewer, with a real, tiny model and a real plate."""

import csv
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QSettings, Qt
from qtpy.QtTest import QTest
from tests.io.ome_zarr.foreign_writers import write_plate

from napari_unetseg.plugin.plate.plate_dialog import PlateDialog
from napari_unetseg.plugin.plate.well_colours import WellColours, scale_colour
from napari_unetseg.plugin.workers.batch_run import ModelChoice
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage

Open = Callable[..., PlateDialog]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path) -> None:
    """Remember in a folder of this test."""
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))


@pytest.fixture
def plate(tmp_path: Path, squares: NDArray[np.uint16]) -> Path:
    """Three wells: of one field with three objects, of two with three and none, and one that cannot be read."""
    write_plate(tmp_path / "p.zarr", {"A/1": [squares], "B/2": [squares, squares * 0], "B/3": [squares]})
    for chunk in (tmp_path / "p.zarr" / "B" / "3" / "0" / "0").glob("*/*"):
        chunk.write_bytes(b"damaged")
    return tmp_path / "p.zarr"


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
def open_dialog(
    make_napari_viewer_proxy: Any, service: SegmentationService, package: ModelPackage, qtbot: Any
) -> Iterator[Open]:
    """Open the window and wait until it has read the plate."""
    made: list[PlateDialog] = []

    def make(plate: Path | None, service: Any = service, table: Path | None = None) -> PlateDialog:
        viewer = made[0]._viewer if made else make_napari_viewer_proxy()
        chosen = ModelChoice(str(package.path), "cpu", {"min_size": 4}, "Bright objects")
        dialog = PlateDialog(
            viewer, lambda model, device: service, lambda: chosen, choose_conditions=lambda parent, start: table
        )
        made.append(dialog)
        dialog.show()
        if plate is not None:
            dialog.form.plate.setText(str(plate))
        qtbot.waitUntil(lambda: not dialog.reader.busy, timeout=20_000)
        return dialog

    yield make
    for dialog in made:
        dialog.close()
        workers = (dialog.reader, dialog.refresher, dialog.conditions_reader, dialog.opener)
        qtbot.waitUntil(
            lambda d=dialog, w=workers: not (d.controller.running or any(one.busy for one in w)), timeout=30_000
        )
        dialog.deleteLater()


def wait(dialog: PlateDialog, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dialog.controller.running, timeout=60_000)


def statuses(dialog: PlateDialog) -> list[str | None]:
    assert dialog.facts is not None
    return [well.status for well in dialog.facts.wells()]


def written(plate: Path) -> set[tuple[str, str]]:
    """Wells and conditions in the table of all objects."""
    with (plate.parent / "segmented" / "segmentation_objects.csv").open(newline="") as file:
        return {(row["well"], row["condition"]) for row in csv.DictReader(file)}


def click(dialog: PlateDialog, number: int, *, ctrl: bool = False) -> None:
    modifier = Qt.KeyboardModifier.ControlModifier if ctrl else Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(dialog.grid, Qt.MouseButton.LeftButton, modifier, dialog.grid.centre_of(number))


def colour_at(dialog: PlateDialog, number: int) -> str:
    """The colour of a well, left of what is written on it."""
    at = dialog.grid.centre_of(number) - QPoint(int(dialog.grid._side * 0.3), 0)
    return str(dialog.grid.grab().toImage().pixelColor(at).name())


def test_wells_are_segmented_opened_and_told(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    assert dialog.about.text() == "screen: 3 wells, 4 fields"
    assert dialog.form.output.text() == str(plate.parent / "segmented")
    assert dialog.run.text() == "Run on all wells"
    assert statuses(dialog) == 3 * ["waiting"]
    dialog.form.beside.setChecked(True)
    dialog.run.click()
    assert not dialog.run.isEnabled()
    assert not dialog.form.plate.isEnabled()
    wait(dialog, qtbot)
    assert statuses(dialog) == ["done", "done", "failed"]
    assert dialog.facts is not None
    assert [well.objects for well in dialog.facts.wells()] == [3, 3, None]
    assert "1 failed." in dialog.message.text.text()
    colours = WellColours.of(get_theme(dialog._viewer.theme)).statuses
    assert [colour_at(dialog, number) for number in (0, 2)] == [colours["done"].name(), colours["failed"].name()]
    dialog.view.colours.setCurrentIndex(1)
    # A field of the second well has none: 1.5 objects a field.
    assert dialog.view.legend.words == "2 to 3 objects a field"
    assert [colour_at(dialog, number) for number in (0, 1)] == [scale_colour(1).name(), scale_colour(0).name()]
    # Labels did not go into the plate, and the image and its labels open over one another.
    assert not list(plate.rglob("labels"))
    QTest.mouseDClick(dialog.grid, Qt.MouseButton.LeftButton, pos=dialog.grid.centre_of(1))
    qtbot.waitUntil(lambda: len(dialog._viewer.layers) == 2 and not dialog.opener.busy, timeout=20_000)
    image, labels = dialog._viewer.layers
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert image.name == "p.zarr/B/2/0"
    assert (int(labels.data.max()), tuple(image.scale), tuple(labels.scale)) == (3, (0.5, 0.5), (0.5, 0.5))
    # Another window finds what was done.
    again = open_dialog(plate)
    assert statuses(again) == ["done", "done", "failed"]


def test_chosen_wells_and_fields_alone_are_segmented(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate)
    click(dialog, 1)
    assert (dialog.grid.chosen, dialog.run.text(), dialog.wells.title.text()) == ({1}, "Run on 1 well", "B02")
    assert dialog.wells.table.rowCount() == 2
    dialog.form.fields.setText("1")
    dialog.run.click()
    wait(dialog, qtbot)
    assert statuses(dialog) == ["waiting", "waiting", "waiting"]
    assert dialog.facts is not None
    assert [event.status for event in dialog.facts.well(1).events] == ["waiting", "done"]
    dialog.form.fields.setText("7")
    dialog.run.click()
    assert not dialog.controller.running
    assert "None of these wells has such a field" in dialog.message.text.text()


def test_wells_are_chosen_by_mouse_and_keys(open_dialog: Open, plate: Path) -> None:
    grid = (dialog := open_dialog(plate)).grid
    click(dialog, 0)
    click(dialog, 2, ctrl=True)
    assert grid.chosen == {0, 2}
    click(dialog, 2, ctrl=True)
    assert grid.chosen == {0}
    side = int(grid._side)
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(side // 2, side * 2 + side // 2))
    assert grid.chosen == {1, 2}  # by the letter of its row
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(side // 2, side // 2))
    assert grid.chosen == {0, 1, 2}
    QTest.mousePress(grid, Qt.MouseButton.LeftButton, pos=grid.centre_of(0))
    QTest.mouseMove(grid, grid.centre_of(1))
    QTest.mouseRelease(grid, Qt.MouseButton.LeftButton, pos=grid.centre_of(1))
    assert grid.chosen == {0, 1}
    click(dialog, 1)
    QTest.keyClick(grid, Qt.Key.Key_Right)
    assert grid.chosen == {2}
    QTest.keyClick(grid, Qt.Key.Key_Right)
    assert grid.chosen == {2}
    QTest.keyClick(grid, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert grid.chosen == {0, 1, 2}


def test_conditions_are_read_typed_and_written(open_dialog: Open, plate: Path, tmp_path: Path, qtbot: Any) -> None:
    table = tmp_path / "conditions.csv"
    table.write_text("well,condition\na1,control\nB-02,drug\nH12,other\n")
    dialog = open_dialog(plate, table=table)
    dialog.wells.from_table.click()
    qtbot.waitUntil(lambda: not dialog.conditions_reader.busy, timeout=20_000)
    assert dialog.message.text.text().startswith("Conditions of 2 wells were read.")
    click(dialog, 0)
    assert dialog.wells.condition.text() == "control"
    dialog.wells.condition.setText("water")
    dialog.wells.condition.editingFinished.emit()
    dialog.run.click()
    wait(dialog, qtbot)
    assert written(plate) == {("A01", "water")}
    # Nothing is left to segment, and the tables are written all the same.
    dialog.wells.condition.setText("salt")
    dialog.wells.condition.editingFinished.emit()
    dialog.run.click()
    wait(dialog, qtbot)
    assert written(plate) == {("A01", "salt")}
    again = open_dialog(plate)
    assert again.facts is not None
    assert again.facts.well(0).condition == "salt"


def test_a_batch_is_cancelled_and_keeps_what_is_finished(
    open_dialog: Open, plate: Path, service: SegmentationService, qtbot: Any
) -> None:
    gate = Gate(service)
    dialog = open_dialog(plate, service=gate)
    dialog.run.click()
    qtbot.waitUntil(gate.entered.is_set, timeout=30_000)
    dialog.cancel.click()
    gate.release.set()
    wait(dialog, qtbot)
    assert dialog.message.text.text().startswith("Cancelled.")
    assert "done" in [event.status for well in dialog.facts.wells() for event in well.events]  # type: ignore[union-attr]
    # How many were on their way already is not known.
    assert "running" not in statuses(dialog)
    assert dialog.run.isEnabled()


def test_what_is_no_plate_is_said_and_another_one_is_read(open_dialog: Open, plate: Path, qtbot: Any) -> None:
    dialog = open_dialog(plate / "A" / "1" / "0")
    assert "is no plate" in dialog.message.text.text()
    assert (dialog.run.isEnabled(), dialog.grid.chosen, dialog.about.text()) == (False, set(), "")
    dialog.take([plate])
    qtbot.waitUntil(lambda: dialog.facts is not None, timeout=20_000)
    assert dialog.run.isEnabled()
