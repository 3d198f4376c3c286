"""The dock in a real viewer, with real clicks; the training process is a fake, but for its own tests elsewhere."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication
from superqt.utils import WorkerBase

from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.learning.improve_form import Part
from napari_unetseg.plugin.learning.regions import KIND
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.training.corrected_images import read_corrected_images
from napari_unetseg.training.job_folder import JobFolder, TrainingJob, job_folders, unfinished_jobs
from napari_unetseg.training.progress_events import Begun, Failed, Finished, Stepped, Told, Validated

OpenWindow = Callable[..., SegmentationWidget]


def result_of(widget: SegmentationWidget) -> ShownResult:
    shown = widget.result
    assert shown is not None
    return shown


def begun(**changes: Any) -> Begun:
    known: dict[str, Any] = {"images": 1, "held_out": 1, "device": "cpu", "metric": "ap50", "before": 0.4}
    return Begun(**(known | changes))


def stepped(step: int, **changes: Any) -> Stepped:
    known: dict[str, Any] = {"loss": 1 / step, "progress": step / 10, "seconds": float(step), "remaining": 10.0 - step}
    return Stepped(step=step, **(known | changes))


def finished(model: Path, **changes: Any) -> Finished:
    known: dict[str, Any] = {"name": "better", "display_name": "Better"}
    known |= {"before": {"ap50": 0.4}, "after": {"ap50": 0.7}}
    return Finished(model=model, **(known | changes))


def click(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def correct(widget: SegmentationWidget, settle: Callable[[SegmentationWidget], None]) -> Labels:
    """Paint an object that the model did not find."""
    labels = result_of(widget).layer("labels")
    assert isinstance(labels, Labels)
    labels.mode, labels.selected_label, labels.brush_size = "paint", 50, 4
    labels.paint((30, 10), 50)
    settle(widget)
    return labels


def open_improve(widget: SegmentationWidget, qtbot: Any) -> Any:
    click(qtbot, widget.result_actions.improve)
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=20_000)
    panel = widget.learning.panel
    assert panel is not None
    return panel


def start_improving(widget: SegmentationWidget, qtbot: Any, processes: Any) -> Any:
    panel = open_improve(widget, qtbot)
    click(qtbot, panel.improve.improve)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    return panel


def drag(widget: SegmentationWidget, qtbot: Any, first: tuple[float, float], last: tuple[float, float]) -> None:
    """Drag the mouse from one pixel (y, x) of the image to another on the canvas."""
    viewer = getattr(widget.viewer, "__wrapped__", widget.viewer)
    qt_viewer = viewer.window._qt_viewer
    native = qt_viewer.canvas.native
    QApplication.processEvents()

    def place(pixel: tuple[float, float]) -> QPoint:
        camera = getattr(viewer, "scene", viewer).camera
        y, x = (np.array(pixel) - camera.center[-2:]) * camera.zoom
        return QPoint(round(native.width() / 2 + x), round(native.height() / 2 + y))

    qtbot.mouseMove(native, place(first))
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=place(first))
    for share in (0.3, 0.7, 1.0):
        between = (first[0] + share * (last[0] - first[0]), first[1] + share * (last[1] - first[1]))
        qtbot.mouseMove(native, place(between))
        QApplication.processEvents()
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=place(last))
    QApplication.processEvents()


def test_a_corrected_result_is_ticked_and_names_the_new_model(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = open_improve(widget, qtbot)
    assert [plane.name for plane in panel.improve.labels.ticked()] == ["cells"]
    assert panel.improve.model.text() == "Bright objects"
    assert panel.improve.title.text() == "Bright objects, improved on cells"
    assert panel.improve.improve.isEnabled()


def test_without_a_correction_improve_waits_and_says_for_what(
    open_window: OpenWindow, squares: NDArray[Any], qtbot: Any
) -> None:
    panel = open_improve(open_window(squares), qtbot)
    assert panel.improve.labels.ticked() == []
    assert not panel.improve.improve.isEnabled()
    assert panel.improve.improve.toolTip() == "Tick labels to learn from."


def test_what_was_painted_is_learnt_from(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    labels = correct(widget, settle)
    start_improving(widget, qtbot, processes)
    (folder,) = job_folders()
    (corrected,) = read_corrected_images(folder.data / "images", folder.data / "masks")
    np.testing.assert_array_equal(corrected.image.array, squares)
    np.testing.assert_array_equal(corrected.labels > 0, labels.data > 0)
    assert processes.last.arguments == folder.arguments()
    assert folder.read_job().model == result_of(widget).layer("labels").metadata["napari_unetseg"]["model_source"]


def test_a_rectangle_that_is_drawn_with_the_mouse_is_all_that_is_learnt(
    open_window: OpenWindow, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares, show=True)
    panel = open_improve(widget, qtbot)
    click(qtbot, panel.improve.draw)
    drag(widget, qtbot, (2, 2), (14, 16))
    click(qtbot, panel.improve.exclude)
    drag(widget, qtbot, (8, 2), (14, 8))
    shapes = widget.viewer.layers["Corrected regions"]
    assert list(shapes.features[KIND]) == ["corrected", "not annotated"]
    qtbot.waitUntil(lambda: panel.improve.chosen_part() is Part.REGIONS, timeout=5000)
    assert [plane.name for plane in panel.improve.labels.ticked()] == ["cells"]
    click(qtbot, panel.improve.improve)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    (folder,) = job_folders()
    (corrected,) = read_corrected_images(folder.data / "images", folder.data / "masks")
    looked = corrected.annotated
    assert looked[4, 4]
    assert not looked[11, 5]
    assert not looked[30, 30]
    assert 80 < looked.sum() < 180


def test_the_visible_region_is_what_the_canvas_shows(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares, show=True)
    correct(widget, settle)
    viewer = getattr(widget.viewer, "__wrapped__", widget.viewer)
    camera = getattr(viewer, "scene", viewer).camera
    camera.center, camera.zoom = (0, 24, 8), 24
    QApplication.processEvents()
    panel = open_improve(widget, qtbot)
    panel.improve.part.setCurrentIndex(panel.improve.part.findData(Part.VISIBLE.value))
    click(qtbot, panel.improve.improve)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    (folder,) = job_folders()
    (corrected,) = read_corrected_images(folder.data / "images", folder.data / "masks")
    assert corrected.annotated[24, 8]
    assert not corrected.annotated[:, -1].any()


def test_a_run_shows_its_curve_time_and_scores(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    view = start_improving(widget, qtbot, processes).run
    processes.last.tell(begun(before=0.4), stepped(1), stepped(2), stepped(6, remaining=42.0))
    processes.last.tell(Validated(step=6, loss=0.2, score=0.6, best=True, seconds=6.0), Told(text="Still better."))
    qtbot.waitUntil(lambda: view.stage.text() == "Still better.", timeout=5000)
    assert view.bar.text() == "60 % · 42 s left"
    assert view.scores.text() == "AP@0.5: before 0.40 · now 0.60 · best 0.60"
    assert [seconds for seconds, _ in view.curve.losses] == [1, 2, 6]
    assert view.curve.scores == [(6.0, 0.6)]
    assert view.curve.before == 0.4
    assert view.stop.isEnabled()


def test_previews_are_one_layer_on_the_image_that_is_replaced(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    start_improving(widget, qtbot, processes)
    active = widget.viewer.layers.selection.active
    for number, top in enumerate((10, 20)):
        labels = np.zeros(squares.shape, np.int32)
        labels[top : top + 8, 10:18] = 3
        np.save(tmp_path / f"{number}.npy", labels)
        processes.last.tell(
            Validated(step=1, loss=1, score=0.5, best=True, seconds=1.0, preview=tmp_path / f"{number}.npy")
        )
        qtbot.waitUntil(
            lambda top=top: (
                "cells preview" in widget.viewer.layers and widget.viewer.layers["cells preview"].data[top, 12] == 3
            ),
            timeout=5000,
        )
    preview = widget.viewer.layers["cells preview"]
    assert preview.data[24, 14] == 0  # outlines, so that what lies below stays in sight
    assert [layer.name for layer in widget.viewer.layers].count("cells preview") == 1
    assert widget.viewer.layers.selection.active == active
    widget.viewer.layers.remove("cells preview")
    processes.last.tell(
        Validated(step=2, loss=1, score=0.5, best=True, seconds=2.0, preview=tmp_path / "0.npy"), stepped(3)
    )
    qtbot.waitUntil(lambda: len(widget.learning.panel.run.curve.losses) == 1, timeout=5000)
    assert "cells preview" not in widget.viewer.layers


def test_stop_asks_the_run_to_keep_its_best(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    view = start_improving(widget, qtbot, processes).run
    processes.last.tell(begun(), stepped(1))
    qtbot.waitUntil(lambda: bool(view.curve.losses), timeout=5000)
    click(qtbot, view.stop)
    assert processes.last.stopped
    assert not view.stop.isEnabled()
    assert view.stage.text() == "Stopping. The best model so far is being written..."
    processes.last.tell(finished(tmp_path, stopped=True))
    processes.last.end()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    assert "'Better' is among your models" in view.message.text.text()


def test_the_new_model_is_told_of_and_can_be_run_at_once(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = start_improving(widget, qtbot, processes)
    made: list[Any] = []
    widget.learning.model_made.connect(lambda name, listed: made.append((name, list(listed))))
    processes.last.tell(begun(), finished(tmp_path))
    processes.last.end()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    assert [name for name, _ in made] == ["better"]
    assert [model.name for model in made[0][1]] == ["bright"]
    message = panel.run.message
    assert message.text.text() == (
        "'Better' is among your models. AP@0.5 on what was held back: 0.40 before, 0.70 now."
    )
    with qtbot.waitSignal(widget.learning.run_requested, timeout=2000):
        click(qtbot, message.action)


def test_a_model_that_is_no_better_is_said_with_a_warning(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = start_improving(widget, qtbot, processes)
    processes.last.tell(finished(tmp_path, before={"ap50": 0.7}, after={"ap50": 0.7}))
    processes.last.end()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    assert panel.run.message.badge.kind == "warning"


def test_a_run_that_fails_says_why(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = start_improving(widget, qtbot, processes)
    processes.last.tell(Failed(text="There was not enough memory."))
    processes.last.end()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    assert panel.run.message.text.text() == "There was not enough memory."
    assert panel.run.message.badge.kind == "error"
    assert panel.improve.improve.isEnabled()


def test_closing_the_window_leaves_the_run_to_be_taken_up_again(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    start_improving(widget, qtbot, processes)
    processes.last.tell(begun(), stepped(3))
    qtbot.waitUntil(lambda: bool(widget.learning.panel.run.curve.losses), timeout=5000)
    widget.learning.stop()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    assert processes.last.abandoned
    assert not processes.last.stopped
    assert [folder.read_job().title for folder in unfinished_jobs()] == ["Bright objects, improved on cells"]


def test_an_interrupted_job_is_offered_and_goes_on(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    start_improving(widget, qtbot, processes)
    processes.last.tell(begun(), stepped(3, progress=0.3))
    qtbot.waitUntil(lambda: bool(widget.learning.panel.run.curve.losses), timeout=5000)
    first = processes.last.arguments
    widget.learning.stop()
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    panel = open_improve(widget, qtbot)
    qtbot.waitUntil(lambda: panel.interrupted.jobs.count() == 1, timeout=10_000)
    assert panel.interrupted.isVisibleTo(panel)
    assert panel.interrupted.jobs.currentText() == "Bright objects, improved on cells · 30 % done"
    click(qtbot, panel.interrupted.go_on)
    qtbot.waitUntil(lambda: len(processes.runs) == 2, timeout=10_000)
    assert processes.last.arguments == first
    qtbot.waitUntil(lambda: [seconds for seconds, _ in panel.run.curve.losses] == [3.0], timeout=5000)
    labels = np.zeros(squares.shape, np.int32)
    labels[10:18, 10:18] = 1
    np.save(tmp_path / "preview.npy", labels)
    processes.last.tell(Validated(step=5, loss=1, score=0.5, best=True, seconds=5.0, preview=tmp_path / "preview.npy"))
    qtbot.waitUntil(lambda: "cells preview" in widget.viewer.layers, timeout=5000)


def test_an_interrupted_job_can_be_deleted(open_window: OpenWindow, squares: NDArray[Any], qtbot: Any) -> None:
    widget = open_window(squares)
    folder = _write_interrupted("Old")
    panel = open_improve(widget, qtbot)
    qtbot.waitUntil(lambda: panel.interrupted.jobs.count() == 1, timeout=10_000)
    click(qtbot, panel.interrupted.delete)
    qtbot.waitUntil(lambda: panel.interrupted.jobs.count() == 0, timeout=10_000)
    assert not folder.path.exists()
    assert not panel.interrupted.isVisibleTo(panel)


def test_copying_the_command_line_writes_the_data_and_starts_nothing(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = open_improve(widget, qtbot)
    click(qtbot, panel.improve.copy)
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=10_000)
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    words = clipboard.text()
    assert words.startswith("napari-unetseg improve ")
    assert "--minutes 5" in words
    assert processes.runs == []
    assert unfinished_jobs() == []


def test_a_training_set_of_a_folder_is_improved_on(
    open_window: OpenWindow, squares: NDArray[Any], qtbot: Any, processes: Any, tmp_path: Path
) -> None:
    widget = open_window(squares)
    widget.learning.improve_from(str(tmp_path), "bright")
    qtbot.waitUntil(lambda: not widget.learning.busy, timeout=20_000)
    panel = widget.learning.panel
    assert panel.improve.folder_line.text() == str(tmp_path)
    assert panel.improve.title.text() == f"Bright objects, improved on {tmp_path.name}"
    click(qtbot, panel.improve.improve)
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=20_000)
    assert processes.last.arguments[:4] == ["improve", "bright", str(tmp_path / "images"), str(tmp_path / "masks")]


@pytest.mark.parametrize(
    "close",
    [
        pytest.param(lambda widget: WorkerBase.await_workers(10_000), id="napari"),
        pytest.param(lambda widget: widget.destroyed.emit(widget), id="one of its windows"),
    ],
)
def test_a_run_is_left_when_napari_is_closed(
    open_window: OpenWindow,
    settle: Any,
    squares: NDArray[Any],
    qtbot: Any,
    processes: Any,
    close: Callable[[SegmentationWidget], Any],
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    start_improving(widget, qtbot, processes)
    close(widget)
    assert processes.last.abandoned


def test_closing_the_dock_leaves_the_run_alone(
    open_window: OpenWindow, settle: Any, squares: NDArray[Any], qtbot: Any, processes: Any
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = start_improving(widget, qtbot, processes)
    widget.viewer.window.remove_dock_widget(panel)
    processes.last.tell(begun(), stepped(3))
    qtbot.waitUntil(lambda: bool(panel.run.curve.losses), timeout=5000)
    assert not processes.last.abandoned
    widget.learning.open_improve()
    assert panel.isVisibleTo(panel.window())
    assert not panel.improve.improve.isEnabled()


def test_the_window_stays_live_while_data_are_written(
    open_window: OpenWindow,
    settle: Any,
    squares: NDArray[Any],
    qtbot: Any,
    processes: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widget = open_window(squares)
    correct(widget, settle)
    panel = open_improve(widget, qtbot)
    entered, release = threading.Event(), threading.Event()

    def stand_still(*arguments: Any) -> None:
        entered.set()
        assert release.wait(20)

    monkeypatch.setattr("napari_unetseg.plugin.learning.training_request.write_lessons", stand_still)
    click(qtbot, panel.improve.improve)
    qtbot.waitUntil(entered.is_set, timeout=5000)
    assert panel.run.stage.text() == "Writing down what to learn from..."
    assert panel.run.stop.isEnabled()
    release.set()
    qtbot.waitUntil(lambda: bool(processes.runs), timeout=10_000)


def _write_interrupted(title: str) -> JobFolder:
    from napari_unetseg.training.job_folder import free_model_folder, new_job_folder

    folder = new_job_folder(title)
    folder.write_job(
        TrainingJob(kind="improve", title=title, data=folder.data, output=free_model_folder(title), model="bright")
    )
    return folder
