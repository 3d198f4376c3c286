"""What is told of images that change while a run is on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]

REMOVED = "'{}' was removed during the run; its result was added all the same."


def run_while(widget: SegmentationWidget, gate: Any, qtbot: Any, act: Callable[[], object]) -> str:
    """Press Run, do something inside the run, and return what is said at its end."""
    widget.runner.run.click()
    qtbot.waitUntil(gate.entered.is_set, timeout=20_000)
    act()
    gate.release.set()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    return str(widget.message.text.text())


def test_a_removed_image_is_told_and_its_result_added(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    said = run_while(widget, gated, qtbot, widget.viewer.layers.clear)
    assert said == f"{REMOVED.format('cells')} {words.NO_IMAGE}"
    assert widget.message.badge.kind == "warning"
    assert widget.runner.result.text().startswith("3 objects in 'cells' · ")
    assert [layer.name for layer in widget.viewer.layers] == ["cells labels", "cells contours"]
    assert not widget.runner.run.isEnabled()


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("name", "tissue", "'cells' is called 'tissue' now; its result has the name of before."),
        ("scale", (2, 2), "'cells' was moved or scaled during the run; its result lies where it was before."),
        ("translate", (0, 9), "'cells' was moved or scaled during the run; its result lies where it was before."),
        ("units", ("um", "um"), "'cells' was moved or scaled during the run; its result lies where it was before."),
        (
            "data",
            np.zeros((48, 64), np.uint16),
            "The pixels of 'cells' were replaced during the run; its result is of those before.",
        ),
        ("contrast_limits", (0, 9), words.DONE),
    ],
)
def test_a_changed_image_is_told_and_the_result_is_of_before(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares, attribute: str, value: Any, said: str
) -> None:
    widget = make_widget(squares, model_choice=gated)
    cells = widget.viewer.layers["cells"]
    assert run_while(widget, gated, qtbot, lambda: setattr(cells, attribute, value)) == said
    labels = widget.viewer.layers["cells labels"]
    np.testing.assert_array_equal(labels.data > 0, squares > 0)
    np.testing.assert_array_equal(labels.data_to_world((5, 7)), (5, 7))


def test_of_several_images_the_one_that_went_is_told(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), ImageLayer(squares, name="b"), model_choice=gated)
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    said = run_while(widget, gated, qtbot, lambda: widget.viewer.layers.remove("b"))
    assert said.startswith(
        "'b' was removed during the run; its result was added all the same. 2 layers were segmented."
    )


def test_what_happened_before_a_run_is_not_told_after_it(
    make_widget: MakeWidget, gated: Any, press_run: Step, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    run_while(widget, gated, qtbot, lambda: setattr(widget.viewer.layers["cells"], "scale", (2, 2)))
    press_run(widget)
    assert widget.message.text.text() == words.DONE
