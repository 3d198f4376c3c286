"""Click to fix in a real window, by mouse and keys."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils.key_bindings import KeyBinding
from napari.utils.shortcuts import default_shortcuts
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.fixing import fixer
from napari_unetseg.plugin.fixing.tools import TOOLS
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.postprocessing.fixes import Fix

Cells = NDArray[np.uint16]
Hand = Any
MakeHand = Callable[..., Hand]


def record(hand: Hand, name: str = "cells labels") -> Any:
    return hand.layer(name).metadata[METADATA_KEY]


def kinds(hand: Hand, name: str = "cells labels") -> list[str]:
    return [fix["kind"] for fix in record(hand, name).get("fixes", [])]


def agree(hand: Hand, labels: list[int]) -> None:
    assert hand.objects() == {"labels": labels, "contours": labels, "table": labels}


def test_what_is_fixed_is_shown_counted_and_recorded_and_undone_with_all_of_it(hand: Hand) -> None:
    agree(hand, [1, 2, 3])
    hand.key("D")
    hand.click(7, 7)
    agree(hand, [2, 3])
    hand.key("N")
    hand.click(7, 43)
    agree(hand, [2, 3, 4])
    assert (hand.layer().data[4:12, 40:48] == 4).all()
    assert hand.bar.count.text() == "1 added, 1 removed"
    assert kinds(hand) == kinds(hand, "cells contours") == ["remove", "add"]
    assert record(hand)["fixes"][0]["parameters"] == record(hand)["parameters"]
    assert hand.widget.runner.result.text().startswith("3 objects")
    hand.undo()
    hand.undo()
    agree(hand, [1, 2, 3])
    assert (hand.bar.count.text(), kinds(hand), kinds(hand, "cells contours")) == ("", [], [])
    assert not hand.bar.undo.isEnabled()
    hand.redo()
    agree(hand, [2, 3])
    assert (hand.bar.count.text(), kinds(hand)) == ("1 removed", ["remove"])
    hand.key("N")
    hand.click(7, 43)
    assert kinds(hand) == ["remove", "add"], "what was undone and then replaced is gone for good"
    assert not hand.bar.redo.isEnabled()


def test_the_buttons_undo_and_redo_whichever_layer_is_active(hand: Hand) -> None:
    for active in ("cells labels", "cells contours", "cells"):
        hand.viewer.layers.selection.active = hand.layer(active)
        QTest.mouseClick(hand.bar.buttons["remove"], Qt.MouseButton.LeftButton)
        hand.click(23, 33)
        agree(hand, [1, 3])
        hand.undo()
        agree(hand, [1, 2, 3])
        QTest.mouseClick(hand.bar.redo, Qt.MouseButton.LeftButton)
        hand.settle()
        agree(hand, [1, 3])
        QTest.mouseClick(hand.bar.undo, Qt.MouseButton.LeftButton)
        hand.settle()
        agree(hand, [1, 2, 3])
        QTest.mouseClick(hand.bar.buttons["remove"], Qt.MouseButton.LeftButton)
        assert not hand.bar.buttons["remove"].isChecked(), "pressed again it is put down"


def test_fixes_stay_when_a_slider_moves_and_keep_their_parameters(hand: Hand) -> None:
    before = record(hand)["parameters"]
    hand.key("N")
    hand.click(7, 43)
    hand.key("D")
    hand.click(7, 7)
    hand.widget.adjust.min_size.setValue(20)
    hand.settle()
    labels = hand.layer().data
    assert not labels[4:12, 4:12].any(), "removed stays removed"
    assert (labels[4:12, 40:48] > 0).all(), "added stays"
    assert not labels[40:44, 50:54].any(), "and the slider acts on the others"
    assert kinds(hand) == ["add", "remove"]
    assert all(fix["parameters"] == before for fix in record(hand)["fixes"])
    assert hand.bar.count.text() == "1 added, 1 removed"
    hand.click(7, 43)
    assert kinds(hand) == ["add", "remove", "remove"]
    assert record(hand)["fixes"][2]["parameters"]["min_size"] == 20
    hand.undo()
    assert kinds(hand) == ["add", "remove"], "what was before the slider's movement is not undone"


def test_a_run_that_is_repeated_repeats_what_was_fixed_and_takes_more(hand: Hand) -> None:
    hand.key("D")
    hand.click(7, 7)
    hand.widget.result_actions.rerun.click()
    hand.wait_for_run()
    again = hand.layer("cells labels [2]")
    assert set(np.unique(again.data)) == {0, 1, 2}
    assert kinds(hand, "cells labels [2]") == ["remove"]
    hand.click(23, 33)
    assert kinds(hand, "cells labels [2]") == ["remove", "remove"]
    hand.widget.adjust.threshold.setValue(0.3)
    hand.settle()
    assert again.data[7, 7] == again.data[23, 33] == 0
    assert kinds(hand, "cells labels [2]") == ["remove", "remove"]


def test_one_may_paint_beside_and_all_follows(hand: Hand) -> None:
    hand.key("D")
    hand.click(7, 7)
    labels: Labels = hand.layer()
    labels.mode = "paint"
    assert not any(button.isChecked() for button in hand.bar.buttons.values()), "napari's tools put ours down"
    labels.selected_label = 9
    labels.brush_size = 5
    hand.click(30, 10)
    agree(hand, [2, 3, 9])
    assert kinds(hand) == ["remove"]
    assert hand.widget.runner.result.text().startswith("3 objects")
    hand.undo()
    agree(hand, [2, 3])
    hand.undo()
    agree(hand, [1, 2, 3])
    labels.mode = "paint"
    hand.key("D")
    assert labels.mode == "pan_zoom", "and ours theirs"


def test_measurements_are_those_of_a_result_that_is_measured_as_a_whole(hand: Hand) -> None:
    hand.key("N")
    hand.click(7, 43)
    followed = hand.layer().features.sort_values("index", ignore_index=True)
    hand.widget.update_result()
    hand.settle()
    whole = hand.layer().features
    columns = [name for name in whole.columns if name != "index"]
    by_place = ["centroid_y_px", "centroid_x_px"]
    for name in columns:
        one = followed.sort_values(by_place)[name].to_numpy()
        np.testing.assert_array_equal(one, whole.sort_values(by_place)[name].to_numpy(), err_msg=name)


def test_two_quick_clicks_are_two_and_do_not_zoom(hand: Hand) -> None:
    hand.key("D")
    zoom = hand.viewer.scene.camera.zoom
    at = hand.place(7, 7)
    QTest.mouseClick(hand.canvas, Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseDClick(hand.canvas, Qt.MouseButton.LeftButton, pos=at)
    hand.settle()
    agree(hand, [2, 3])
    assert hand.viewer.scene.camera.zoom == zoom
    hand.key("Escape")
    QTest.mouseDClick(hand.canvas, Qt.MouseButton.LeftButton, pos=at)
    assert hand.viewer.scene.camera.zoom == 2 * zoom, "without a tool it is napari's"


def test_a_drag_with_a_tool_for_clicks_is_left_to_the_camera(hand: Hand) -> None:
    hand.key("D")
    hand.press(hand.place(7, 7))
    hand.move(hand.place(12, 12))
    assert hand.viewer.scene.camera.mouse_pan
    hand.release(hand.place(20, 20))
    agree(hand, [1, 2, 3])


def test_a_line_holds_the_camera_and_escape_breaks_it_off(hand: Hand) -> None:
    hand.key("S")
    hand.press(hand.place(2, 8))
    for row in (5, 9, 13):
        hand.move(hand.place(row, 8))
    assert hand.widget.fixing.gestures._line.isVisible()
    assert not hand.viewer.scene.camera.mouse_pan
    hand.key("Escape")
    assert not hand.widget.fixing.gestures._line.isVisible()
    assert hand.bar.buttons["split"].isChecked(), "the line is broken off, the tool stays"
    hand.release(hand.place(14, 8))
    assert hand.viewer.scene.camera.mouse_pan, "the camera has its mouse back"
    agree(hand, [1, 2, 3])
    hand.click(8, 8)
    assert hand.bar.badge.kind == "warning", "a click draws no line"
    hand.key("Escape")
    assert not hand.bar.buttons["split"].isChecked()


@pytest.mark.parametrize("active", ["cells labels", "cells contours", "cells"])
def test_lines_split_and_merge(hand: Hand, active: str) -> None:
    hand.viewer.layers.selection.active = hand.layer(active)
    hand.key("S")
    hand.draw((2, 7.5), (14, 7.5))
    agree(hand, [1, 2, 3, 4])
    assert {hand.layer().data[7, 5], hand.layer().data[7, 10]} == {1, 4}
    hand.key("J")
    hand.draw((7, 5), (7, 10))
    agree(hand, [1, 2, 3])
    assert (hand.layer().data[4:12, 4:12] == 1).all()
    assert hand.bar.count.text() == "1 split, 1 merged"
    hand.undo()
    hand.undo()
    agree(hand, [1, 2, 3])


def test_grow_and_shrink(hand: Hand) -> None:
    size = np.count_nonzero(hand.layer().data == 1)
    hand.key("K")
    hand.click(7, 7)
    smaller = np.count_nonzero(hand.layer().data == 1)
    hand.key("G")
    hand.click(7, 7)
    assert smaller < size or hand.bar.badge.kind == "warning"
    assert np.count_nonzero(hand.layer().data == 1) >= smaller


def test_letters_are_none_of_naparis_for_labels_and_text_fields_keep_them(hand: Hand) -> None:
    theirs = {str(key) for name, keys in default_shortcuts.items() if "label" in name for key in keys}
    theirs |= {str(KeyBinding.from_str(str(key))) for key in Labels.class_keymap}
    theirs |= {str(key) for key in default_shortcuts["napari:toggle_selected_visibility"]}
    assert not theirs & {tool.key for tool in TOOLS}
    search = QLineEdit(hand.bar)
    search.show()
    search.setFocus()
    QTest.keyClicks(search, "DnG")
    assert search.text() == "DnG"
    assert not any(button.isChecked() for button in hand.bar.buttons.values())


def test_hovering_names_the_object(hand: Hand) -> None:
    hand.key("D")
    hand.move(hand.place(7, 7), pressed=False)
    assert hand.bar.hint.text().endswith("object 1")
    hand.move(hand.place(30, 7), pressed=False)
    assert "object 1" not in hand.bar.hint.text()


def test_a_click_on_nothing_says_why_until_the_next_one(hand: Hand) -> None:
    hand.key("D")
    hand.click(30, 10)
    assert hand.bar.badge.kind == "warning"
    agree(hand, [1, 2, 3])
    hand.click(7, 7)
    assert hand.bar.badge.kind == "plain"


def test_why_nothing_can_be_fixed_is_said(hand: Hand) -> None:
    viewer = hand.viewer
    hand.key("D")
    viewer.dims.ndisplay = 3
    hand.settle()
    assert "flat view" in hand.bar.hint.text()
    viewer.dims.ndisplay = 2
    hand.settle()
    assert hand.bar.badge.kind == "plain"
    for name in ("cells labels", "cells contours"):
        hand.layer(name).visible = False
    hand.click(7, 7)
    assert "hidden" in hand.bar.hint.text()
    hand.layer("cells contours").visible = True
    hand.click(7, 7)
    hand.layer().visible = True
    agree(hand, [2, 3])
    viewer.layers.remove(hand.layer())
    hand.click(23, 33, hand.layer("cells"))
    assert "Tick Labels" in hand.bar.hint.text()
    assert kinds(hand, "cells contours") == [], "what the layer alone had went with it"
    hand.widget.adjust.outputs["labels"].click()
    hand.settle()
    hand.click(23, 33)
    assert kinds(hand) == ["remove"]
    assert not hand.layer().data[20:26, 30:36].any()
    viewer.layers.clear()
    hand.settle()
    assert "no result" in hand.bar.hint.text()


def test_without_a_result_or_with_a_stack_it_says_so(make_hand: MakeHand, cells: Cells) -> None:
    stack = ImageLayer(np.stack([cells, cells]), name="cells", axis_labels=("z", "y", "x"))
    hand = make_hand(stack, run=False)
    hand.widget.fixing.open()
    assert "no result" in hand.bar.hint.text()
    hand.widget.inputs.run_on.choose(RunOn.STACK)
    hand.run()
    assert "stack" in hand.bar.hint.text()
    hand.widget.inputs.run_on.choose(RunOn.PLANE)
    hand.run()
    plane = hand.viewer.layers.selection.active
    hand.key("D")
    hand.viewer.dims.set_current_step(0, 1 - hand.viewer.dims.current_step[0])
    hand.click(7, 7, plane)
    assert "another plane" in hand.bar.hint.text()
    hand.viewer.dims.set_current_step(0, 1 - hand.viewer.dims.current_step[0])
    hand.click(7, 7, plane)
    assert sorted(np.unique(plane.data)) == [0, 2, 3]


def test_a_click_finds_its_object_wherever_the_image_lies(make_hand: MakeHand, cells: Cells) -> None:
    placed = {"scale": (0.5, 0.25), "translate": (10, -20), "units": ("um", "um")}
    hand = make_hand(ImageLayer(cells, name="cells", **placed))
    hand.viewer.add_image(np.zeros((9, 9)), name="other", units=("nm", "nm"), scale=(100, 100))
    hand.viewer.layers.selection.active = hand.layer()
    hand.key("D")
    hand.click(23, 33)
    agree(hand, [1, 3])


def test_a_region_of_a_multiscale_image(make_hand: MakeHand, cells: Cells) -> None:
    levels = ImageLayer([cells, cells[::2, ::2]], name="cells", multiscale=True)
    hand = make_hand(levels, run=False)
    hand.viewer.add_shapes(np.array([[16, 20], [16, 60], [47, 60], [47, 20]]), shape_type="rectangle", name="here")
    hand.widget.inputs.choose_layer(hand.layer("cells"))
    hand.widget.inputs.run_on.choose(RunOn.RECTANGLE)
    hand.run()
    hand.widget.fixing.open()
    assert hand.layer().data.shape != cells.shape
    hand.key("D")
    row, column = np.argwhere(hand.layer().data == 1).mean(axis=0)
    hand.click(row, column)
    agree(hand, [2])


def test_the_selected_result_is_fixed_and_counted(hand: Hand) -> None:
    hand.key("D")
    hand.click(7, 7)
    hand.run()
    assert hand.bar.count.text() == ""
    hand.click(23, 33)
    assert sorted(np.unique(hand.layer("cells labels [2]").data)) == [0, 1, 3]
    hand.viewer.layers.selection.active = hand.layer()
    hand.settle()
    assert hand.bar.count.text() == "1 removed"
    agree(hand, [2, 3])


def test_closed_the_mouse_and_the_keys_are_naparis_again(hand: Hand) -> None:
    viewer = hand.viewer
    hand.key("D")
    hand.bar.parentWidget().destroyOnClose()
    assert hand.widget.fixing.bar is None
    QTest.keyClick(hand.canvas, Qt.Key.Key_D)
    QTest.mouseClick(hand.canvas, Qt.MouseButton.LeftButton, pos=hand.place(7, 7))
    hand.settle()
    agree(hand, [1, 2, 3])
    assert not [one for one in viewer.mouse_drag_callbacks if "Gestures" in str(one)]
    hand.open()
    hand.key("D")
    hand.click(7, 7)
    agree(hand, [2, 3])
    hand.widget.fixing.stop()
    assert hand.widget.fixing.bar is None


def test_objects_are_fixed_while_another_image_is_segmented(
    hand: Hand, gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand.widget.controller, "_services", lambda model, device: gated)
    hand.widget.runner.run.click()
    hand._qtbot.waitUntil(gated.entered.is_set, timeout=20_000)
    hand.key("D")
    hand.click(7, 7)
    agree(hand, [2, 3])
    gated.release.set()
    hand._qtbot.waitUntil(lambda: not hand.widget.controller.running, timeout=30_000)
    agree(hand, [2, 3])


@pytest.mark.parametrize("min_size", [5, 40])
def test_a_fix_is_made_on_the_labels_that_a_slider_brought_meanwhile(
    hand: Hand, monkeypatch: pytest.MonkeyPatch, min_size: int
) -> None:
    find, found, go_on = fixer._find, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        answer = find(*arguments)
        found.set()
        assert go_on.wait(20)
        return answer

    monkeypatch.setattr(fixer, "_find", slow)
    current = hand.widget.results.current()
    hand.key("S")
    hand.widget.fixing.fixer.ask(current, "split", ((17.0, 33.0), (28.0, 33.0)))
    hand._qtbot.waitUntil(found.is_set, timeout=20_000)
    hand.widget.adjust.min_size.setValue(min_size)
    hand._qtbot.waitUntil(lambda: not hand.widget.results.busy, timeout=20_000)
    go_on.set()
    hand.settle()
    if min_size == 40:
        agree(hand, [1])
        assert hand.bar.badge.kind == "warning", "what was to be divided is gone"
    else:
        agree(hand, [1, 2, 3, 4])
        assert [fix["parameters"]["min_size"] for fix in record(hand)["fixes"]] == [min_size]


def test_what_was_divided_and_joined_again_stays_as_a_recipe_has_it(hand: Hand, service: Any, cells: Cells) -> None:
    hand.key("S")
    hand.draw((20, 33), (25, 33))
    agree(hand, [1, 2, 3, 4])
    hand.key("J")
    hand.draw((23, 31), (23, 35))
    agree(hand, [1, 2, 3])
    hand.widget.adjust.min_size.setValue(50)
    hand.settle()
    agree(hand, [1, 2])
    again = service.segment(cells).fixed([Fix.model_validate(fix) for fix in record(hand)["fixes"]])
    assert_array_equal(again.relabel(min_size=50).labels, hand.layer().data)
