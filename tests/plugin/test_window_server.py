"""The real window with a real server: a process of `napari-unetseg serve` that runs the network of each run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.plugin.workers import services
from napari_unetseg.plugin.workers.servers import Servers
from napari_unetseg.plugin.workers.services import SharedServices
from napari_unetseg.zoo.registry import ModelPackage

OpenOn = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


def names(widget: SegmentationWidget) -> list[str]:
    return [layer.name for layer in widget.viewer.layers]


def labels(widget: SegmentationWidget, name: str = "cells labels") -> NDArray[np.int32]:
    return np.asarray(widget.viewer.layers[name].data)


def record(widget: SegmentationWidget, name: str = "cells labels") -> dict[str, Any]:
    return dict(widget.viewer.layers[name].metadata[METADATA_KEY])


@pytest.fixture
def open_on(
    make_napari_viewer_proxy: Any, package: ModelPackage, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenOn]:
    """Make a viewer with the widget docked, images in it, and a server chosen."""
    made: list[SegmentationWidget] = []
    shared = SharedServices()
    monkeypatch.setattr(services, "_services", shared)
    for module in ("segment_job.recipe_service", "services.known_service", "services.recipe_service"):
        monkeypatch.setattr(f"napari_unetseg.plugin.workers.{module}", getattr(shared, module.split(".")[1]))
    monkeypatch.setattr("napari_unetseg.plugin.dock.run_forecast.known_service", shared.known_service)
    monkeypatch.setattr("napari_unetseg.plugin.dock.server_rows.forget_service", shared.forget_service)

    def make(address: str, *images: Any) -> SegmentationWidget:
        viewer = make_napari_viewer_proxy()
        widget = SegmentationWidget(viewer, services=shared.shared_service, models=lambda: [package], servers=Servers())
        viewer.window.add_dock_widget(widget, name="U-Net Segmentation (napari-unetseg)")
        for image in images:
            viewer.add_layer(image if isinstance(image, ImageLayer) else ImageLayer(image, name="cells"))
        widget.inputs.device.add_server(address)
        widget.inputs.device.choose(address)
        made.append(widget)
        qtbot.waitUntil(lambda: not widget.servers.busy, timeout=20_000)
        return widget

    yield make
    for widget in made:
        qtbot.waitUntil(lambda w=widget: not busy(w), timeout=30_000)
    repeated = [] if shared._of_recipe is None else [shared._of_recipe[1]]
    for service in (*shared._by_device.values(), *repeated):
        service.close()


def busy(widget: SegmentationWidget) -> bool:
    workers = (widget.results, widget.health.controller, widget.object_size.estimator, widget.run_forecast)
    return (
        widget.controller.running
        or widget.servers.busy
        or any(bool(getattr(worker, "busy", getattr(worker, "checking", False))) for worker in workers)
    )


def test_a_run_on_a_server_gives_what_one_here_gives(
    open_on: OpenOn, press_run: Step, squares: Squares, server: Any
) -> None:
    widget = open_on(server.url, squares)
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    assert widget.message.badge.kind != "error", widget.message.text.text()
    there = labels(widget), np.asarray(widget.viewer.layers["cells confidence"].data)
    made = record(widget)
    assert made["server"]["address"] == server.url
    assert made["server"]["version"]
    widget.inputs.device.choose("cpu")
    press_run(widget)
    np.testing.assert_array_equal(there[0], labels(widget, "cells labels [2]"))
    np.testing.assert_allclose(there[1], np.asarray(widget.viewer.layers["cells confidence [2]"].data), atol=1e-6)
    assert record(widget, "cells labels [2]")["server"] is None
    assert made["sha256"] == record(widget, "cells labels [2]")["sha256"]


def test_labels_follow_the_sliders_without_the_server(
    open_on: OpenOn, press_run: Step, squares: Squares, start_server: Any, qtbot: Any
) -> None:
    server = start_server()
    widget = open_on(server.url, squares)
    press_run(widget)
    assert labels(widget).max() == 3
    server.process.kill()
    server.process.wait()
    widget.adjust.min_size.setValue(20)
    qtbot.waitUntil(lambda: not widget.results.busy, timeout=20_000)
    assert labels(widget).max() == 2


def test_stacks_regions_and_several_layers_run_there(
    open_on: OpenOn, press_run: Step, squares: Squares, server: Any
) -> None:
    planes = np.stack([squares, squares[::-1], np.zeros_like(squares)])
    stack = ImageLayer(planes, name="stack", axis_labels=("z", "y", "x"))
    widget = open_on(server.url, stack, ImageLayer(squares, name="plane"))
    widget.inputs.choose_layer(stack)
    widget.inputs.run_on.choose(RunOn.STACK)
    press_run(widget)
    assert [len(np.unique(plane)) - 1 for plane in labels(widget, "stack labels")] == [3, 3, 0]
    widget.viewer.layers.selection = {stack, widget.viewer.layers["plane"]}
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert {"stack labels [2]", "plane labels"} <= set(names(widget))
    assert labels(widget, "plane labels").max() == 3


def test_a_run_there_is_repeated_there(
    open_on: OpenOn, press_run: Step, squares: Squares, server: Any, qtbot: Any
) -> None:
    widget = open_on(server.url, squares)
    widget.adjust.threshold.setValue(0.7)
    press_run(widget)
    widget.inputs.device.choose("cpu")
    widget.result_actions.rerun.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    assert record(widget, "cells labels [2]")["server"]["address"] == server.url
    assert record(widget, "cells labels [2]")["parameters"]["threshold"] == 0.7
    np.testing.assert_array_equal(labels(widget), labels(widget, "cells labels [2]"))


def test_a_folder_is_segmented_there(
    open_on: OpenOn, squares: Squares, server: Any, qtbot: Any, tmp_path: Path
) -> None:
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", squares)
    widget = open_on(server.url, squares)
    widget.folder.open()
    dialog = widget.folder.dialog
    assert dialog is not None
    dialog.form.folder.setText(str(tmp_path))
    qtbot.waitUntil(lambda: dialog.run.isEnabled(), timeout=20_000)
    assert f"Server {server.url.removeprefix('http://')}" in dialog.uses.text()
    dialog.run.click()
    qtbot.waitUntil(lambda: not widget.folder.running, timeout=60_000)
    written = sorted(path for path in tmp_path.rglob("*labels*.tif*"))
    assert len(written) == 2
    assert all(tifffile.imread(path).max() == 3 for path in written)


def test_all_models_of_the_server_are_tried_there(open_on: OpenOn, squares: Squares, server: Any, qtbot: Any) -> None:
    widget = open_on(server.url, squares)
    widget.runner.try_all.click()
    qtbot.waitUntil(lambda: not widget.try_all.busy, timeout=60_000)
    assert widget.try_all.dialog is not None
    trials = [tile.trial for tile in widget.try_all.dialog.view.tiles()]
    assert [trial.error for trial in trials] == [None] * len(widget.inputs.model.packages())
    assert {trial.package.name: trial.count for trial in trials}["bright"] == 3


def test_the_panel_reports_how_the_server_is(
    open_on: OpenOn, press_run: Step, squares: Squares, server: Any, qtbot: Any
) -> None:
    widget = open_on(server.url, squares)
    press_run(widget)
    widget.health.do("check")
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=30_000)
    panel = widget.health.panel
    assert widget.health.light.kind in ("good", "warning"), widget.health.light
    assert panel.device.full.startswith("CPU")
    assert panel.reason.full.startswith(f"On {server.url.removeprefix('http://')}, napari-unetseg ")
    assert "The server holds" in panel.figures["host"].toolTip()
    qtbot.waitUntil(lambda: not widget.run_forecast.busy, timeout=20_000)
    assert widget.runner.forecast.text().startswith("CPU · about ")
    assert server.url.removeprefix("http://") in widget.runner.forecast.toolTip()


@pytest.fixture
def many_tiles() -> NDArray[np.uint16]:
    """An image of which a server with small windows reports its progress often."""
    image = np.zeros((600, 600), np.uint16)
    image[::40, ::40] = 1000
    return image


SMALL = {"UNET_INFERENCE_WINDOW": "48", "UNET_INFERENCE_BATCH_SIZE": "1"}


@pytest.fixture
def freeze() -> Iterator[Callable[[Any], None]]:
    """Stop a server where it stands; a frozen one is killed at the end."""
    frozen: list[Any] = []

    def stop(server: Any) -> None:
        os.kill(server.process.pid, signal.SIGSTOP)
        frozen.append(server)

    yield stop
    for server in frozen:
        server.process.kill()


def freeze_in_a_run(widget: SegmentationWidget, server: Any, freeze: Callable[[Any], None], qtbot: Any) -> None:
    """Press Run, and stop the server once it computed a part of the image."""
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        if not seen and 0 < done < total:
            seen.append(done)
            freeze(server)

    widget.controller.progressed.connect(stop)
    widget.runner.run.click()
    qtbot.waitUntil(lambda: bool(seen), timeout=30_000)
    widget.controller.progressed.disconnect(stop)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
def test_cancel_does_not_wait_for_the_server(
    open_on: OpenOn, many_tiles: NDArray[np.uint16], start_server: Any, freeze: Any, qtbot: Any
) -> None:
    server = start_server(**SMALL)
    widget = open_on(server.url, many_tiles)
    freeze_in_a_run(widget, server, freeze, qtbot)
    assert widget.message.text.text().startswith("Running on 127.0.0.1:")
    widget.runner.cancel.click()
    # The server never answers again.
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=10_000)
    assert "Cancelled at" in widget.message.text.text()
    assert names(widget) == ["cells"]
    os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
def test_cancel_does_not_wait_for_a_server_that_never_begins(
    open_on: OpenOn, squares: Squares, start_server: Any, freeze: Any, qtbot: Any
) -> None:
    server = start_server()
    widget = open_on(server.url, squares)
    freeze(server)
    widget.runner.run.click()
    qtbot.waitUntil(lambda: widget.message.text.text().startswith("Waiting for the server"), timeout=10_000)
    widget.runner.cancel.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=10_000)
    assert names(widget) == ["cells"]
    os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
@pytest.mark.parametrize("again", [False, True])
def test_a_result_does_not_wait_for_a_server_that_falls_silent_after_it(
    open_on: OpenOn, press_run: Step, squares: Squares, start_server: Any, freeze: Any, qtbot: Any, again: bool
) -> None:
    server = start_server()
    widget = open_on(server.url, squares)
    if again:
        press_run(widget)
    widget.controller.stage.connect(lambda stage: stage == "finishing" and freeze(server))
    (widget.result_actions.rerun if again else widget.runner.run).click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert ("cells labels [2]" if again else "cells labels") in names(widget)
    server.process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
def test_another_server_does_not_wait_for_one_that_is_silent(
    open_on: OpenOn, squares: Squares, server: Any, start_server: Any, freeze: Any, qtbot: Any
) -> None:
    silent = start_server()
    widget = open_on(server.url, squares)
    freeze(silent)
    widget.inputs.device.add_server(silent.url)
    widget.inputs.device.choose(silent.url)
    qtbot.waitUntil(lambda: widget.servers._worker.busy and not widget.servers._worker.waiting, timeout=10_000)
    widget.inputs.device.choose(server.url)
    qtbot.waitUntil(lambda: bool(widget.servers.version), timeout=10_000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
def test_a_window_that_is_closed_waits_no_longer_for_the_health_of_a_server(
    open_on: OpenOn, press_run: Step, squares: Squares, start_server: Any, freeze: Any, qtbot: Any
) -> None:
    server = start_server()
    widget = open_on(server.url, squares)
    press_run(widget)
    qtbot.waitUntil(lambda: not widget.health.controller.checking, timeout=20_000)
    freeze(server)
    widget.health.do("check")
    assert widget.health.controller.checking
    widget.viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not widget.health.controller.checking, timeout=10_000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process where it stands.")
def test_a_server_that_is_killed_in_a_run_is_reported_and_the_next_run_works_once_it_is_back(
    open_on: OpenOn, many_tiles: NDArray[np.uint16], start_server: Any, freeze: Any, qtbot: Any, press_run: Step
) -> None:
    server = start_server(**SMALL)
    widget = open_on(server.url, many_tiles)
    freeze_in_a_run(widget, server, freeze, qtbot)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    assert "went away before its answer was complete" in widget.message.text.text()
    assert (widget.message.badge.kind, widget.message.action.text()) == ("error", "Server...")
    assert names(widget) == ["cells"]
    assert widget.runner.run.isEnabled()
    press_run(widget)
    assert "no server does at this port" in widget.message.text.text()
    assert names(widget) == ["cells"]
    port = server.url.rsplit(":", 1)[1]
    assert start_server("--port", port, **SMALL).url == server.url
    press_run(widget)
    assert names(widget) == ["cells", "cells labels", "cells contours"], widget.message.text.text()


def test_a_run_on_a_server_never_imports_torch(server: Any, bright_model: Path) -> None:
    program = """
import sys
from pathlib import Path
import napari, numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.zoo.registry import read_package

url, model = sys.argv[1:]
viewer = napari.Viewer(show=False)
image = np.zeros((48, 64), np.uint16)
image[4:12, 4:12] = 1000
viewer.add_image(image, name="cells")
widget = SegmentationWidget(viewer, models=lambda: [read_package(Path(model), "path")])
loaded = {name.split(".")[0] for name in sys.modules} & {"httpx2", "keyring", "torch"}
assert not loaded, f"opening the window loads {loaded}"
widget.inputs.device.add_server(url)
widget.inputs.device.choose(url)
widget.health.expand()

def wait(idle):
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: idle() and loop.quit())
    timer.start(10)
    loop.exec()

wait(lambda: not (widget.servers.busy or widget.health.checking))
widget.runner.run.click()
wait(lambda: not (widget.controller.running or widget.health.checking or widget.run_forecast.busy))
print([layer.name for layer in viewer.layers], widget.message.text.text())
widget.adjust.min_size.setValue(20)
wait(lambda: not widget.results.busy)
widget.result_actions.python.click()
widget.result_actions.rerun.click()
wait(lambda: not (widget.controller.running or widget.results.busy))
widget.runner.try_all.click()
wait(lambda: not widget.try_all.busy)
print([layer.name for layer in viewer.layers], widget.message.text.text())
assert "torch" not in sys.modules
viewer.close()
"""
    line = [sys.executable, "-c", program, server.url, str(bright_model)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "cells labels [2]" in done.stdout
