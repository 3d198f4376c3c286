"""Stacks, regions and several layers in the real window, with a real, tiny model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import Segmentation, SegmentationService

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def volume(squares: Squares) -> NDArray[np.uint16]:
    """Three planes in which the squares move to the right."""
    return np.stack([np.roll(squares, step, axis=1) for step in range(3)])


def names(widget: SegmentationWidget) -> list[str]:
    return [layer.name for layer in widget.viewer.layers]


def test_a_stack_gives_one_layer_of_each_kind(make_widget: MakeWidget, press_run: Step, volume: Any) -> None:
    source = ImageLayer(np.stack([volume, volume + 1], axis=1), name="cells", axis_labels=("z", "c", "y", "x"))
    widget = make_widget(source)
    widget.inputs.run_on.choose(RunOn.STACK)
    widget.viewer.dims.set_current_step(1, 0)
    assert widget.inputs.axes.text().startswith("Z 3 · channel 1 of 2 · Y X")
    widget.adjust.outputs["confidence"].setChecked(True)
    press_run(widget)
    labels, contours = widget.viewer.layers["cells labels"], widget.viewer.layers["cells contours"]
    assert labels.data.shape == (3, 1, *volume.shape[1:])
    np.testing.assert_array_equal(labels.data[:, 0] > 0, volume > 0)
    assert sorted(labels.features["z"]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [int(ring[0, 0]) for ring in contours.data] == sorted(labels.features["z"])
    assert widget.viewer.layers["cells confidence"].data.shape == labels.data.shape
    assert widget.runner.result.text().startswith("9 objects")


def test_the_sliders_act_on_a_stack(make_widget: MakeWidget, press_run: Step, settle: Step, volume: Any) -> None:
    widget = make_widget(ImageLayer(volume, name="cells", axis_labels=("t", "y", "x")))
    widget.inputs.run_on.choose(RunOn.STACK)
    widget.inputs.link.setChecked(True)
    press_run(widget)
    labels = widget.viewer.layers["cells labels"]
    assert [sorted(np.unique(plane)) for plane in labels.data] == [[0, 1, 2, 3]] * 3
    widget.adjust.min_size.setValue(30)
    settle(widget)
    assert [sorted(np.unique(plane)) for plane in labels.data] == [[0, 1, 2]] * 3


def test_a_rectangle_is_segmented_where_it_lies(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(ImageLayer(squares, name="cells", scale=(0.5, 0.5), translate=(3, 4)))
    widget.viewer.add_shapes([[[4.5, 4.5], [4.5, 12.0], [12.0, 12.0], [12.0, 4.5]]], shape_type="rectangle")
    widget.inputs.run_on.choose(RunOn.RECTANGLE)
    press_run(widget)
    labels = widget.viewer.layers["cells labels"]
    assert labels.data.shape == (16, 16)
    np.testing.assert_allclose(labels.data_to_world((0, 0)), (4.5, 4.5))
    np.testing.assert_array_equal(labels.data > 0, squares[3:19, 1:17] > 0)
    assert labels.metadata["napari_unetseg"]["region"] == [[3, 19], [1, 17]]


class Picky:
    """A real service that refuses one image."""

    def __init__(self, service: SegmentationService) -> None:
        self._service = service

    def segment(self, image: Any, **settings: Any) -> Segmentation:
        if image.name == "bad":
            raise ImageError("bad: damaged.")
        return self._service.segment(image, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


def test_a_bad_layer_is_named_and_the_others_are_done(
    make_widget: MakeWidget, press_run: Step, squares: Squares, service: SegmentationService
) -> None:
    images = [ImageLayer(squares, name=name) for name in ("first", "bad", "last")]
    widget = make_widget(*images, model_choice=Picky(service))
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert {"first labels", "last labels"} <= set(names(widget))
    assert "bad labels" not in names(widget)
    text = widget.message.text.text()
    assert "'bad' was not segmented: bad: damaged." in text
    assert "2 layers were segmented" in text
    assert widget.message.badge.kind == "warning"
    assert widget.inputs.layer() is images[-1], "the sliders act on the image that is chosen"


def test_several_layers_without_a_fault_give_no_warning(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), ImageLayer(squares, name="b"))
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert widget.message.text.text().startswith("2 layers were segmented.")
    assert widget.message.badge.kind == "plain"


def test_of_several_layers_one_without_objects_has_its_result_too(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares * 0, name="empty"), ImageLayer(squares, name="full"))
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert {"empty labels", "full labels"} <= set(names(widget))


def test_cancel_keeps_the_layers_that_are_finished(
    make_widget: MakeWidget, gated: Any, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), ImageLayer(squares, name="b"), model_choice=gated)
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)

    def cancel_the_second() -> None:
        current = widget.controller.current_layer
        if current is not None and current.number == 2:
            gated.release.clear()
            widget.runner.cancel.click()
            gated.release.set()

    gated.release.set()
    widget.controller.stage.connect(cancel_the_second)
    widget.runner.run.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert "a labels" in names(widget)
    assert "b labels" not in names(widget)
    assert "1 layer was finished and is kept" in widget.message.text.text()


def test_what_does_not_apply_is_greyed_and_refused(make_widget: MakeWidget, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(squares)
    box = widget.inputs.run_on
    enabled = {choice: bool(box.model().item(row).isEnabled()) for choice, row in _rows(box).items()}
    assert enabled == {
        RunOn.PLANE: True,
        RunOn.STACK: False,
        RunOn.STORED: True,
        RunOn.VISIBLE: True,
        RunOn.RECTANGLE: False,
        RunOn.SELECTED: False,
        RunOn.FOLDER: False,
    }
    box.choose(RunOn.STACK)
    widget.runner.run.click()
    assert not widget.controller.running
    assert "one plane" in widget.message.text.text()


def test_the_folder_entry_is_a_command(make_widget: MakeWidget, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(squares)
    box = widget.inputs.run_on
    row = _rows(box)[RunOn.FOLDER]
    box.showPopup()
    assert box.model().item(row).isEnabled()
    with qtbot.waitSignal(widget.inputs.run_on.folder_requested):
        box.setCurrentIndex(row)
        box.activated.emit(row)
    box.hidePopup()
    assert box.choice() is RunOn.PLANE


def test_a_click_on_the_axes_changes_how_they_are_read(make_widget: MakeWidget, volume: Any, qtbot: Any) -> None:
    from napari_unetseg.plugin.dock.axes_row import AxesDialog

    widget = make_widget(volume)
    assert widget.inputs.axes.text().startswith("channel 2 of 3")
    widget.inputs.axes.pressed.emit()
    dialog = widget.inputs.findChild(AxesDialog)
    assert dialog is not None
    dialog.boxes[0].setCurrentIndex(dialog.boxes[0].findData("Y"))
    ok = dialog.buttons.button(dialog.buttons.StandardButton.Ok)
    assert not ok.isEnabled()
    dialog.boxes[0].setCurrentIndex(dialog.boxes[0].findData("T"))
    ok.click()
    assert widget.inputs.axes.text().startswith("T 2 of 3 · Y X")
    assert widget.inputs.run_on.model().item(_rows(widget.inputs.run_on)[RunOn.STACK]).isEnabled()


def _rows(box: Any) -> dict[RunOn, int]:
    return {choice: row for row in range(box.count()) for choice in RunOn if box.itemData(row) == choice}
