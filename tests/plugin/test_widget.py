"""The real window, with the real Run and Cancel buttons and a real, tiny model."""

import gc
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QThreadPool, QTimer
from qtpy.QtWidgets import QApplication, QDialog, QPushButton, QWidget

from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.plugin.workers import run_controller
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import BrokenPackage, ModelPackage, WeightsNeeded, read_package

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


def names(widget: SegmentationWidget) -> list[str]:
    return [layer.name for layer in widget.viewer.layers]


def count(widget: SegmentationWidget, layer: str = "cells labels") -> int:
    return int(widget.viewer.layers[layer].data.max())


def start_and_enter(widget: SegmentationWidget, gate: Any, qtbot: Any) -> None:
    """Press Run and wait until the engine stands still inside the run."""
    widget.runner.run.click()
    qtbot.waitUntil(gate.entered.is_set, timeout=20_000)


def wait_for_end(widget: SegmentationWidget, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)


def test_one_click_gives_objects(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    assert names(widget) == ["cells", "cells labels", "cells contours"]
    labels, contours = widget.viewer.layers["cells labels"], widget.viewer.layers["cells contours"]
    np.testing.assert_array_equal(labels.data > 0, squares > 0)
    assert list(labels.features["index"]) == [1, 2, 3]
    assert list(contours.features["area"]) == [64, 36, 16]
    assert widget.runner.result.text().startswith("3 objects · ")


def test_four_calls_lead_from_the_button_to_the_service(
    make_widget: MakeWidget,
    press_run: Step,
    squares: Squares,
    service: SegmentationService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def note_calls() -> None:
        for frame in traceback.extract_stack():
            path = Path(frame.filename)
            # Not the machinery that takes a function into a worker.
            if "napari_unetseg" in path.parts and "plugin" in path.parts and path.name != "background.py":
                calls.append(frame.name)

    class WatchedTask(Task[Any]):
        def __init__(self, function: Any) -> None:
            note_calls()
            super().__init__(function)

    class WatchedService:
        def segment(self, *arguments: Any, **options: Any) -> Any:
            note_calls()
            return service.segment(*arguments, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(service, name)

    monkeypatch.setattr(run_controller, "Task", WatchedTask)
    widget = make_widget(squares, model_choice=WatchedService())
    press_run(widget)
    assert calls == ["run", "start", "run_jobs", "run_job"]


def test_all_outputs_carry_the_place_and_the_record_of_their_source(
    make_widget: MakeWidget, press_run: Step, squares: Squares, package: ModelPackage
) -> None:
    source = ImageLayer(
        squares,
        name="cells",
        scale=(0.5, 0.25),
        translate=(3, 4),
        rotate=30,
        shear=[0.2],
        affine=[[1, 0.1, 5], [0, 1, 6], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    widget = make_widget(source)
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    assert set(names(widget)) == {"cells", "cells labels", "cells contours", "cells confidence"}
    for name in names(widget)[1:]:
        layer = widget.viewer.layers[name]
        np.testing.assert_allclose(layer.data_to_world((7, 9)), source.data_to_world((7, 9)))
        assert layer.units == source.units
        assert layer.axis_labels == source.axis_labels
        record = layer.metadata["napari_unetseg"]
        assert record["model"] == "bright"
        assert record["sha256"] == package.card.weights.sha256
        assert record["parameters"]["threshold"] == 0.5
        assert record["device"] == "cpu"
        assert record["versions"]["torch"]
        assert record["started"]
        assert record["image"] == "cells"


def test_a_second_run_overwrites_nothing(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    first = widget.viewer.layers["cells labels"].data.copy()
    widget.adjust.min_size.setValue(30)
    press_run(widget)
    assert names(widget)[-2:] == ["cells labels [2]", "cells contours [2]"]
    assert count(widget, "cells labels [2]") == 2
    assert first.max() == 3


def test_cancel_adds_nothing(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares, service: SegmentationService
) -> None:
    widget = make_widget(squares, model_choice=gated)
    start_and_enter(widget, gated, qtbot)
    assert widget.runner.cancel.isEnabled()
    assert not widget.inputs.image.isEnabled()
    widget.runner.cancel.click()
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert names(widget) == ["cells"]
    assert widget.message.text.text() == words.cancelled_at(None)
    assert widget.runner.run.isEnabled()
    assert not widget.runner.cancel.isEnabled()


def test_a_result_that_comes_after_cancel_is_dropped(make_widget: MakeWidget, qtbot: Any, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.runner.run.click()
    # The first stage report is delivered before any result can be; from then on Cancel must win.
    widget.controller.progressed.connect(lambda *_: widget.runner.cancel.click())
    wait_for_end(widget, qtbot)
    assert names(widget) == ["cells"]


def test_two_clicks_start_one_run(make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares) -> None:
    widget = make_widget(squares, model_choice=gated)
    start_and_enter(widget, gated, qtbot)
    widget.runner.run.click()
    widget.run()
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert gated.calls == 1
    assert len(names(widget)) == 3


def test_the_window_lives_while_the_engine_works(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    start_and_enter(widget, gated, qtbot)
    ticks: list[int] = []
    timer = QTimer(widget)
    timer.timeout.connect(lambda: ticks.append(len(ticks)))
    timer.start(1)
    qtbot.waitUntil(lambda: len(ticks) > 20)
    assert not gated.release.is_set()
    assert widget.controller.running
    timer.stop()


def test_a_failure_is_explained_and_old_results_are_not_shown_as_new(
    make_widget: MakeWidget, press_run: Step, squares: Squares, service: SegmentationService
) -> None:
    class Failing:
        broken = False

        def segment(self, *arguments: Any, **settings: Any) -> Any:
            if self.broken:
                raise ValueError("no luck")
            return service.segment(*arguments, **settings)

        def __getattr__(self, name: str) -> Any:
            return getattr(service, name)

    model_choice = Failing()
    widget = make_widget(squares, model_choice=model_choice)
    press_run(widget)
    model_choice.broken = True
    press_run(widget)
    assert "no luck" in widget.message.text.text()
    assert widget.message.badge.kind == "error"
    assert widget.runner.result.text() == ""
    assert len(names(widget)) == 3
    widget.message.details.click()
    (dialog,) = widget.findChildren(QDialog)
    (copy,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Copy"]
    copy.click()
    assert "Traceback" in QApplication.clipboard().text()
    dialog.close()


def test_a_broken_model_package_says_which_file(
    make_napari_viewer_proxy: Any, qtbot: Any, squares: Squares, package: ModelPackage, tmp_path: Path
) -> None:
    for file in package.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    viewer = make_napari_viewer_proxy()
    viewer.add_image(squares)
    widget = SegmentationWidget(
        viewer,
        services=lambda model, device: SegmentationService(model, device),
        models=lambda: [read_package(tmp_path, "path")],
    )
    viewer.window.add_dock_widget(widget)
    widget.runner.run.click()
    wait_for_end(widget, qtbot)
    assert "weights.safetensors" in widget.message.text.text()
    assert len(viewer.layers) == 1


def test_models_that_cannot_be_used_are_listed_but_not_offered(make_napari_viewer_proxy: Any, tmp_path: Path) -> None:
    viewer = make_napari_viewer_proxy()
    broken = BrokenPackage(tmp_path / "mine", "user", "mine: no card")
    needing = WeightsNeeded(PUBLISHED["hrnet"], tmp_path / "hrnet")
    widget = SegmentationWidget(viewer, models=lambda: [broken, needing])
    viewer.window.add_dock_widget(widget)
    viewer.add_image(np.zeros((8, 8)))
    offered = widget.inputs.model
    listed = [offered.itemText(row) for row in range(offered.count())]
    assert listed == ["mine (broken)", "▸ Models without weights (1)", "HRNetV2 (weights needed)", "", "Add model..."]
    assert not any(offered.model().item(row).isEnabled() for row in range(offered.count()))
    assert "Put its checkpoint" in offered.itemData(2, Qt.ItemDataRole.ToolTipRole)
    assert not widget.runner.run.isEnabled()
    assert widget.message.text.text() == words.NO_MODEL


def test_without_an_image_run_says_why_it_cannot_be_pressed(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget()
    assert not widget.runner.run.isEnabled()
    assert widget.runner.run.toolTip() == words.NO_IMAGE
    assert widget.message.text.text() == words.NO_IMAGE
    widget.viewer.add_image(squares)
    assert widget.runner.run.isEnabled()
    assert widget.message.text.text() == words.READY


def test_layers_removed_during_a_run_still_get_their_results(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    start_and_enter(widget, gated, qtbot)
    widget.viewer.layers.clear()
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert names(widget) == ["cells labels", "cells contours"]


def test_closing_the_dock_cancels(make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares) -> None:
    widget = make_widget(squares, model_choice=gated)
    start_and_enter(widget, gated, qtbot)
    widget.viewer.window.remove_dock_widget(widget)
    assert widget.controller.cancelling
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert names(widget) == ["cells"]


def test_closing_the_viewer_cancels(
    make_napari_viewer: Any, gated: Any, qtbot: Any, squares: Squares, package: ModelPackage
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(squares)
    widget = SegmentationWidget(viewer, services=lambda model, device: gated, models=lambda: [package])
    viewer.window.add_dock_widget(widget)
    controller = widget.controller
    start_and_enter(widget, gated, qtbot)
    viewer.close()
    del widget
    gc.collect()
    assert controller.cancelling
    gated.release.set()
    assert QThreadPool.globalInstance().waitForDone(20_000)
    QApplication.processEvents()
    assert len(viewer.layers) == 0


def test_sliders_act_on_the_last_result(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    labels, contours = widget.viewer.layers["cells labels"], widget.viewer.layers["cells contours"]
    for size, left in ((20, 2), (40, 1), (4, 3)):
        widget.adjust.min_size.setValue(size)
        settle(widget)
        assert labels.data.max() == left
        assert len(contours.data) == len(contours.features) == left
        assert len(labels.features) == left
        assert labels.metadata["napari_unetseg"]["parameters"]["min_size"] == size
        assert widget.runner.result.text().startswith(words.count(left))
    assert len(names(widget)) == 3


def test_the_last_slider_position_wins(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    for size in (*range(5, 60), 30):
        widget.adjust.min_size.setValue(size)
    settle(widget)
    assert count(widget) == 2


def test_sliders_spare_removed_and_foreign_layers(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.viewer.layers.remove("cells contours")
    widget.adjust.min_size.setValue(20)
    settle(widget)
    assert names(widget) == ["cells", "cells labels"]

    other = widget.viewer.add_image(squares, name="other")
    widget.inputs.choose_layer(other)
    widget.adjust.min_size.setValue(40)
    settle(widget)
    assert count(widget) == 2


def test_what_was_painted_stays_when_the_sliders_move(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    labels = widget.viewer.layers["cells labels"]
    labels.paint((30, 10), 7)
    painted = labels.data == 7
    assert "cells labels" in widget.message.text.text()
    widget.adjust.min_size.setValue(40)
    settle(widget)
    np.testing.assert_array_equal(labels.data == labels.data[30, 10], painted)
    assert count(widget) == 2
    assert widget.message.text.text() == words.DONE


def test_an_outline_deleted_by_hand_does_not_come_back(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    contours = widget.viewer.layers["cells contours"]
    contours.data = contours.data[:2]
    widget.adjust.min_size.setValue(10)
    settle(widget)
    assert len(contours.data) == count(widget) == 2


def test_sliders_spare_a_stack_that_was_painted_on(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(np.stack([squares, squares]), name="cells", axis_labels=("z", "y", "x")))
    widget.inputs.run_on.choose(RunOn.STACK)
    press_run(widget)
    labels = widget.viewer.layers["cells labels"]
    labels.paint((0, 30, 10), 7)
    before = labels.data.copy()
    widget.adjust.min_size.setValue(40)
    settle(widget)
    np.testing.assert_array_equal(labels.data, before)
    assert widget.message.text.text() == words.edited("cells labels")


def test_the_bar_stands_where_the_forecast_was(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    runner = widget.runner
    assert runner.ahead.currentWidget() is runner.forecast
    start_and_enter(widget, gated, qtbot)
    assert runner.ahead.currentWidget() is runner.bar
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert runner.ahead.currentWidget() is runner.forecast


def test_when_nothing_is_found_a_button_lowers_the_threshold(
    make_widget: MakeWidget, press_run: Step, settle: Step
) -> None:
    # Not bright enough for the default threshold: 0.45 of the range gives sigmoid(-1) = 0.27.
    image = np.zeros((32, 32), np.uint8)
    image[4:12, 4:12], image[20, 20] = 90, 200
    widget = make_widget(image)
    widget.adjust.min_size.setValue(9)
    press_run(widget)
    assert widget.runner.result.text().startswith("0 objects")
    assert not widget.message.action.isHidden()
    widget.message.action.click()
    settle(widget)
    assert count(widget) == 1
    assert widget.message.action.isHidden()


def test_a_bright_speck_below_the_minimum_size_is_told(make_widget: MakeWidget, press_run: Step) -> None:
    image = np.zeros((32, 32), np.uint8)
    image[5, 5] = 200
    widget = make_widget(image)
    press_run(widget)
    assert "Lower the minimum size" in widget.message.text.text()


@pytest.mark.parametrize(
    ("image", "objects"),
    [
        (np.ones((1, 1), np.uint8), 0),
        (np.zeros((5, 40, 48), bool) | (np.arange(48) < 9), 1),
        (np.where(np.arange(32) < 9, np.nan, np.eye(32)), 0),
        (np.repeat(np.where(np.arange(32) < 9, 250, 0)[None, :, None].repeat(30, 0), 3, 2).astype(np.uint8), 1),
    ],
    ids=["one pixel", "bool stack", "not a number", "RGB"],
)
def test_any_image_can_be_segmented(make_widget: MakeWidget, press_run: Step, image: Any, objects: int) -> None:
    widget = make_widget(image)
    press_run(widget)
    assert widget.message.badge.kind != "error", widget.message.text.text()
    assert count(widget) == objects


def test_the_plane_on_display_is_segmented_and_its_result_lies_there(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    stack = np.zeros((5, *squares.shape), squares.dtype)
    stack[3] = squares
    widget = make_widget(ImageLayer(stack, name="cells", scale=(2, 1, 1), translate=(10, 0, 0)))
    widget.viewer.dims.set_current_step(0, 3)
    assert "Z 4 of 5" in widget.inputs.axes.text()
    press_run(widget)
    labels, contours = widget.viewer.layers["cells labels"], widget.viewer.layers["cells contours"]
    assert labels.data.shape == (1, *squares.shape)
    assert labels.data.max() == 3
    for layer in (labels, contours):
        assert layer.data_to_world((0, 5, 5)) == widget.viewer.layers["cells"].data_to_world((3, 5, 5))


def test_result_layers_are_not_offered_as_images(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    assert isinstance(widget.viewer.layers["cells confidence"], ImageLayer)
    assert [widget.inputs.image.itemText(row) for row in range(widget.inputs.image.count())] == ["cells"]


def test_only_the_chosen_layers_are_made(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.adjust.outputs["labels"].setChecked(False)
    press_run(widget)
    assert names(widget) == ["cells", "cells contours"]
    assert isinstance(widget.viewer.layers[-1], Shapes)


def test_many_outlines_are_drawn_on_a_labels_layer(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.layer_style.MAX_CONTOURS", 2)
    widget = make_widget(squares)
    press_run(widget)
    contours = widget.viewer.layers["cells contours"]
    assert isinstance(contours, Labels)
    assert (contours.data > 0).sum() == 28 + 20 + 12
    assert "outlines" in widget.message.text.text()
    widget.adjust.min_size.setValue(40)
    settle(widget)
    assert (contours.data > 0).sum() == 28


def test_nothing_moves_when_the_state_changes(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares, press_run: Step
) -> None:
    widget = make_widget(model_choice=gated)

    def places() -> list[Any]:
        QApplication.processEvents()
        rows = (widget.runner.run, widget.runner.cancel, widget.message, widget.adjust, widget.health)
        return [(row.mapTo(widget, row.rect().topLeft()), row.height()) for row in rows]

    widget.resize(336, 700)
    before = places()
    widget.viewer.add_image(squares, name="cells")
    assert places() == before
    start_and_enter(widget, gated, qtbot)
    assert places() == before
    gated.release.set()
    wait_for_end(widget, qtbot)
    assert places() == before
    widget.message.show_message("word " * 60, "error", failure=words.describe_error(ValueError("x" * 300)))
    assert places() == before


def test_tab_walks_in_reading_order(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    stops = [
        *(widget.inputs.image, widget.inputs.model, widget.inputs.card, widget.inputs.device),
        *(widget.runner.run, widget.runner.cancel),
        *widget.adjust.outputs.values(),
        *(widget.health.toggle, *widget.health.panel.buttons.values()),
    ]
    chain: list[QWidget] = []
    here = widget.nextInFocusChain()
    while here is not widget and here not in chain:
        chain.append(here)
        here = here.nextInFocusChain()
    positions = [chain.index(stop) for stop in stops]
    assert positions == sorted(positions)


def test_every_control_explains_itself(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    for control in (
        *(widget.inputs.image, widget.inputs.model, widget.inputs.card, widget.inputs.device),
        *(widget.runner.run, widget.runner.cancel, widget.runner.bar, widget.message.details),
        *(
            widget.adjust.threshold,
            widget.adjust.min_size,
            widget.adjust.split,
            *widget.adjust.outputs.values(),
        ),
        *(widget.health.toggle, *widget.health.panel.buttons.values()),
    ):
        assert control.toolTip()


def test_the_minimum_size_is_also_told_in_physical_units(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(ImageLayer(squares, scale=(0.5, 0.5), units="um"))
    widget.adjust.min_size.setValue(20)
    assert widget.adjust.area.text() == "20 px · 5 µm²"
    assert widget.adjust.min_size.value() == 20


def test_colours_follow_the_theme(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.message.show_message("Look", "error")
    styles = set()
    for theme in ("dark", "light"):
        widget.viewer.theme = theme
        styles.add(widget.message.badge.styleSheet())
    assert len(styles) == 2


def test_the_card_can_be_read(make_widget: MakeWidget) -> None:
    widget = make_widget()
    widget.inputs.card.click()
    (dialog,) = widget.findChildren(QDialog)
    assert dialog.windowTitle() == "Bright objects"
    dialog.close()
