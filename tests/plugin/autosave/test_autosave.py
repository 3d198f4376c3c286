"""Edits are on the disk soon, go when they are not needed any more, and come back after a crash."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.autosave import edit_keeper, edit_store
from napari_unetseg.plugin.autosave.autosave import Autosave
from napari_unetseg.plugin.autosave.edit_file import EditFile, read_edit
from napari_unetseg.plugin.autosave.edit_store import EditStore
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the windows of a test keep edits."""
    store = EditStore(tmp_path / "edits")
    monkeypatch.setattr(edit_keeper, "shared_store", lambda: store)
    monkeypatch.setattr(edit_keeper, "PAUSE_MS", 0)
    return tmp_path / "edits"


def kept(folder: Path) -> list[Path]:
    return sorted(index.parent for index in folder.glob("*/*/index.json"))


@pytest.fixture
def wait(qtbot: Any) -> Step:
    return lambda widget: qtbot.waitUntil(lambda: not widget.autosave.busy, timeout=60_000)


@pytest.fixture
def result(
    folder: Path, make_widget: MakeWidget, squares: NDArray[np.uint16], press_run: Step, wait: Step
) -> SegmentationWidget:
    """A window with a result."""
    widget = make_widget(squares)
    press_run(widget)
    wait(widget)
    return widget


def labels_of(widget: SegmentationWidget) -> Labels:
    (layer,) = [layer for layer in widget.viewer.layers if isinstance(layer, Labels)]
    return getattr(layer, "__wrapped__", layer)


def stroke(layer: Labels) -> None:
    """Paint as one stroke of the brush does."""
    with layer.block_history():
        layer.paint((30, 10), 9)


def test_a_result_that_nobody_edits_is_not_kept(
    result: SegmentationWidget, folder: Path, settle: Step, wait: Step
) -> None:
    result.adjust.threshold.setValue(0.7)
    settle(result)
    wait(result)
    assert kept(folder) == []


def test_paint_fill_undo_and_redo_are_kept(result: SegmentationWidget, folder: Path, wait: Step) -> None:
    layer = labels_of(result)
    steps: list[Callable[[], Any]] = [
        lambda: stroke(layer),
        lambda: layer.fill((21, 31), 0),
        layer.undo,
        layer.redo,
        lambda: layer.data_setitem((np.array([1]), np.array([2])), 8),
    ]
    for step in steps:
        step()
        wait(result)
        (one,) = kept(folder)
        np.testing.assert_array_equal(read_edit(one)[0], layer.data)


def test_edits_are_kept_when_a_slider_moves(result: SegmentationWidget, folder: Path, settle: Step, wait: Step) -> None:
    layer = labels_of(result)
    stroke(layer)
    wait(result)
    result.adjust.min_size.setValue(20)
    settle(result)
    wait(result)
    assert layer.data[4:12, 4:12].any()
    assert not layer.data[40:44, 50:54].any()
    np.testing.assert_array_equal(read_edit(kept(folder)[0])[0], layer.data)


def test_a_removed_layer_is_kept_no_longer(result: SegmentationWidget, folder: Path, wait: Step) -> None:
    layer = labels_of(result)
    stroke(layer)
    wait(result)
    assert len(kept(folder)) == 1
    result.viewer.layers.remove(layer)
    wait(result)
    assert list(folder.glob("*/*")) == []


def test_a_saved_layer_is_kept_again_after_the_next_change(
    result: SegmentationWidget, folder: Path, wait: Step, tmp_path: Path
) -> None:
    layer = labels_of(result)
    stroke(layer)
    wait(result)
    layer.save(str(tmp_path / "saved.ome.tif"), plugin="napari-unetseg")
    wait(result)
    assert kept(folder) == []
    layer.undo()
    wait(result)
    np.testing.assert_array_equal(read_edit(kept(folder)[0])[0], layer.data)


def test_closing_the_panel_writes_what_waits(
    result: SegmentationWidget, folder: Path, monkeypatch: pytest.MonkeyPatch, wait: Step, qtbot: Any
) -> None:
    layer = labels_of(result)
    result.autosave.keeper._timer.setInterval(60_000)
    stroke(layer)
    result.autosave.stop()
    wait(result)
    np.testing.assert_array_equal(read_edit(kept(folder)[0])[0], layer.data)


def test_a_disk_that_takes_no_more_is_told_once(
    result: SegmentationWidget, wait: Step, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(EditStore, "room", lambda self: 10)
    layer = labels_of(result)
    stroke(layer)
    wait(result)
    assert "Save the layer yourself" in result.message.text.text()
    assert kept(folder) == []
    result.message.show_message("")
    layer.undo()
    wait(result)
    assert result.message.text.text() == ""


PROGRAM = """
import sys, numpy as np
import napari
from napari_unetseg.plugin.widget import SegmentationWidget
viewer = napari.Viewer(show=False)
widget = SegmentationWidget(viewer)
viewer.window.add_dock_widget(widget)
place = {"scale": (0.5, 0.5), "units": ("um", "um")}
viewer.open(sys.argv[1], plugin="napari", **place)
labels = np.zeros((1200, 700), np.int32)
labels[10:20, 10:20] = 1
record = {"image": "cells", "request_id": "7", "edited_objects": 1}
layer = viewer.add_labels(labels, name="cells labels", translate=(3, 4), **place,
    metadata={"napari_unetseg": record}, features={"index": [1], "area": [100]})
from napari_unetseg.plugin.layers.sources import remember_source
remember_source(record, viewer.layers[0])
from qtpy.QtCore import QTimer
def paint():
    with layer.block_history():
        layer.paint((1000, 600), 5)
        layer.paint((30, 30), 2)
def go_on():
    if widget.autosave.busy:
        QTimer.singleShot(0, go_on)
        return
    print("kept", flush=True)
    if "close" in sys.argv:
        viewer.window._qt_window.close()

viewer.window.show()
QTimer.singleShot(0, paint)
QTimer.singleShot(0, go_on)
napari.run()
"""


@contextmanager
def other_napari(tmp_path: Path, *words: str) -> "Iterator[tuple[subprocess.Popen[str], Path, Path]]":
    """A napari in a process of its own in which a result is painted on; with it, its folder and its image."""
    import tifffile

    image = tmp_path / "cells.tif"
    tifffile.imwrite(image, np.zeros((1200, 700), np.uint8))
    state = tmp_path / "state"
    line = [sys.executable, "-c", PROGRAM, str(image), *words]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(state)}
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        yield process, state / "napari-unetseg" / "edits", image
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_napari_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    with other_napari(tmp_path, "close") as (process, folder, _):
        assert process.wait(60) == 0
        assert list(folder.glob("*/*")) == []


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """What a napari left that was killed after a stroke of the brush."""
    with other_napari(tmp_path) as (process, folder, image):
        process.send_signal(signal.SIGKILL)
        process.wait()
        yield SimpleNamespace(folder=folder, image=image)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process as POSIX systems do")
def test_a_killed_napari_gives_its_edits_back(
    crashed: SimpleNamespace, make_widget: MakeWidget, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EditStore(crashed.folder)
    monkeypatch.setattr(edit_keeper, "shared_store", lambda: store)
    monkeypatch.setattr(edit_keeper, "PAUSE_MS", 0)
    widget = make_widget()
    qtbot.waitUntil(lambda: "cells labels" in widget.message.text.text(), timeout=60_000)
    assert "before the edits of 1 result were saved" in widget.message.text.text()
    # Another napari that starts meanwhile does not offer it, too.
    assert EditStore(crashed.folder).find() == []
    widget.message.action.click()
    qtbot.waitUntil(lambda: not widget.autosave.busy and len(widget.viewer.layers) == 1, timeout=60_000)
    layer = labels_of(widget)
    expected = np.zeros((1200, 700), np.int32)
    expected[10:20, 10:20] = 1
    assert layer.data[1000, 600] == 5
    assert layer.data[30, 30] == 2
    assert (layer.data[expected > 0] == 1).all()
    np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    np.testing.assert_allclose(layer.translate, (3, 4))
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.metadata[METADATA_KEY]["image"] == "cells"
    assert EDITED_KEY in layer.metadata[METADATA_KEY]
    assert list(layer.features["area"]) == [100]
    # It is kept on, and its image can be opened.
    (one,) = kept(crashed.folder)
    assert widget.message.action.text() == "Open the image"
    widget.message.action.click()
    assert [type(one) for one in map(unwrap, widget.viewer.layers)] == [ImageLayer, Labels]
    layer.fill((12, 12), 0)
    qtbot.waitUntil(lambda: not widget.autosave.busy, timeout=60_000)
    np.testing.assert_array_equal(read_edit(one)[0], layer.data)


def unwrap(layer: Any) -> Any:
    return getattr(layer, "__wrapped__", layer)


def leave(folder: Path, name: str, value: int = 1) -> Path:
    """Leave edits as a process that was killed does."""
    file = EditFile(folder / f"session{name}" / name)
    transform = {"scale": [1, 1], "translate": [0, 0], "rotate": [[1, 0], [0, 1]], "shear": [0]}
    transform |= {"affine": np.eye(3).tolist(), "units": ["pixel", "pixel"], "axis_labels": ["y", "x"]}
    about = {"name": name, "opacity": 0.5, "metadata": {METADATA_KEY: {}}, "features": {}, "transform": transform}
    file.write(np.full((6, 6), value, np.int32), about, 1 << 20)
    return file.folder


def test_discarding_removes(folder: Path, make_widget: MakeWidget, qtbot: Any) -> None:
    leave(folder, "a")
    leave(folder, "b")
    widget = make_widget()
    qtbot.waitUntil(lambda: "edits of 2 results" in widget.message.text.text(), timeout=60_000)
    widget.message.second.click()
    qtbot.waitUntil(lambda: not widget.autosave.busy, timeout=60_000)
    assert kept(folder) == []
    assert len(widget.viewer.layers) == 0


def test_the_offer_stays_when_an_image_is_opened(
    folder: Path, make_widget: MakeWidget, squares: NDArray[np.uint16], qtbot: Any
) -> None:
    leave(folder, "a")
    widget = make_widget()
    qtbot.waitUntil(lambda: "'a'" in widget.message.text.text(), timeout=60_000)
    widget.viewer.add_layer(ImageLayer(squares, name="cells"))
    qtbot.waitUntil(lambda: "'a'" in widget.message.text.text(), timeout=60_000)
    widget.viewer.dims.set_point(0, 0)
    qtbot.waitUntil(lambda: not widget.run_forecast.busy, timeout=60_000)
    assert widget.message.action.text() == "Restore"


def test_without_an_answer_they_are_offered_again(folder: Path, make_widget: MakeWidget, qtbot: Any) -> None:
    leave(folder, "a")
    widget = make_widget()
    qtbot.waitUntil(lambda: "'a'" in widget.message.text.text(), timeout=60_000)
    widget.autosave.stop()
    assert [one.description["name"] for one in EditStore(folder).find()] == ["a"]


def test_damaged_edits_do_not_keep_the_others_back(folder: Path, make_widget: MakeWidget, qtbot: Any) -> None:
    leave(folder, "good", 4)
    next(leave(folder, "bad").glob("*.bin")).write_bytes(b"x")
    widget = make_widget()
    qtbot.waitUntil(lambda: "2 results" in widget.message.text.text(), timeout=60_000)
    widget.message.action.click()
    qtbot.waitUntil(lambda: not widget.autosave.busy and len(widget.viewer.layers) == 1, timeout=60_000)
    assert (labels_of(widget).data == 4).all()
    assert "'bad' could not be restored" in widget.message.text.text()


def test_what_is_old_or_too_much_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "edits"
    for number, name in enumerate("abcd"):
        index = leave(folder, name) / "index.json"
        os.utime(index, (time.time() - number * 3600,) * 2)
    old = leave(folder, "old") / "index.json"
    os.utime(old, (time.time() - 86_400 * (edit_store.KEPT_DAYS + 1),) * 2)
    size = sum(file.stat().st_size for file in (folder / "sessiona" / "a").iterdir())
    monkeypatch.setattr(edit_store, "KEPT_BYTES", int(2.5 * size))
    assert [one.description["name"] for one in EditStore(folder).find()] == ["a", "b"]
    assert sorted(one.name for one in kept(folder)) == ["a", "b"]


def test_two_processes_do_not_offer_the_same(tmp_path: Path) -> None:
    leave(tmp_path / "edits", "a")
    first, second = EditStore(tmp_path / "edits"), EditStore(tmp_path / "edits")
    assert len(first.find()) == 1
    assert second.find() == []


def test_a_result_of_a_file_is_kept_once_it_is_edited(folder: Path, make_napari_viewer_proxy: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer_proxy()
    message = MessageArea()
    qtbot.addWidget(message)
    autosave = Autosave(viewer, message)
    layer = Labels(np.ones((20, 20), np.int32), metadata={"napari_unetseg_file": "/data/a_labels.tif"})
    viewer.add_layer(layer)
    qtbot.waitUntil(lambda: not autosave.busy, timeout=60_000)
    layer.fill((1, 1), 0)
    qtbot.waitUntil(lambda: not autosave.busy, timeout=60_000)
    (one,) = kept(folder)
    assert json.loads((one / "index.json").read_text())["description"]["metadata"] == layer.metadata
    autosave.saved(layer)
    qtbot.waitUntil(lambda: not autosave.busy, timeout=60_000)
    assert kept(folder) == []
    autosave.stop()
