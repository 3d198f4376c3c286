"""Two models on one image, through the window and its buttons."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_unetseg.layer_style import PREVIEW_KEY
from napari_unetseg.plugin.comparison.comparing import Comparing
from napari_unetseg.plugin.comparison.comparison_layers import step_aside
from napari_unetseg.plugin.comparison.comparison_words import KINDS
from napari_unetseg.plugin.layers.result_layers import unwrapped
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.label_differences import Difference
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]


class ChangedService:
    """The real service, whose second answer lacks the first square, has a larger second, and one more in a corner."""

    def __init__(self, service: SegmentationService) -> None:
        self._service, self.calls, self.options = service, 0, dict[str, Any]()

    def segment(self, image: Any, **options: Any) -> Any:
        self.calls += 1
        result = self._service.segment(image, **options)
        if self.calls == 1:
            return result
        self.options = options
        labels = np.zeros_like(result.labels)
        labels[16:30, 28:38] = 1
        labels[..., 40:44, 50:54] = 2
        labels[..., 0:4, 60:64] = 3
        return replace(result, labels=labels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@pytest.fixture
def changed(service: SegmentationService) -> ChangedService:
    return ChangedService(service)


@pytest.fixture
def result(
    make_widget: MakeWidget,
    squares: NDArray[np.uint16],
    press_run: Step,
    changed: ChangedService,
    package: ModelPackage,
) -> SegmentationWidget:
    """A window with a result and the window of the comparison."""
    image = ImageLayer(squares, name="cells", scale=(2, 2), translate=(10, 20))
    widget = make_widget(image, model_choice=changed)
    widget.comparing._models = lambda: [package]
    press_run(widget)
    widget.comparing.open()
    return widget


@pytest.fixture
def press_compare(qtbot: Any) -> Step:
    def press(widget: SegmentationWidget) -> None:
        dialog = widget.comparing.dialog
        assert dialog is not None
        qtbot.mouseClick(dialog.compare, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not widget.comparing.busy, timeout=60_000)

    return press


def layer(widget: SegmentationWidget, name: str) -> Any:
    (found,) = [one for one in widget.viewer.layers if one.name == name]
    return unwrapped(found)


def dialog_of(widget: SegmentationWidget) -> Any:
    assert widget.comparing.dialog is not None
    return widget.comparing.dialog


def test_figures_layers_and_colours(result: SegmentationWidget, press_compare: Step) -> None:
    press_compare(result)
    dialog = dialog_of(result)
    counts = {kind: label.text() for kind, label in dialog.counts.items()}
    assert counts == dict.fromkeys(KINDS, "0") | {
        Difference.ONLY_FIRST: "1",
        Difference.ONLY_SECOND: "1",
        Difference.OUTLINE: "1",
    }
    # One of five objects is in both.
    assert dialog.agreement.text() == "0.20"
    assert [label.text() for label in dialog.figures["objects"]] == ["3", "3"]
    differences = layer(result, "cells differences")
    assert set(np.unique(differences.data)) == {0, 1, 2, 6}
    assert differences.data[5, 5] == Difference.ONLY_FIRST
    assert list(differences.features["difference"])[:2] == ["Only in the first", "Only in the second"]
    # What is chosen to run on, and what is selected, stay so.
    assert result.inputs.layer().name == "cells"
    assert result.viewer.layers.selection.active.name == "cells labels"


def test_layers_lie_side_by_side_or_on_the_image(result: SegmentationWidget, press_compare: Step, qtbot: Any) -> None:
    press_compare(result)
    first, second = layer(result, "cells labels"), layer(result, "cells labels of Bright objects")
    width = 64 * 2
    for name, number in (("cells [2]", 1), ("cells labels of Bright objects", 1), ("cells differences", 2)):
        moved = layer(result, name).translate - first.translate
        np.testing.assert_allclose(moved, (0, number * 1.04 * width))
    assert layer(result, "cells [2]").data is layer(result, "cells").data
    assert second.contour == 0
    qtbot.mouseClick(dialog_of(result).beside, Qt.MouseButton.LeftButton, pos=dialog_of(result).beside.rect().center())
    if dialog_of(result).beside.isChecked():  # some styles take a click on the box alone
        dialog_of(result).beside.click()
    np.testing.assert_allclose(second.translate, first.translate)
    assert second.contour > 0
    assert not layer(result, "cells [2]").visible


def test_again_replaces_what_was_shown(result: SegmentationWidget, press_compare: Step) -> None:
    press_compare(result)
    before = [one.name for one in result.viewer.layers]
    press_compare(result)
    assert [one.name for one in result.viewer.layers] == before


def test_edits_of_the_first_result_count(result: SegmentationWidget, press_compare: Step) -> None:
    with layer(result, "cells labels").block_history():
        layer(result, "cells labels").data[4:12, 4:12] = 0
        layer(result, "cells labels").events.paint(value=[])
    press_compare(result)
    assert dialog_of(result).counts[Difference.ONLY_FIRST].text() == "0"


def test_a_layer_of_true_objects_scores_both(
    result: SegmentationWidget, press_compare: Step, squares: NDArray[np.uint16]
) -> None:
    truth = np.zeros(squares.shape, np.int32)
    truth[4:12, 4:12], truth[20:26, 30:36], truth[40:44, 50:54] = 5, 6, 7
    # A larger layer, of which the image is a part.
    larger = np.pad(truth, ((3, 2), (4, 1)))
    result.viewer.add_layer(Labels(larger, name="true", scale=(2, 2), translate=(10 - 6, 20 - 8)))
    dialog = dialog_of(result)
    assert dialog.truth.currentText() == "true"
    result.viewer.layers.selection.active = result.viewer.layers["cells labels"]
    press_compare(result)
    assert [label.text() for label in dialog.figures["ap50"]] == ["1.00", "0.20"]
    assert dialog.figures["dice"][0].text() == "1.00"


def test_a_mask_says_nothing_of_objects(result: SegmentationWidget, press_compare: Step) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[4:12, 4:12] = mask[20:26, 30:36] = 1
    result.viewer.add_layer(Labels(mask, name="mask", scale=(2, 2), translate=(10, 20)))
    result.viewer.layers.selection.active = result.viewer.layers["cells labels"]
    press_compare(result)
    dialog = dialog_of(result)
    assert [label.text() for label in dialog.figures["ap50"]] == ["\N{EN DASH}"] * 2
    assert dialog.figures["dice"][0].text() == "0.93"
    assert "one value only" in dialog.message.text.text()


def test_labels_elsewhere_and_previews_are_not_offered(result: SegmentationWidget) -> None:
    result.viewer.add_layer(Labels(np.zeros((48, 64), np.int32), name="elsewhere", translate=(500, 0)))
    result.viewer.add_layer(Labels(np.zeros((4, 48, 64), np.int32), name="stack", scale=(1, 2, 2)))
    preview = {"metadata": {PREVIEW_KEY: True}, "scale": (2, 2), "translate": (10, 20)}
    result.viewer.add_layer(Labels(np.zeros((48, 64), np.int32), name="outlines of what is learnt", **preview))
    result.viewer.layers.selection.active = result.viewer.layers["cells labels"]
    assert dialog_of(result).truth.count() == 1


def test_the_settings_of_the_first_can_be_used(
    result: SegmentationWidget, press_compare: Step, changed: ChangedService, settle: Step
) -> None:
    result.adjust.threshold.setValue(0.7)
    settle(result)
    press_compare(result)
    assert "threshold" not in changed.options
    dialog_of(result).settings.setCurrentIndex(1)
    press_compare(result)
    assert changed.options["threshold"] == 0.7


def test_next_shows_a_place(result: SegmentationWidget, press_compare: Step, qtbot: Any) -> None:
    press_compare(result)
    dialog_of(result).beside.setChecked(False)
    qtbot.mouseClick(dialog_of(result).next[Difference.ONLY_SECOND], Qt.MouseButton.LeftButton)
    viewer = result.viewer
    row, column = getattr(viewer, "scene", viewer).camera.center[-2:]
    assert 10 <= row <= 10 + 2 * 4
    assert 20 + 2 * 60 <= column <= 20 + 2 * 64
    assert not dialog_of(result).next[Difference.SPLIT].isEnabled()


def test_cancel_adds_nothing(
    make_widget: MakeWidget, squares: NDArray[np.uint16], press_run: Step, gated: Any, package: ModelPackage, qtbot: Any
) -> None:
    gated.release.set()
    widget = make_widget(squares, model_choice=gated)
    press_run(widget)
    widget.comparing._models = lambda: [package]
    widget.comparing.open()
    names = [one.name for one in widget.viewer.layers]
    gated.entered.clear()
    gated.release.clear()
    dialog = dialog_of(widget)
    qtbot.mouseClick(dialog.compare, Qt.MouseButton.LeftButton)
    assert gated.entered.wait(20)
    qtbot.mouseClick(dialog.cancel, Qt.MouseButton.LeftButton)
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.comparing.busy, timeout=60_000)
    assert "Cancelled" in dialog.message.text.text()
    assert [one.name for one in widget.viewer.layers] == names


def test_a_result_that_was_removed_meanwhile(
    make_widget: MakeWidget, squares: NDArray[np.uint16], press_run: Step, gated: Any, package: ModelPackage, qtbot: Any
) -> None:
    gated.release.set()
    widget = make_widget(squares, model_choice=gated)
    press_run(widget)
    widget.comparing._models = lambda: [package]
    widget.comparing.open()
    gated.entered.clear()
    gated.release.clear()
    qtbot.mouseClick(dialog_of(widget).compare, Qt.MouseButton.LeftButton)
    assert gated.entered.wait(20)
    for one in list(widget.viewer.layers)[1:]:
        widget.viewer.layers.remove(one)
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.comparing.busy, timeout=60_000)
    assert "removed meanwhile" in dialog_of(widget).message.text.text()
    assert [one.name for one in widget.viewer.layers] == ["cells"]


def test_without_a_result_it_says_what_to_do(make_widget: MakeWidget, squares: NDArray[np.uint16]) -> None:
    widget = make_widget(squares)
    widget.comparing.open()
    dialog = dialog_of(widget)
    assert "Run a model" in dialog.first.text()
    assert not dialog.compare.isEnabled()


def test_a_region_of_a_plane_of_a_stack_and_one_after_another(
    make_widget: MakeWidget, press_run: Step, changed: ChangedService, package: ModelPackage, press_compare: Step
) -> None:
    stack = np.zeros((3, 48, 64), np.uint16)
    stack[:, 4:12, 4:12] = stack[:, 20:26, 30:36] = 1000
    widget = make_widget(ImageLayer(stack, name="cells", axis_labels=("z", "y", "x")), model_choice=changed)
    press_run(widget)
    widget.comparing._models = lambda: [package]
    widget.comparing.open()
    press_compare(widget)
    assert layer(widget, "cells differences").data.shape == (1, 48, 64)
    assert dialog_of(widget).counts[Difference.ONLY_FIRST].text() == "1"


def test_a_turned_image_is_passed_by() -> None:
    """Whatever its transform, a step puts a copy clear of the image, along one axis of the world."""
    turned = ImageLayer(np.zeros((30, 50)), rotate=30, scale=(2, 3), affine=[[0, 2, 5], [2, 0, 7], [0, 0, 1]])
    from napari_unetseg.plugin.layers.axes import guess
    from napari_unetseg.plugin.layers.plane import plane_at

    plane = plane_at(turned, {}, guess(turned, (0, 1)))
    copy = ImageLayer(turned.data, rotate=30, scale=(2, 3), affine=turned.affine.affine_matrix)
    copy.translate = turned.translate + step_aside(plane)
    extent, moved = turned.extent.world, copy.extent.world
    assert moved[0, 1] > extent[1, 1]
    np.testing.assert_allclose(moved[:, 0], extent[:, 0], atol=1e-6)


def test_closing_the_panel_closes_the_window(result: SegmentationWidget, press_compare: Step) -> None:
    press_compare(result)
    comparing: Comparing = result.comparing
    comparing.stop()
    assert comparing.dialog is None
    result.viewer.layers.remove(result.viewer.layers["cells differences"])
