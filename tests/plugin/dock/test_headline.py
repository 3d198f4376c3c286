"""What the window says of a result and of the next run, in the real window with a real, tiny model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.plugin.dock.headline import ResultReport
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.result_summary import Summary
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.parameters import DecodeParameters

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]

UNSEEN = f"'cells' is hidden. {words.READY_UNSEEN}"


def line(widget: SegmentationWidget) -> str:
    """Return what is said in bold, without the time that the run took."""
    return str(widget.runner.result.text()).rpartition(" · ")[0]


def message(widget: SegmentationWidget) -> str:
    return str(widget.message.text.text())


def test_a_hidden_image_is_told_before_run_and_after(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    cells = widget.viewer.layers["cells"]
    cells.visible = False
    assert message(widget) == UNSEEN
    assert widget.message.badge.kind == "warning"
    assert widget.inputs.axes.text().startswith("'cells' is hidden. Y X · ")
    press_run(widget)
    assert line(widget) == "3 objects"
    assert message(widget) == "'cells' is hidden."
    cells.visible = True
    assert message(widget) == words.DONE
    assert widget.message.badge.kind == "plain"
    assert "hidden" not in widget.inputs.axes.text()


def test_an_image_under_another_is_told(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), ImageLayer(squares, name="b"))
    assert message(widget) == words.READY
    widget.viewer.layers.selection = {widget.viewer.layers["a"]}
    assert message(widget).startswith("'a' lies under 'b'.")
    widget.viewer.layers["b"].opacity = 0.5
    assert message(widget) == words.READY
    widget.viewer.layers["b"].opacity = 1
    widget.viewer.layers.reverse()
    assert message(widget) == words.READY


def test_of_several_layers_each_hidden_one_is_told(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(*(ImageLayer(squares, name=name, visible=name == "b") for name in "abc"))
    widget.inputs.run_on.choose(RunOn.SELECTED)
    widget.viewer.layers.selection = {widget.viewer.layers["a"], widget.viewer.layers["b"]}
    assert message(widget).startswith("'a' is hidden. Press")
    widget.viewer.layers.selection = set(widget.viewer.layers)
    assert message(widget).startswith("'a' is hidden. 'c' is hidden. Press")


def test_news_of_a_hidden_image_replaces_another_message(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.message.show_message("Copied.", "good")
    widget.viewer.dims.set_current_step(0, 1)
    assert message(widget) == "Copied."
    widget.viewer.layers["cells"].visible = False
    assert message(widget) == UNSEEN


def test_the_count_names_the_plane_and_goes_on_naming_it(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    stack = np.stack([np.zeros((2, *squares.shape), squares.dtype)] * 5)
    stack[3, 1] = squares
    widget = make_widget(ImageLayer(stack, name="cells", axis_labels=("z", "c", "y", "x")), model_choice=gated)
    widget.viewer.dims.set_current_step(0, 3)
    widget.viewer.dims.set_current_step(1, 1)
    widget.runner.run.click()
    qtbot.waitUntil(gated.entered.is_set, timeout=20_000)
    widget.viewer.dims.set_current_step(0, 0)
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert line(widget) == "3 objects in Z 4 of 5, channel 2 of 2"
    place = widget.viewer.layers["cells labels"].data_to_world((0, 0, 5, 5))
    assert place == widget.viewer.layers["cells"].data_to_world((3, 1, 5, 5))


def test_the_count_names_a_region(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    widget.viewer.add_shapes([[[2, 1], [2, 16], [17, 16], [17, 1]]], shape_type="rectangle")
    widget.inputs.run_on.choose(RunOn.RECTANGLE)
    press_run(widget)
    assert line(widget) == "1 object in region of 16 x 16 px"


def test_the_count_of_a_stack_is_that_of_all_planes(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(ImageLayer(np.stack([squares] * 3), name="cells", axis_labels=("z", "y", "x")))
    widget.inputs.run_on.choose(RunOn.STACK)
    press_run(widget)
    assert line(widget) == "9 objects"


def test_the_count_names_its_image_while_another_is_chosen(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    other = widget.viewer.add_image(squares, name="other", visible=False)
    assert line(widget) == "", "the sliders are about the next run, on an image without results"
    assert message(widget).startswith("'other' is hidden.")
    widget.viewer.layers.selection.active = widget.viewer.layers["cells labels"]
    assert line(widget) == "3 objects in 'cells'"
    widget.viewer.layers.remove(other)
    assert line(widget) == "3 objects"


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        (["cells labels"], "3 objects"),
        (["cells contours"], "3 objects"),
        (["cells labels", "cells contours"], "3 objects"),
        (["cells labels", "cells contours", "cells confidence"], ""),
    ],
)
def test_the_count_goes_with_the_last_layer_of_its_result(
    make_widget: MakeWidget, press_run: Step, squares: Squares, removed: list[str], said: str
) -> None:
    widget = make_widget(squares)
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    for name in removed:
        widget.viewer.layers.remove(name)
    assert line(widget) == said
    assert message(widget) == (words.DONE if said else words.READY)


def test_the_button_of_an_empty_result_goes_with_it(make_widget: MakeWidget, press_run: Step) -> None:
    image = np.zeros((32, 32), np.uint8)
    image[4:12, 4:12], image[20, 20] = 90, 200
    widget = make_widget(image)
    widget.adjust.min_size.setValue(9)
    press_run(widget)
    assert line(widget) == "0 objects"
    assert not widget.message.action.isHidden()
    widget.viewer.layers["cells"].visible = False
    assert not widget.message.action.isHidden(), "it still applies"
    for name in ("cells labels", "cells contours"):
        widget.viewer.layers.remove(name)
    assert widget.message.action.isHidden()


def test_a_result_that_stands_alone_keeps_its_count(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.viewer.layers.remove("cells")
    assert line(widget) == "3 objects in 'cells'"
    assert message(widget) == words.NO_IMAGE
    widget.viewer.layers.clear()
    assert line(widget) == ""


def test_a_count_of_before_an_edit_is_not_shown(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.viewer.layers["cells labels"].paint((30, 10), 7)
    assert line(widget) == "Objects changed by hand"
    widget.update_result()
    settle(widget)
    assert line(widget) == "4 objects"


def test_an_older_count_does_not_stand_over_a_run_that_was_cancelled(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.controller.progressed.connect(lambda *_: widget.runner.cancel.click())
    press_run(widget)
    assert message(widget).startswith("Cancelled at ")
    assert line(widget) == ""
    widget.adjust.min_size.setValue(30)
    settle(widget)
    assert line(widget) == "2 objects"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.ones((1, 1), np.uint8), "0 objects"),
        (np.full((32, 32), np.nan), "0 objects"),
        (np.where(np.arange(48) < 9, 250, 0)[None, :, None].repeat(40, 0).repeat(3, 2).astype(np.uint8), "1 object"),
        (np.zeros((3, 9, 40, 48), bool) | (np.arange(48) < 9), "1 object in Z 5 of 9, channel 2 of 3"),
        (np.zeros((7, 1, 9, 40, 48), bool) | (np.arange(48) < 9), "1 object in T 4 of 7, Z 5 of 9"),
    ],
    ids=["one pixel", "not a number", "RGB", "channels of a stack", "five axes"],
)
def test_the_count_of_any_image_says_what_it_is_of(
    make_widget: MakeWidget, press_run: Step, image: Any, said: str
) -> None:
    widget = make_widget(image)
    press_run(widget)
    assert line(widget) == said


def test_without_an_output_run_says_what_to_tick(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    boxes = widget.adjust.outputs
    for box in boxes.values():
        box.setChecked(False)
    assert not widget.runner.run.isEnabled()
    assert message(widget) == widget.runner.run.toolTip() == words.NO_OUTPUT
    widget.run()
    assert not widget.controller.running
    boxes["contours"].setChecked(True)
    assert message(widget) == words.READY
    press_run(widget)
    boxes["contours"].setChecked(False)
    widget.result_actions.rerun.click()
    assert not widget.controller.running
    assert message(widget).startswith(words.NO_OUTPUT)


def test_a_result_that_is_selected_is_summed_up(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    assert widget.result is not None
    older = ResultReport(widget.result, Summary(0, highest=0.3, suggestion=0.25), DecodeParameters(), 1.0)
    widget.headline.select(older)
    assert line(widget) == "0 objects"
    assert not widget.message.action.isHidden()
    widget.message.show_message("Copied.", "good")
    widget.headline.select(None)
    assert line(widget) == ""
    assert message(widget) == "Copied."
