"""In a real window, a run to disk shows its blocks while it goes on, and what is done stays whatever happens."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QSettings

from napari_unetseg.blockwise.job import NETWORK
from napari_unetseg.blockwise.run import BlockProgress
from napari_unetseg.errors import Cancelled, OutOfMemory, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.labels import open_labels
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.blocks.stored_layer import is_stored
from napari_unetseg.plugin.layers.plane import full_resolution
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.layer_data import table_features
from napari_unetseg.service import SegmentationService

MakeWidget = Callable[..., SegmentationWidget]
Act = Callable[..., Any]


class Blocks:
    """A service that does two blocks, the upper and the lower half of a plane, and stands still after the first.

    What it finds is what the real one finds; numbers of blocks that are not final are 100 higher.
    """

    def __init__(self, service: SegmentationService) -> None:
        self._service = service
        self.release = threading.Event()
        self.jobs: list[Path] = []
        self.error: Exception | None = None
        self.focus: Any = None

    def segment_blocks(
        self, image: Any, folder: Path, target: Any, *, progress: Any, cancel: Any, focus: Any, on_block: Any,
        conclude: Any, **options: Any,
    ) -> Any:  # fmt: skip
        self.jobs.append(folder)
        self.focus = focus
        folder.mkdir(parents=True, exist_ok=True)
        found = self._service.segment(image, **options)
        labels = found.labels
        height, width = labels.shape
        halves = [(slice(0, height // 2), slice(0, width)), (slice(height // 2, height), slice(0, width))]
        progress(BlockProgress(NETWORK, 0, 4))
        provisional = np.where(labels > 0, labels + 100, 0).astype(np.int32)
        # The block of a label image is larger than these images: what is shown is written as one.
        whole = (slice(0, height), slice(0, width))
        first = provisional.copy()
        first[halves[1]] = 0
        on_block((), whole, first)
        progress(BlockProgress(NETWORK, 1, 4))
        assert self.release.wait(20)
        if self.error is not None:
            raise self.error
        if cancel():
            raise Cancelled("Cancelled.")
        on_block((), whole, provisional)
        progress(BlockProgress("labels", 2, 4))
        target.write_block((), whole, labels)
        on_block((), whole, labels)
        table = folder / "table.csv"
        table_features(found.measurements).rename(columns={"index": "label"}).to_csv(table, index=False)
        result = SimpleNamespace(
            count=found.count, provenance=found.provenance, warnings=found.warnings, table=table, folder=folder
        )
        conclude(result)
        table.unlink()
        folder.rmdir()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "settings.ini")
    monkeypatch.setattr(
        "napari_unetseg.plugin.blocks.destination_dialog._qt_settings",
        lambda: QSettings(path, QSettings.Format.IniFormat),
    )


@pytest.fixture
def blocks(service: SegmentationService) -> Iterator[Blocks]:
    made = Blocks(service)
    yield made
    made.release.set()


@pytest.fixture
def press_start(qtbot: Any, tmp_path: Path) -> Act:
    """Choose to run to disk, click Run, and start with labels called ``cells`` in the test's folder."""

    def press(widget: SegmentationWidget) -> None:
        widget.inputs.run_on.choose(RunOn.STORED)
        widget.runner.run.click()
        dialog = widget.stored.dialog
        assert dialog is not None
        qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
        dialog.folder.setText(str(tmp_path))
        qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
        assert dialog.start.isEnabled(), dialog.message.text.text()
        dialog.start.click()

    return press


@pytest.fixture
def wait_for_blocks(qtbot: Any) -> Act:
    """Wait until the layer of a run shows its first objects."""

    def wait(widget: SegmentationWidget) -> Labels:
        qtbot.waitUntil(lambda: bool(stored_layers(widget)), timeout=20_000)
        (layer,) = stored_layers(widget)
        qtbot.waitUntil(lambda: bool(np.asarray(layer._slice.image.raw).any()), timeout=20_000)
        return layer

    return wait


@pytest.fixture
def wait_for_end(qtbot: Any) -> Act:
    return lambda widget: qtbot.waitUntil(
        lambda: not widget.controller.running and not widget.stored.run.busy, timeout=30_000
    )


def stored_layers(widget: SegmentationWidget) -> list[Labels]:
    return [layer for layer in widget.viewer.layers if is_stored(layer)]


def as_shown(layer: Labels) -> NDArray[np.int32]:
    return np.asarray(full_resolution(layer)[...])


def test_blocks_appear_while_the_run_goes_on_and_get_their_final_numbers_at_its_end(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_blocks: Act, wait_for_end: Act,
    squares: NDArray[np.uint16], service: SegmentationService, tmp_path: Path,
) -> None:  # fmt: skip
    image = ImageLayer(squares, name="cells", scale=(0.5, 0.25), translate=(3, 1), units="um")
    widget = make_widget(image, model_choice=blocks)
    press_start(widget)
    layer = wait_for_blocks(widget)
    upper = as_shown(layer)
    assert upper[:24].any()
    assert not upper[24:].any()
    assert upper.max() > 100
    assert not widget.runner.run.isEnabled()
    assert widget.runner.bar.value() > 0
    assert METADATA_KEY not in layer.metadata  # what is not finished is no result
    assert blocks.focus is not None
    blocks.release.set()
    wait_for_end(widget)

    expected = service.segment(squares).labels
    np.testing.assert_array_equal(as_shown(layer), expected)
    np.testing.assert_array_equal(np.asarray(layer._slice.image.raw) > 0, expected > 0)
    assert layer.units == image.units
    np.testing.assert_allclose(layer.data_to_world((4, 5)), image.data_to_world((4, 5)))
    assert sorted(layer.features["index"]) == [1, 2, 3]
    assert layer.metadata[METADATA_KEY]["image"] == "cells"
    assert "3 objects" in widget.runner.result.text()
    assert "3 objects in 'cells_labels.ome.zarr'" in widget.message.text.text()
    assert widget.runner.run.isEnabled()
    stored = open_labels(tmp_path / "cells_labels.ome.zarr" / "labels" / "objects")
    np.testing.assert_array_equal(stored.read((), (slice(0, 48), slice(0, 64))), expected)
    assert stored.record["model"] == service.package.name
    assert (tmp_path / "cells_labels.csv").read_text(encoding="utf-8").count("\n") == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".unetseg")]


def test_a_run_that_was_cancelled_goes_on_in_the_same_folder_and_layer(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_blocks: Act, wait_for_end: Act,
    squares: NDArray[np.uint16],
) -> None:  # fmt: skip
    widget = make_widget(squares, model_choice=blocks)
    press_start(widget)
    wait_for_blocks(widget)
    assert "stays on disk" in widget.runner.cancel.toolTip()
    widget.runner.cancel.click()
    blocks.release.set()
    wait_for_end(widget)
    assert "Stopped at 25 %" in widget.message.text.text()
    (layer,) = stored_layers(widget)
    assert as_shown(layer).any()
    assert "Nothing is added" in widget.runner.cancel.toolTip()
    widget.message.action.click()
    wait_for_end(widget)
    assert blocks.jobs[0] == blocks.jobs[1]
    (layer,) = stored_layers(widget)
    assert layer.name == "cells labels"
    assert as_shown(layer).max() == 3
    assert "3 objects" in widget.message.text.text()


def test_a_full_disk_is_told_and_what_is_done_can_go_on(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_blocks: Act, wait_for_end: Act,
    squares: NDArray[np.uint16],
) -> None:  # fmt: skip
    widget = make_widget(squares, model_choice=blocks)
    blocks.error = UnetsegError("cells: there is no room on the disk.")
    press_start(widget)
    wait_for_blocks(widget)
    blocks.release.set()
    wait_for_end(widget)
    assert "no room" in widget.message.text.text()
    assert widget.message.action.text() == "Go on"
    blocks.error = None
    widget.message.action.click()
    wait_for_end(widget)
    assert "3 objects" in widget.message.text.text()


def test_the_layer_may_be_removed_while_the_run_goes_on_and_comes_back(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_blocks: Act, wait_for_end: Act,
    squares: NDArray[np.uint16],
) -> None:  # fmt: skip
    widget = make_widget(squares, model_choice=blocks)
    press_start(widget)
    widget.viewer.layers.remove(wait_for_blocks(widget))
    blocks.release.set()
    wait_for_end(widget)
    assert "removed" in widget.message.text.text()
    assert not stored_layers(widget)
    widget.message.action.click()
    (layer,) = stored_layers(widget)
    assert as_shown(layer).max() == 3


def test_two_windows_do_not_write_the_same_labels(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_blocks: Act, wait_for_end: Act,
    squares: NDArray[np.uint16], service: SegmentationService,
) -> None:  # fmt: skip
    first = make_widget(squares, model_choice=blocks)
    press_start(first)
    layer = wait_for_blocks(first)
    other = Blocks(service)
    other.release.set()
    second = make_widget(squares, model_choice=other)
    press_start(second)
    wait_for_end(second)
    assert "another window" in second.message.text.text()
    assert other.jobs == []
    blocks.release.set()
    wait_for_end(first)
    assert as_shown(layer).max() == 3


def test_what_needs_the_probabilities_says_that_the_labels_are_on_disk(
    make_widget: MakeWidget, blocks: Blocks, press_start: Act, wait_for_end: Act, press_run: Act, settle: Act,
    squares: NDArray[np.uint16], qtbot: Any,
) -> None:  # fmt: skip
    widget = make_widget(squares, model_choice=blocks)
    press_run(widget)
    before = widget.result
    blocks.release.set()
    press_start(widget)
    wait_for_end(widget)
    (layer,) = stored_layers(widget)
    widget.viewer.layers.selection.active = layer
    actions = widget.result_actions
    for button in (actions.fix, actions.improve, actions.compare):
        assert not button.isEnabled()
        assert "on disk" in button.toolTip()
    assert actions.python.isEnabled()
    assert actions.rerun.isEnabled()
    assert "on disk" in widget.adjust.owner.text()
    widget.adjust.threshold.setValue(0.9)
    settle(widget)
    assert as_shown(layer).max() == 3
    actions.rerun.click()
    dialog = widget.stored.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
    dialog.reject()
    assert widget.stored.dialog is None
    # The slider is for the next run, and the result in memory stays as it is, too.
    assert before is not None
    widget.viewer.layers.selection.active = before.layer("labels")
    assert actions.fix.isEnabled()
    assert "on disk" not in widget.adjust.owner.text()


def test_where_memory_runs_out_the_same_image_is_offered_to_disk_but_not_on_a_server(
    make_widget: MakeWidget, blocks: Blocks, press_run: Act, squares: NDArray[np.uint16],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*_: Any, **__: Any) -> None:
        raise OutOfMemory("cells: there is not enough memory.")

    monkeypatch.setattr(blocks, "segment", fail, raising=False)
    widget = make_widget(squares, model_choice=blocks)
    press_run(widget)
    assert widget.message.action.text() == "To disk..."
    widget.message.action.click()
    assert widget.inputs.run_on.choice() is RunOn.STORED
    assert widget.stored.dialog is not None
    widget.stored.dialog.reject()

    for_server = widget.stored.obstacle(RunOn.STORED, "http://lab.example:8000")
    assert "server" in str(for_server)
    assert widget.stored.obstacle(RunOn.PLANE, "http://lab.example:8000") is None
    assert widget.stored.obstacle(RunOn.STORED, "cpu") is None


def test_the_objects_of_a_stack_are_those_of_a_run_in_memory_and_come_back_from_the_file(
    make_widget: MakeWidget, press_start: Act, wait_for_end: Act, squares: NDArray[np.uint16],
    service: SegmentationService, tmp_path: Path,
) -> None:  # fmt: skip
    # Of two channels and three planes the second channel is segmented.
    planes = np.stack([squares, np.roll(squares, 5, axis=1), squares[::-1]])
    pixels = np.stack([np.zeros_like(planes), planes])
    image = ImageLayer(pixels, name="cells", scale=(1, 2, 0.5, 0.5), axis_labels=("c", "z", "y", "x"), units="um")
    widget = make_widget(image)
    widget.viewer.dims.set_current_step(0, 1)
    widget.inputs.link.setChecked(True)
    press_start(widget)
    wait_for_end(widget)
    (layer,) = stored_layers(widget)
    expected = service.segment(Image(planes, "ZYX", scale=(0.5, 0.5), unit="micrometer"), link=True)
    assert expected.labels.any()
    np.testing.assert_array_equal(as_shown(layer), expected.labels[np.newaxis])
    np.testing.assert_allclose(layer.scale, image.scale)
    assert widget.table.table.layer is layer
    assert len(layer.features) == len(expected.measurements["label"])
    np.testing.assert_array_equal(layer.features["index"], expected.measurements["label"])

    (opened,) = widget.viewer.open(tmp_path / "cells_labels.ome.zarr", plugin="napari-unetseg")
    np.testing.assert_array_equal(full_resolution(opened), expected.labels)
    assert opened.metadata[METADATA_KEY]["model"] == service.package.name
    assert len(opened.features) == len(layer.features)
