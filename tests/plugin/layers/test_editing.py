"""Objects that were edited by hand stay when the sliders move: in a real viewer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from numpy.typing import NDArray

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]

# Ramps give objects that shrink when the threshold rises: foreground is sigmoid(20 * intensity - 10).
PEAKS = ((12, 14), (12, 46), (36, 30))
LOW, HIGH = 0.2, 0.8


@pytest.fixture
def cones() -> NDArray[np.uint16]:
    """Three cones whose level at the default threshold is a disc of radius 5."""
    y, x = np.mgrid[:48, :64]
    away = np.min([np.hypot(y - top, x - left) for top, left in PEAKS], axis=0)
    return (1000 * (1 - away / 10).clip(0)).astype(np.uint16)


@pytest.fixture
def result(make_widget: MakeWidget, press_run: Step, cones: NDArray[np.uint16]) -> SegmentationWidget:
    widget = make_widget(cones)
    press_run(widget)
    return widget


def labels_of(widget: SegmentationWidget) -> Labels:
    return widget.viewer.layers["cells labels"]


def contours_of(widget: SegmentationWidget) -> Shapes:
    return widget.viewer.layers["cells contours"]


def mask_at(widget: SegmentationWidget, place: tuple[int, int]) -> NDArray[np.bool_]:
    data = labels_of(widget).data
    return np.asarray(data == data[place]) & (data[place] > 0)


def move(widget: SegmentationWidget, settle: Step, threshold: float) -> None:
    widget.adjust.threshold.setValue(threshold)
    settle(widget)


def test_a_painted_object_stays_to_the_pixel_and_the_others_follow(result: SegmentationWidget, settle: Step) -> None:
    first, second = PEAKS[:2]
    labels = labels_of(result)
    before = {place: mask_at(result, place) for place in PEAKS}
    labels.data_setitem((np.full(6, 12), np.arange(19, 25)), int(labels.data[first]))
    painted = mask_at(result, first)
    assert painted.sum() > before[first].sum()
    assert "cells labels" in result.message.text.text()
    for threshold in (LOW, HIGH, 0.5):
        move(result, settle, threshold)
        np.testing.assert_array_equal(mask_at(result, first), painted)
        grown = mask_at(result, second).sum() - before[second].sum()
        assert np.sign(grown) == np.sign(0.5 - threshold)
        assert labels.data.max() == 3
        edited = labels.features.set_index("index")["edited"]
        assert edited[labels.data[first]]
        assert edited.sum() == 1
        areas = labels.features.set_index("index")["area_px"]
        assert areas[labels.data[first]] == painted.sum()
    assert labels.metadata[METADATA_KEY]["edited_objects"] == 1


def test_a_deleted_object_does_not_come_back(result: SegmentationWidget, settle: Step) -> None:
    labels = labels_of(result)
    labels.fill(PEAKS[0], 0)
    for threshold in (LOW, HIGH):
        move(result, settle, threshold)
        assert labels.data.max() == 2
        assert not mask_at(result, PEAKS[0]).any()
        assert len(contours_of(result).data) == 2


def test_a_new_object_stays(result: SegmentationWidget, settle: Step) -> None:
    labels = labels_of(result)
    corner = np.indices((4, 5)).reshape(2, -1) + np.array([[40], [2]])
    labels.data_setitem(tuple(corner), 9)
    drawn = labels.data == 9
    move(result, settle, HIGH)
    np.testing.assert_array_equal(mask_at(result, (41, 3)), drawn)
    assert labels.data.max() == 4
    assert len(contours_of(result).data) == 4


def test_a_contour_moved_by_hand_stays_as_drawn(result: SegmentationWidget, settle: Step) -> None:
    contours = contours_of(result)
    polygons = [polygon.copy() for polygon in contours.data]
    row = int(np.argmin([np.abs(polygon.mean(axis=0) - PEAKS[1]).sum() for polygon in polygons]))
    far = int(np.argmax(polygons[row][:, 1]))
    beyond = int(polygons[row][far][1] + 0.5)
    assert not mask_at(result, PEAKS[1])[12, beyond]
    polygons[row][far] += (0.0, 6.4)
    contours.data = polygons
    assert "cells contours" in result.message.text.text()
    for threshold in (LOW, HIGH):
        move(result, settle, threshold)
        drawn = [polygon for polygon in contours.data if np.array_equal(polygon, polygons[row])]
        assert len(drawn) == 1
        assert len(contours.data) == labels_of(result).data.max() == 3
        assert mask_at(result, PEAKS[1])[12, beyond]
    kept = mask_at(result, PEAKS[1])
    move(result, settle, 0.5)
    np.testing.assert_array_equal(mask_at(result, PEAKS[1]), kept)


def test_a_contour_that_is_deleted_or_drawn_acts_on_the_labels(result: SegmentationWidget, settle: Step) -> None:
    contours = contours_of(result)
    contours.selected_data = {0}
    gone = contours.data[0].mean(axis=0)
    contours.remove_selected()
    contours.add_polygons(np.array([[40.5, 1.5], [40.5, 7.5], [45.5, 7.5], [45.5, 1.5]]))
    move(result, settle, HIGH)
    data = labels_of(result).data
    assert data.max() == len(contours.data) == 3
    assert data[tuple(np.rint(gone).astype(int))] == 0
    expected = np.zeros_like(data, dtype=bool)
    expected[41:46, 2:8] = True
    np.testing.assert_array_equal(mask_at(result, (43, 4)), expected)


def test_update_brings_the_layers_in_line_at_once(result: SegmentationWidget, settle: Step) -> None:
    labels = labels_of(result)
    labels.fill(PEAKS[0], 0)
    assert len(contours_of(result).data) == 3
    result.message.action.click()
    settle(result)
    assert len(contours_of(result).data) == len(labels.features) == 2


def test_what_is_painted_while_labels_are_on_their_way_is_not_lost(
    result: SegmentationWidget, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = labels_of(result)
    shown: list[int] = []

    def paint_once(update: Any) -> None:
        shown.append(update.serial)

    result.live.relabelled.connect(paint_once)
    result.adjust.threshold.setValue(LOW)
    result.live._worker._start_next()  # the worker has its picture of the layers now
    labels.data_setitem((np.array([2, 2, 3, 3]), np.array([2, 3, 2, 3])), 7)
    settle(result)
    assert shown == [result.result.serial]
    assert mask_at(result, (2, 2)).sum() == 4


def test_painting_leaves_the_result_that_the_network_gave_alone(result: SegmentationWidget, settle: Step) -> None:
    labels = labels_of(result)
    before = labels.data.copy()
    labels.fill(PEAKS[0], 0)
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    move(result, settle, HIGH)
    assert labels.data.max() == 3
    assert "edited" not in labels.features


def test_contours_and_table_are_faint_until_they_match(result: SegmentationWidget, settle: Step, qtbot: Any) -> None:
    contours = contours_of(result)
    clear = contours.opacity
    result.adjust.threshold.setValue(LOW)
    assert contours.opacity < clear
    settle(result)
    assert contours.opacity == clear


def test_the_pointer_tells_the_values_of_the_object_below_it(result: SegmentationWidget) -> None:
    labels = labels_of(result)
    assert result.viewer.layers.selection.active.name == "cells labels"
    row = labels.features.set_index("index").loc[labels.data[PEAKS[0]]]
    status = labels.get_status(PEAKS[0], world=True)["coordinates"]
    assert f"area_px: {row['area_px']:.0f}" in status
    assert "confidence: 0." in status
    assert status.index("confidence") < status.index("centroid")


def test_outlines_that_become_too_many_are_pixels_until_they_are_fewer(
    make_widget: MakeWidget,
    press_run: Step,
    settle: Step,
    squares: NDArray[np.uint16],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_unetseg.layer_style.MAX_CONTOURS", 2)
    widget = make_widget(squares)
    widget.adjust.min_size.setValue(20)
    press_run(widget)
    contours = contours_of(widget)
    assert len(contours.data) == 2
    widget.adjust.min_size.setValue(4)
    settle(widget)
    pixels = widget.viewer.layers["cells contours (pixels)"]
    assert pixels.visible
    assert (pixels.data > 0).sum() == 28 + 20 + 12
    assert len(contours.data) == 0
    assert "outlines" in widget.message.text.text()
    widget.adjust.min_size.setValue(40)
    settle(widget)
    assert len(contours.data) == 1
    assert not pixels.visible
