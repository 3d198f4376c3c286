"""Run again, and copy how a result was made: with the real window and a real, tiny model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication

from napari_unetseg.errors import UnetsegError
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.dock import result_actions
from napari_unetseg.plugin.dock.rerun import plan_rerun
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import RunRecipe, read_run_recipe

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def busy() -> Squares:
    return np.random.default_rng(3).integers(0, 900, (60, 70)).astype(np.uint16)


def press_again(widget: SegmentationWidget, qtbot: Any) -> None:
    widget.result_actions.rerun.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)


def clipboard() -> str:
    board = QApplication.clipboard()
    assert board is not None
    return str(board.text())


def test_run_again_gives_the_same_labels_whatever_the_rows_say(
    make_widget: MakeWidget, press_run: Step, qtbot: Any, busy: Squares
) -> None:
    widget = make_widget(busy)
    widget.adjust.threshold.setValue(0.42)
    widget.adjust.min_size.setValue(3)
    widget.adjust.split.setValue(0.9)
    press_run(widget)
    first = widget.viewer.layers["cells labels"].data.copy()
    widget.viewer.add_image(busy[:30, :30] * 0, name="other")
    widget.inputs.choose_layer(widget.viewer.layers["other"])
    widget.adjust.threshold.setValue(0.9)
    widget.object_size.diameter.setValue(40)
    widget.viewer.layers.selection.select_only(widget.viewer.layers["cells labels"])
    press_again(widget, qtbot)
    np.testing.assert_array_equal(widget.viewer.layers["cells labels [2]"].data, first)
    assert widget.adjust.threshold.value() == pytest.approx(0.42)
    assert widget.object_size.diameter.value() == 0
    assert widget.inputs.layer() is not None
    assert widget.inputs.layer().name == "cells"


def test_nothing_can_be_done_before_there_is_a_result(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    for button in (
        widget.result_actions.save,
        widget.result_actions.python,
        widget.result_actions.rerun,
        widget.result_actions.more,
    ):
        assert not button.isEnabled()
        assert button.toolTip() == result_actions._NOTHING


def test_the_selected_result_is_copied(
    make_widget: MakeWidget, press_run: Step, squares: Squares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.object_size.augment.setChecked(True)
    press_run(widget)
    widget.viewer.layers.selection.select_only(widget.viewer.layers["cells contours"])
    widget.result_actions.python.click()
    assert "augment=False," in clipboard()
    assert widget.message.text.text() == result_actions.COPIED_FOR_CONSOLE
    widget.viewer.layers.selection.select_only(widget.viewer.layers["cells"])
    widget.result_actions.line.trigger()
    assert "segment IMAGE --model" in clipboard()
    assert "--tta" in clipboard()
    monkeypatch.setattr(widget.result_actions, "_choose", lambda parent, name: tmp_path / f"{name}.yaml")
    widget.result_actions.recipe.trigger()
    recipe = read_run_recipe(tmp_path / "cells recipe.yaml")
    assert recipe == RunRecipe.of(widget.viewer.layers["cells labels [2]"].metadata[METADATA_KEY])


def test_a_record_that_says_too_little_is_told(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    del widget.viewer.layers["cells labels"].metadata[METADATA_KEY]["sha256"]
    widget.viewer.layers.selection.select_only(widget.viewer.layers["cells labels"])
    for button in (widget.result_actions.python, widget.result_actions.rerun):
        widget.message.show_message("")
        button.click()
        assert "not fully recorded" in widget.message.text.text()


def test_a_renamed_image_is_found_though_another_has_its_name_now(
    make_widget: MakeWidget, press_run: Step, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    layers = widget.viewer.layers
    layers["cells"].name = "nuclei"
    widget.viewer.add_image(squares[::-1, ::-1], name="cells")
    layers.selection.select_only(layers["cells labels"])
    press_again(widget, qtbot)
    np.testing.assert_array_equal(layers["nuclei labels"].data, layers["cells labels"].data)


@pytest.fixture
def record(segmentation: Any) -> dict[str, Any]:
    reported: dict[str, Any] = segmentation.provenance.as_dict()
    return reported | {"image": "cells", "plane": {}}


def test_the_image_of_the_result_is_found_again(record: dict[str, Any], squares: Squares) -> None:
    other, same = ImageLayer(squares, name="other"), ImageLayer(squares, name="cells")
    assert plan_rerun(record, [other, same], other)[1].source is same
    assert plan_rerun(record, [other], other)[1].source is other
    with pytest.raises(UnetsegError, match="'cells' is gone"):
        plan_rerun(record, [], None)


def test_the_same_plane_and_part_are_taken(record: dict[str, Any], squares: Squares) -> None:
    stack = ImageLayer(
        np.stack([squares * k for k in range(4)]), name="cells", scale=(2, 0.5, 0.5), translate=(9, 1, 0)
    )
    _, plane = plan_rerun(record | {"plane": {0: 3}, "region": [[4, 30], [2, 50]]}, [stack], None)
    np.testing.assert_array_equal(plane.read().array, (squares * 3)[4:30, 2:50])
    assert dict(plane.index) == {0: 3}


def test_a_whole_stack_of_one_channel_is_taken(record: dict[str, Any], squares: Squares) -> None:
    data = np.stack([[squares * (3 * t + c) for c in range(2)] for t in range(3)])
    layer = ImageLayer(data, name="cells")
    _, plane = plan_rerun(record | {"axes": "TYX", "plane": {1: 1}}, [layer], None)
    image = plane.read()
    assert image.axes == "TYX"
    np.testing.assert_array_equal(np.asarray(image.array), data[:, 1])


@pytest.mark.parametrize("change", [{"plane": {0: 1}}, {"axes": "ZYX"}, {"rgb": True, "axes": "YXC"}])
def test_an_image_of_other_axes_is_refused(record: dict[str, Any], squares: Squares, change: dict[str, Any]) -> None:
    with pytest.raises(UnetsegError, match="other axes"):
        plan_rerun(record | change, [ImageLayer(squares, name="cells")], None)


def test_a_plane_beyond_the_end_is_refused(record: dict[str, Any], squares: Squares) -> None:
    with pytest.raises(UnetsegError, match="other axes"):
        plan_rerun(record | {"plane": {0: 2}}, [ImageLayer(np.stack([squares] * 2), name="cells")], None)
