"""Which image a run is on, in the real window: the one that is selected or was opened last, unless it is pinned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def widget(make_widget: MakeWidget, squares: Squares) -> SegmentationWidget:
    """A window with the images a, b and c, of which c was opened last."""
    return make_widget(*(ImageLayer(squares, name=name) for name in "abc"))


def chosen(widget: SegmentationWidget) -> str:
    return str(widget.inputs.image.currentText())


def select(widget: SegmentationWidget, *layers: Any) -> None:
    widget.viewer.layers.selection = set(layers)


def pick(widget: SegmentationWidget, name: str) -> None:
    """Choose from the box, as a click in its list does."""
    row = widget.inputs.image.findText(name)
    widget.inputs.image.setCurrentIndex(row)
    widget.inputs.image.activated.emit(row)


def test_the_box_follows_what_is_opened_and_selected(widget: SegmentationWidget, squares: Squares) -> None:
    assert chosen(widget) == "c"
    select(widget, widget.viewer.layers["a"])
    assert chosen(widget) == "a"
    widget.viewer.add_image(squares, name="d")
    assert chosen(widget) == "d"
    select(widget, widget.viewer.layers["a"], widget.viewer.layers["b"])
    assert chosen(widget) == "d", "of several none is the active one"


def test_a_window_that_opens_later_begins_with_the_selected_image(
    make_napari_viewer_proxy: Any, squares: Squares, package: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    for name in "abc":
        viewer.add_image(squares, name=name)
    viewer.layers.selection.active = viewer.layers["b"]
    widget = SegmentationWidget(viewer, models=lambda: [package])
    viewer.window.add_dock_widget(widget)
    assert chosen(widget) == "b"


def test_run_is_on_the_image_that_was_opened_last(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(ImageLayer(squares, name="a"))
    press_run(widget)
    widget.viewer.add_image(squares.T.copy(), name="b")
    press_run(widget)
    np.testing.assert_array_equal(widget.viewer.layers["b labels"].data > 0, squares.T > 0)


def test_results_points_and_shapes_leave_the_choice(widget: SegmentationWidget, press_run: Step) -> None:
    select(widget, widget.viewer.layers["a"])
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    select(widget, widget.viewer.layers["c"])
    for layer in ("a labels", "a contours", "a confidence"):
        select(widget, widget.viewer.layers[layer])
        assert chosen(widget) == "c"
    widget.viewer.add_points([[1, 1]])
    widget.viewer.add_shapes([[[1, 1], [1, 9], [9, 9], [9, 1]]], shape_type="rectangle")
    assert chosen(widget) == "c"


def test_a_pinned_image_stays(widget: SegmentationWidget, squares: Squares) -> None:
    select(widget, widget.viewer.layers["a"])
    widget.inputs.pin.click()
    select(widget, widget.viewer.layers["b"])
    widget.viewer.add_image(squares, name="d")
    widget.viewer.layers["a"].name = "renamed"
    widget.viewer.layers.reverse()
    assert chosen(widget) == "renamed"
    widget.inputs.pin.click()
    assert chosen(widget) == "d", "the selected one, from now on"


def test_the_pin_goes_with_its_image(widget: SegmentationWidget) -> None:
    widget.inputs.pin.click()
    widget.viewer.layers.remove("c")
    assert not widget.inputs.pin.isChecked()
    assert chosen(widget) == "b"
    widget.viewer.layers.clear()
    assert not widget.inputs.pin.isEnabled()


def test_choosing_by_hand_selects_the_layer(widget: SegmentationWidget) -> None:
    pick(widget, "a")
    assert widget.viewer.layers.selection.active == widget.viewer.layers["a"]
    widget.inputs.pin.click()
    pick(widget, "b")
    assert chosen(widget) == "b"
    assert widget.inputs.pin.isChecked()


def test_what_a_script_chooses_stays_until_another_image_is_selected(
    widget: SegmentationWidget, press_run: Step
) -> None:
    widget.inputs.choose_layer(widget.viewer.layers["a"])
    press_run(widget)
    widget.viewer.dims.set_current_step(0, 3)
    widget.viewer.layers["a"].name = "first"
    widget.viewer.layers.remove("a labels")
    assert chosen(widget) == "first"
    select(widget, widget.viewer.layers["b"])
    assert chosen(widget) == "b"


def test_the_topmost_visible_image_takes_the_place_of_one_that_is_removed(widget: SegmentationWidget) -> None:
    widget.viewer.layers["b"].visible = False
    widget.viewer.layers.remove("c")
    assert chosen(widget) == "a"
    widget.viewer.layers.remove("a")
    assert chosen(widget) == "b"


def test_the_box_stands_still_during_a_run_and_follows_afterwards(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), model_choice=gated)
    widget.runner.run.click()
    qtbot.waitUntil(gated.entered.is_set, timeout=20_000)
    widget.viewer.add_image(squares, name="b")
    assert chosen(widget) == "a"
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert "a labels" in widget.viewer.layers
    assert chosen(widget) == "b"
    assert widget.runner.result.text().startswith("3 objects in 'a' · ")
