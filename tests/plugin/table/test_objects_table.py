"""The table below the image: rows and objects, sorting, histogram and export."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QItemSelectionModel, Qt

from napari_unetseg.plugin.table.objects_table import ObjectTable
from napari_unetseg.plugin.table.table_dock import pick
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


def measured(name: str = "cells labels") -> Labels:
    data = np.zeros((20, 30), np.int32)
    data[1:5, 1:5], data[1:3, 10:12], data[10:16, 3:9] = 2, 5, 9
    features = pd.DataFrame({"index": [2, 5, 9], "area_px": [16, 4, 36], "confidence": [0.9, np.nan, 0.75]})
    return Labels(data, name=name, features=features)


def select(table: ObjectTable, row: int) -> None:
    flags = QItemSelectionModel.SelectionFlag
    table.view.selectionModel().select(table.model.index(row, 0), flags.ClearAndSelect | flags.Rows)


def selected(table: ObjectTable) -> list[int]:
    return [table.model.label_at(index.row()) for index in table.view.selectionModel().selectedRows()]


def column(table: ObjectTable, number: int) -> list[str]:
    return [table.model.index(row, number).data() for row in range(table.model.rowCount())]


def test_it_shows_the_features_and_follows_them(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    titles = [table.model.headerData(i, Qt.Orientation.Horizontal) for i in range(table.model.columnCount())]
    assert titles == ["label", "area_px", "confidence"]
    assert [column(table, i) for i in range(3)] == [["2", "5", "9"], ["16", "4", "36"], ["0.9", "", "0.75"]]
    assert table.count.text() == "3 objects"
    layer.features = pd.DataFrame({"index": [1], "area_px": [7]})
    assert column(table, 1) == ["7"]
    table.follow(None)
    assert table.model.rowCount() == 0
    assert not table.save.isEnabled()


def test_rows_select_objects_and_objects_rows_also_when_sorted(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(table, 0) == ["9", "2", "5"]
    select(table, 2)
    assert layer.selected_label == 5
    layer.selected_label = 9
    assert selected(table) == [9]
    table.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert selected(table) == [9]
    layer.selected_label = 4
    assert selected(table) == []


def test_stale_rows_are_greyed_and_stay_until_new_ones_come(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    table.set_stale(True)
    layer.features = pd.DataFrame()
    assert table.model.rowCount() == 3
    assert not table.view.isEnabled()
    assert not table.save.isEnabled()
    table.set_stale(False)
    layer.features = pd.DataFrame({"index": [1], "area_px": [7]})
    assert table.model.rowCount() == 1
    assert table.view.isEnabled()
    assert table.save.isEnabled()


def test_the_histogram_counts_the_chosen_column_and_marks_the_object(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    assert table.column.currentText() == "area_px"
    assert table.histogram.counts.sum() == 3
    layer.selected_label = 9
    assert table.histogram.marked == 36
    table.column.setCurrentText("confidence")
    assert table.histogram.counts.sum() == 2
    assert table.histogram.marked == 0.75
    layer.selected_label = 5
    assert table.histogram.marked is None


def test_the_table_is_saved_as_csv_in_the_order_of_the_labels(qtbot: Any, tmp_path: Path) -> None:
    asked: list[str] = []

    def choose(parent: Any, name: str) -> Path:
        asked.append(name)
        return tmp_path / "table.csv"

    table = ObjectTable(choose)
    table.follow(measured())
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    with qtbot.waitSignal(table.saved, timeout=20_000) as saved:
        table.save.click()
    assert saved.args == [tmp_path / "table.csv"]
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert asked == ["cells labels"]
    assert rows == [["label", "area_px", "confidence"], ["2", "16", "0.9"], ["5", "4", ""], ["9", "36", "0.75"]]


def test_what_was_painted_since_is_saved_as_it_is(qtbot: Any, tmp_path: Path) -> None:
    layer, table = measured(), ObjectTable(lambda parent, name: tmp_path / "table.csv")
    table.follow(layer)
    layer.data[layer.data == 9] = 0
    layer.data[layer.data == 5] = 2
    with qtbot.waitSignal(table.saved, timeout=20_000):
        table.save.click()
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["label", "area_px", "confidence"], ["2", "20", ""]]


def test_a_file_that_cannot_be_written_is_told(qtbot: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    table = ObjectTable(lambda parent, name: tmp_path / "file" / "table.csv")
    table.follow(measured())
    with qtbot.waitSignal(table.failed, timeout=20_000) as failed:
        table.save.click()
    assert "file" in str(failed.args[0])


@pytest.mark.parametrize(("place", "label"), [((2, 2), 2), ((12, 5), 9), ((8, 20), 1)])
@pytest.mark.parametrize("dragged", [False, True])
def test_a_click_on_an_object_selects_it_and_a_drag_does_not(place: tuple[int, int], label: int, dragged: bool) -> None:
    class Event:
        type = "mouse_press"
        position = place
        view_direction = None
        dims_displayed = (0, 1)

    layer, event = measured(), Event()
    steps = pick(layer, event)
    next(steps)
    if dragged:
        event.type = "mouse_move"
        next(steps)
    event.type = "mouse_release"
    assert next(steps, None) is None
    assert layer.selected_label == (1 if dragged else label)


def test_the_box_opens_the_table_and_its_cross_unticks_the_box(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    table = widget.table.table
    assert column(table, 0) == ["1", "2", "3"]
    widget.viewer.layers["cells labels"].selected_label = 3
    contours = widget.viewer.layers["cells contours"]
    assert {int(contours.features["label"][row]) for row in contours.selected_data} == {3}
    table.view.doubleClicked.emit(table.model.index(1, 0))
    camera = getattr(widget.viewer, "scene", widget.viewer).camera
    qtbot.waitUntil(lambda: camera.center[-2:] == pytest.approx((22.5, 32.5)), timeout=20_000)
    widget.adjust.min_size.setValue(20)
    assert not table.view.isEnabled()
    settle(widget)
    assert table.view.isEnabled()
    assert column(table, 0) == ["1", "2"]
    widget.viewer.window.remove_dock_widget(table)
    assert not widget.adjust.table.isChecked()
    widget.adjust.table.click()
    assert table.parent() is not None


def test_a_double_click_goes_to_the_plane_of_an_object(make_widget: MakeWidget, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(np.stack([squares] * 4))
    layer = measured()
    stack = np.zeros((4, *layer.data.shape), np.int32)
    stack[3] = layer.data
    shown = widget.viewer.add_labels(stack, features=layer.features)
    widget.viewer.layers.selection.active = shown
    widget.adjust.table.click()
    widget.viewer.dims.set_current_step(0, 1)
    table = widget.table.table
    table.view.doubleClicked.emit(table.model.index(2, 0))
    qtbot.waitUntil(lambda: widget.viewer.dims.current_step[0] == 3, timeout=20_000)
    camera = getattr(widget.viewer, "scene", widget.viewer).camera
    assert camera.center[-2:] == pytest.approx((12.5, 5.5))


def test_another_measured_layer_can_be_looked_at(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    other = widget.viewer.add_layer(measured("others"))
    widget.viewer.layers.selection.active = other
    assert column(widget.table.table, 0) == ["2", "5", "9"]
    widget.viewer.layers.selection.active = widget.viewer.layers["cells"]
    assert column(widget.table.table, 0) == ["2", "5", "9"]
    widget.viewer.layers.selection.active = widget.viewer.layers["cells labels"]
    assert column(widget.table.table, 0) == ["1", "2", "3"]
