"""Every result owns its parameters: with the real window, two models and several runs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg import layer_style
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.dock import kept_results, remembered_settings
from napari_unetseg.plugin.dock.remembered_settings import RememberedSettings
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage, read_package

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def second(bright_model: Path, tmp_path: Path) -> ModelPackage:
    """The same network under another name, whose card suggests to drop objects below 30 pixels."""
    folder = tmp_path / "second"
    folder.mkdir()
    for file in bright_model.iterdir():
        content = file.read_bytes()
        if file.name == "model.yaml":
            content = content.replace(b"name: bright", b"name: second", 1).replace(b"Bright objects", b"Second")
            content = content.replace(b"min_size: 4", b"min_size: 30")
        (folder / file.name).write_bytes(content)
    return read_package(folder, "path")


@pytest.fixture
def widget(
    make_napari_viewer_proxy: Any,
    package: ModelPackage,
    second: ModelPackage,
    service: SegmentationService,
    squares: Squares,
    settle: Step,
) -> Any:
    """A window that offers both models, with an image of three squares."""
    viewer = make_napari_viewer_proxy()
    services = {str(package.path): service, str(second.path): SegmentationService(second.path, "cpu")}
    made = SegmentationWidget(viewer, services=lambda model, device: services[model], models=lambda: [package, second])
    viewer.window.add_dock_widget(made)
    viewer.add_image(squares, name="cells")
    yield made
    settle(made)


def layer(widget: SegmentationWidget, name: str = "cells labels") -> Any:
    return widget.viewer.layers[name]


def record(widget: SegmentationWidget, name: str = "cells labels") -> Any:
    return layer(widget, name).metadata[METADATA_KEY]


def select(widget: SegmentationWidget, name: str) -> None:
    widget.viewer.layers.selection.select_only(layer(widget, name))


def count(widget: SegmentationWidget, name: str = "cells labels") -> int:
    return int(layer(widget, name).data.max())


def slide(widget: SegmentationWidget, settle: Step, min_size: int) -> None:
    widget.adjust.min_size.setValue(min_size)
    settle(widget)


def assert_reproduced(widget: SegmentationWidget, service: SegmentationService, squares: Squares) -> None:
    """Every record that tells of no edits makes the labels that it stands beside."""
    for one in widget.viewer.layers:
        kept = one.metadata.get(METADATA_KEY, {})
        if isinstance(one, Labels) and kept and "edited_objects" not in kept:
            np.testing.assert_array_equal(service.segment(squares, **kept["parameters"]).labels, one.data)


def test_another_model_leaves_the_result_alone_and_brings_its_own_values_to_the_next_run(
    widget: SegmentationWidget, press_run: Step, settle: Step, service: SegmentationService, squares: Squares
) -> None:
    press_run(widget)
    slide(widget, settle, 20)
    widget.inputs.choose_model("second")
    settle(widget)
    assert widget.adjust.min_size.value() == 20
    assert count(widget) == 2
    assert "Second" in widget.adjust.owner.text()
    assert "30" in widget.adjust.owner.toolTip()
    widget.adjust.split.setValue(0.4)
    settle(widget)
    assert record(widget)["model"] == "bright"
    assert record(widget)["parameters"] | {"split": 0.4, "min_size": 20} == record(widget)["parameters"]
    press_run(widget)
    assert record(widget, "cells labels [2]")["model"] == "second"
    assert record(widget, "cells labels [2]")["parameters"]["min_size"] == 30
    assert record(widget, "cells labels [2]")["parameters"]["split"] == 0.5
    assert widget.adjust.min_size.value() == 30
    assert_reproduced(widget, service, squares)


def test_without_a_result_another_model_brings_its_own_values(widget: SegmentationWidget) -> None:
    widget.adjust.min_size.setValue(11)
    widget.inputs.choose_model("second")
    assert widget.adjust.min_size.value() == 30


def test_the_next_run_with_the_same_model_uses_what_is_shown(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    slide(widget, settle, 50)
    press_run(widget)
    assert record(widget, "cells labels [2]")["parameters"]["min_size"] == 50


def test_an_older_result_that_is_selected_brings_its_values_and_follows_again(
    widget: SegmentationWidget, press_run: Step, settle: Step, service: SegmentationService, squares: Squares
) -> None:
    press_run(widget)
    slide(widget, settle, 50)
    press_run(widget)
    slide(widget, settle, 5)
    assert (count(widget), count(widget, "cells labels [2]")) == (1, 3)
    for name, size in (("cells contours", 50), ("cells labels [2]", 5), ("cells labels", 50)):
        select(widget, name)
        settle(widget)
        assert widget.adjust.min_size.value() == size
        assert widget.adjust.owner.text().startswith(name.replace("contours", "labels"))
    assert widget.runner.result.text().startswith(words.count(1))
    assert widget.message.text.text() == words.DONE
    slide(widget, settle, 30)
    assert (count(widget), count(widget, "cells labels [2]")) == (2, 3)
    assert len(layer(widget, "cells contours").data) == 2
    select(widget, "cells")
    slide(widget, settle, 10)
    assert (count(widget), count(widget, "cells labels [2]")) == (3, 3)
    assert_reproduced(widget, service, squares)


def test_a_movement_reaches_its_result_though_another_one_is_selected_meanwhile(
    widget: SegmentationWidget, press_run: Step, settle: Step, service: SegmentationService, squares: Squares
) -> None:
    press_run(widget)
    press_run(widget)
    widget.adjust.min_size.setValue(50)
    select(widget, "cells labels")
    settle(widget)
    assert (count(widget), count(widget, "cells labels [2]")) == (3, 1)
    assert len(layer(widget, "cells contours [2]").data) == 1
    assert widget.adjust.min_size.value() == 4
    assert_reproduced(widget, service, squares)


def test_sliders_are_of_the_next_run_while_another_image_without_results_is_chosen(
    widget: SegmentationWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    press_run(widget)
    other = widget.viewer.add_image(squares, name="other")
    widget.inputs.choose_layer(other)
    slide(widget, settle, 50)
    assert count(widget) == 3
    select(widget, "cells labels")
    assert widget.adjust.min_size.value() == 4


def test_what_undo_would_bring_back_goes_with_its_labels(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    labels = layer(widget)
    labels.mode = "paint"
    labels.fill((6, 6), 0)
    labels.fill((22, 32), 9)
    labels.undo()
    slide(widget, settle, 5)
    before = labels.data.copy()
    for act in (labels.undo, labels.redo):
        act()
        np.testing.assert_array_equal(labels.data, before)
    assert labels.mode == "paint"
    assert labels.editable


def test_the_record_tells_of_every_edit_and_of_none_that_was_undone(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    labels = layer(widget)
    for edit, edited in ((labels.undo, None), (lambda: labels.fill((6, 6), 0), 1), (labels.undo, None)):
        edit()
        settle(widget)
        assert record(widget).get("edited_objects") == edited
        assert record(widget, "cells contours").get("edited_objects") == edited
    labels.redo()
    labels.fill((22, 32), 9)
    settle(widget)
    assert record(widget)["edited_objects"] == 2, "one deleted, one with another number"
    slide(widget, settle, 5)
    assert record(widget)["edited_objects"] == 2
    assert record(widget, "cells contours")["edited_objects"] == 2


def test_an_undo_while_labels_are_on_their_way_is_not_lost(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    labels = layer(widget)
    labels.fill((6, 6), 0)
    widget.adjust.min_size.setValue(5)
    widget.live._worker._start_next()  # the worker has its picture of the layers now
    labels.undo()
    settle(widget)
    assert count(widget) == 3
    assert "edited_objects" not in record(widget)


def test_the_record_tells_that_a_stack_was_edited(widget: SegmentationWidget, press_run: Step, settle: Step) -> None:
    squares = layer(widget, "cells").data
    stack = ImageLayer(np.stack([squares, squares]), name="stack", axis_labels=("z", "y", "x"))
    widget.inputs.choose_layer(widget.viewer.add_layer(stack))
    widget.inputs.run_on.choose(RunOn.STACK)
    press_run(widget)
    layer(widget, "stack labels").data_setitem((np.array([0, 1]), np.array([6, 6]), np.array([6, 6])), 0)
    settle(widget)
    assert record(widget, "stack labels")["edited_objects"] == 1
    widget.adjust.min_size.setValue(30)
    settle(widget)
    assert record(widget, "stack labels")["parameters"]["min_size"] == 4
    select(widget, "stack")
    press_run(widget)
    assert record(widget, "stack labels [2]")["parameters"]["min_size"] == 30


def test_a_new_run_hides_the_older_results_that_lie_below_it(
    widget: SegmentationWidget, press_run: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_run(widget)
    press_run(widget)
    shown = {one.name: one.visible for one in widget.viewer.layers}
    assert shown == {
        "cells": True,
        "cells labels": False,
        "cells contours": False,
        "cells labels [2]": True,
        "cells contours [2]": True,
    }
    settings = SimpleNamespace(**vars(RememberedSettings(hide_older=False)))
    monkeypatch.setattr(remembered_settings, "_napari_settings", lambda: settings)
    press_run(widget)
    assert layer(widget, "cells labels [2]").visible


def test_results_of_other_planes_stay_in_sight(widget: SegmentationWidget, press_run: Step) -> None:
    squares = layer(widget, "cells").data
    stack = widget.viewer.add_image(np.stack([squares, squares]), name="stack")
    widget.inputs.choose_layer(stack)
    for plane in (0, 1):
        widget.viewer.dims.set_current_step(0, plane)
        press_run(widget)
    assert layer(widget, "stack labels").visible
    assert layer(widget, "stack labels [2]").visible


def test_output_boxes_act_on_the_selected_result_and_show_what_it_has(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    widget.adjust.outputs["contours"].setChecked(False)
    press_run(widget)
    layer(widget).fill((6, 6), 0)
    slide(widget, settle, 20)
    for output in ("contours", "confidence"):
        widget.adjust.outputs[output].setChecked(True)
    settle(widget)
    contours = layer(widget, "cells contours")
    assert isinstance(contours, Shapes)
    assert len(contours.data) == count(widget) == 1
    assert record(widget, "cells contours") == record(widget)
    assert layer(widget, "cells confidence").data.shape == layer(widget).data.shape
    slide(widget, settle, 50)
    assert len(contours.data) == 0
    widget.adjust.outputs["contours"].setChecked(False)
    assert not contours.visible
    press_run(widget)
    assert "cells contours [2]" not in [one.name for one in widget.viewer.layers]
    widget.adjust.outputs["contours"].setChecked(True)
    widget.adjust.outputs["confidence"].setChecked(False)
    settle(widget)
    select(widget, "cells labels")
    ticked = {output: box.isChecked() for output, box in widget.adjust.outputs.items()}
    assert ticked == {"labels": True, "contours": False, "confidence": True}
    contours.visible = True
    assert widget.adjust.outputs["contours"].isChecked()


def test_labels_that_were_removed_come_back_as_they_were_shown(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    slide(widget, settle, 20)
    before = layer(widget).data.copy()
    widget.viewer.layers.remove("cells labels")
    assert not widget.adjust.outputs["labels"].isChecked()
    widget.adjust.outputs["labels"].setChecked(True)
    slide(widget, settle, 20)
    settle(widget)
    np.testing.assert_array_equal(layer(widget).data, before)
    assert list(layer(widget).features["index"]) == [1, 2]
    assert [one.name for one in widget.viewer.layers] == ["cells", "cells labels", "cells contours"]
    slide(widget, settle, 50)
    assert count(widget) == 1


def test_reset_brings_the_values_of_the_results_own_model_with_one_reading(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    widget.adjust.threshold.setValue(0.9)
    widget.adjust.fill_holes.setChecked(False)
    slide(widget, settle, 50)
    widget.inputs.choose_model("second")
    given: list[Any] = []
    widget.live.relabelled.connect(given.append)
    widget.adjust.reset.click()
    settle(widget)
    assert len(given) == 1
    assert record(widget)["parameters"]["min_size"] == widget.adjust.min_size.value() == 4
    assert record(widget)["parameters"]["fill_holes"]
    assert count(widget) == 3


def test_a_copy_of_a_layer_does_not_follow_the_sliders(
    widget: SegmentationWidget, press_run: Step, settle: Step, service: SegmentationService, squares: Squares
) -> None:
    press_run(widget)
    data, state, kind = layer(widget).as_layer_data_tuple()
    copy = Layer.create(data.copy(), state | {"name": "copy"}, kind)
    widget.viewer.add_layer(copy)
    assert widget.viewer.layers.selection.active.name == "copy"
    slide(widget, settle, 50)
    assert (count(widget), count(widget, "copy")) == (1, 3)
    layer(widget).fill((6, 6), 0)
    settle(widget)
    assert "edited_objects" not in record(widget, "copy")
    assert_reproduced(widget, service, squares)
    layer(widget, "copy").fill((6, 6), 0)
    assert record(widget, "copy")["edited_objects"] == 1


@pytest.mark.parametrize("kind", ["ellipse", "rectangle", "line", "path"])
def test_outlines_stay_outlines_whatever_was_drawn_among_them(
    widget: SegmentationWidget, press_run: Step, settle: Step, kind: str
) -> None:
    press_run(widget)
    contours = layer(widget, "cells contours")
    corners = [[20.0, 5], [20, 15], [30, 15], [30, 5]]
    contours.selected_data = {0}
    contours.remove_selected()
    contours.add(np.array(corners[: 2 if kind == "line" else 4]), shape_type=kind)
    widget.update_result()
    settle(widget)
    area = kind in ("ellipse", "rectangle")
    assert set(contours.shape_type) == {"polygon"}
    assert len(contours.data) == count(widget) == 2 + area
    assert sorted(contours.features["label"]) == list(range(1, 3 + area))
    assert bool(layer(widget).data[25, 10]) == area
    slide(widget, settle, 5)
    assert len(contours.data) == count(widget) == 2 + area


@pytest.mark.parametrize("shape", [(20, 20), (2, 48, 64)])
def test_labels_whose_pixels_were_replaced_by_others_are_left_to_the_user(
    widget: SegmentationWidget, press_run: Step, settle: Step, shape: tuple[int, ...]
) -> None:
    press_run(widget)
    theirs = layer(widget)
    theirs.data = np.full(shape, 7, np.int32)
    assert record(widget)["edited_objects"] == 1
    slide(widget, settle, 20)
    assert (theirs.data == 7).all()
    assert theirs.data.shape == shape
    assert len(layer(widget, "cells contours").data) == 2
    theirs.fill((0,) * len(shape), 3)
    settle(widget)
    assert widget.runner.result.text().startswith("2 objects")
    widget.adjust.outputs["labels"].click()
    settle(widget)
    made = [one.data for one in widget.viewer.layers if isinstance(one, Labels) and one.data.shape == (48, 64)]
    assert [int(data.max()) for data in made] == [2]


def test_a_layer_that_is_wanted_after_an_edit_shows_the_edit(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    widget.adjust.outputs["contours"].setChecked(False)
    press_run(widget)
    layer(widget).fill((6, 6), 0)
    widget.adjust.outputs["contours"].click()
    settle(widget)
    contours = layer(widget, "cells contours")
    assert contours.features["area"].tolist() == [36, 16]
    assert layer(widget).features["area_px"].tolist() == [36, 16]
    assert not layer(widget).data[6, 6]


def test_no_layer_of_a_stack_that_was_painted_on_shows_other_objects(
    widget: SegmentationWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget.viewer.add_image(np.stack([squares] * 3), name="stack", axis_labels=("z", "y", "x"))
    widget.inputs.run_on.choose(RunOn.STACK)
    widget.adjust.outputs["contours"].setChecked(False)
    press_run(widget)
    layer(widget, "stack labels").fill((0, 6, 6), 0)
    widget.adjust.outputs["contours"].click()
    settle(widget)
    assert "stack contours" not in widget.viewer.layers
    assert not widget.adjust.outputs["contours"].isChecked()
    assert widget.message.text.text() == words.edited("stack labels")
    widget.adjust.outputs["confidence"].click()
    settle(widget)
    assert layer(widget, "stack confidence").data.shape == (3, *squares.shape)


def test_undo_brings_no_outlines_of_before_among_those_that_are_pixels(
    widget: SegmentationWidget, press_run: Step, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_style, "MAX_CONTOURS", 0)
    press_run(widget)
    contours = layer(widget, "cells contours")
    assert isinstance(contours, Labels)
    contours.fill((40, 50), 0)
    slide(widget, settle, 20)
    before = contours.data.copy()
    contours.undo()
    np.testing.assert_array_equal(contours.data, before)
    assert np.unique(before).tolist() == [0, 1, 2]


def test_results_outlive_their_image_and_go_with_their_last_layer(
    widget: SegmentationWidget, press_run: Step, settle: Step
) -> None:
    press_run(widget)
    layer(widget).name = "mine"
    widget.viewer.layers.remove("cells")
    assert widget.adjust.owner.text() == "mine"
    slide(widget, settle, 50)
    assert count(widget, "mine") == 1
    widget.viewer.layers.remove("cells contours")
    slide(widget, settle, 20)
    assert count(widget, "mine") == 2
    widget.adjust.min_size.setValue(4)
    widget.viewer.layers.remove("mine")
    settle(widget)
    assert widget.result is None
    assert widget.runner.result.text() == ""
    assert widget.adjust.chosen_outputs() == ("labels", "contours")
    assert len(widget.viewer.layers) == 0


def test_probabilities_that_take_too_much_memory_are_let_go(
    widget: SegmentationWidget, press_run: Step, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_run(widget)
    slide(widget, settle, 50)
    monkeypatch.setattr(kept_results, "KEPT_BYTES", 1)
    press_run(widget)
    press_run(widget)
    select(widget, "cells labels")
    assert widget.adjust.min_size.value() == 50
    assert not widget.adjust.min_size.isEnabled()
    assert not widget.adjust.outputs["confidence"].isEnabled()
    assert "no longer adjustable" in widget.adjust.owner.text()
    assert "Run again" in widget.message.text.text()
    widget.adjust.min_size.setValue(5)
    settle(widget)
    assert count(widget) == 1
    assert record(widget)["parameters"]["min_size"] == 50
    layer(widget).fill((6, 6), 0)
    assert record(widget)["edited_objects"] == 1
    for name, size in (("cells labels [2]", 5), ("cells labels [3]", 20)):
        select(widget, name)
        assert widget.adjust.min_size.isEnabled()
        slide(widget, settle, size)
    assert (count(widget, "cells labels [2]"), count(widget, "cells labels [3]")) == (3, 2)
