"""The table below the image: rows and objects, sorting, histogram and export."""

import csv
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.plugin.table.column_titles import column_title
from napari_unetseg.plugin.table.objects_table import ObjectTable
from napari_unetseg.plugin.table.table_dock import pick
from napari_unetseg.plugin.table.table_model import ObjectsModel
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


def add(table: ObjectTable, row: int) -> None:
    flags = QItemSelectionModel.SelectionFlag
    table.view.selectionModel().select(table.model.index(row, 0), flags.Select | flags.Rows)


def column(table: ObjectTable, number: int) -> list[str]:
    return [table.model.index(row, number).data() for row in range(table.model.rowCount())]


def test_it_shows_the_features_and_follows_them(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    titles = [table.model.headerData(i, Qt.Orientation.Horizontal) for i in range(table.model.columnCount())]
    assert titles == ["Label", "Area\npx", "Confidence"]
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
    assert table.column.currentText() == "Area (px)"
    assert table.histogram.counts.sum() == 3
    layer.selected_label = 9
    assert table.histogram.marked == 36
    table.column.setCurrentText("Confidence")
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
@pytest.mark.parametrize("unit_of_the_world", ["um", "nm"])
def test_a_click_on_an_object_selects_it_and_a_drag_does_not(
    place: tuple[int, int], label: int, dragged: bool, unit_of_the_world: str
) -> None:
    viewer = ViewerModel()
    layer = viewer.add_layer(measured())
    layer.units = "um"
    if unit_of_the_world == "nm":
        viewer.add_image(np.zeros((4, 4)), units="nm")
    scale = 1000 if unit_of_the_world == "nm" else 1

    class Event:
        type = "mouse_press"
        position = (place[0] * scale, place[1] * scale)
        view_direction = None
        dims_displayed = (0, 1)

    event = Event()
    steps = pick(layer, event, dims=viewer.dims)
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


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("area_px", "Area\npx"),
        ("area_um2", "Area\nµm²"),
        ("area_nm2", "Area\nnm²"),
        ("perimeter_um", "Perimeter\nµm"),
        ("equivalent_diameter_mm", "Diameter\nmm"),
        ("centroid_y_my_unit", "Centre y\nmy_unit"),
        ("bbox_max_x_px", "Right\npx"),
        ("mean_intensity", "Mean intensity"),
        ("mean_intensity_2", "Mean intensity 2"),
        ("z", "Z"),
        ("dose_mg", "dose_mg"),
    ],
)
def test_titles_are_words_over_units_and_foreign_names_stay(name: str, lines: str) -> None:
    assert column_title(name).lines == lines


def test_what_is_not_known_comes_last_both_ways(qtbot: object) -> None:
    table = ObjectTable()
    values = [3.0, np.nan, 10.0, 2.0, np.nan]
    features = pd.DataFrame({"index": [1, 2, 3, 4, 5], "a": values, "b": pd.array([2, None, 11, 3, 7], dtype="Int64")})
    table.follow(Labels(np.zeros((4, 4), np.int32), features=features))
    table.view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert column(table, 0) == ["4", "1", "3", "2", "5"] or column(table, 0) == ["4", "1", "3", "5", "2"]
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(table, 0)[:3] == ["3", "1", "4"]
    table.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert column(table, 0) == ["1", "4", "5", "3", "2"]
    table.view.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert column(table, 0) == ["3", "5", "4", "1", "2"]


def test_the_order_stays_when_columns_come_and_the_head_says_so(qtbot: object) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    layer.features = pd.DataFrame({"index": [2, 5, 9], "new": [1, 2, 3], "area_px": [1, 4, 2]})
    assert column(table, 0) == ["5", "9", "2"]
    head = table.view.horizontalHeader()
    assert (head.sortIndicatorSection(), head.sortIndicatorOrder()) == (2, Qt.SortOrder.DescendingOrder)


def test_several_rows_are_selected_stay_selected_when_sorted_and_are_copied_as_shown(qtbot: Any) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    picked: list[list[int]] = []
    table.picked.connect(lambda labels: picked.append(labels.tolist()))
    select(table, 0)
    add(table, 2)
    assert picked == [[2], [2, 9]]
    assert table.count.text() == "3 objects, 2 selected"
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert sorted(selected(table)) == [2, 9]
    QTest.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "label\tarea_px\tconfidence\n9\t36\t0.75\n2\t16\t0.9\n"
    QTest.keyClick(table.view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert table.selected_labels().tolist() == [2, 5, 9]
    assert layer.selected_label in (2, 5, 9)


def test_without_a_selected_row_the_keys_do_nothing(qtbot: Any) -> None:
    table = ObjectTable()
    table.follow(measured())
    QApplication.clipboard().setText("before")
    asked: list[Any] = []
    table.removal_requested.connect(asked.append)
    table.centred.connect(lambda label, place: asked.append(label))
    QTest.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(table.view, Qt.Key.Key_Delete)
    QTest.keyClick(table.view, Qt.Key.Key_Return)
    assert QApplication.clipboard().text() == "before"
    assert asked == []


def test_a_hundred_thousand_rows_are_one_range_for_qt(qtbot: Any) -> None:
    count = 100_000
    table = ObjectTable()
    layer = Labels(
        np.zeros((4, 4), np.int32),
        features=pd.DataFrame({"index": np.arange(1, count + 1), "area_px": np.arange(count)}),
    )
    formatted: list[int] = []
    table.model.data = lambda index, role=0: formatted.append(index.row())  # type: ignore[method-assign]
    table.resize(500, 300)
    table.show()
    table.follow(layer)
    table.view.selectAll()
    QApplication.processEvents()
    assert len(table.selected_labels()) == count
    assert len(table.view.selectionModel().selection()) == 1
    assert len(set(formatted)) < 200, "only what is on display is formatted"


@pytest.mark.parametrize("is_open", [False, True])
def test_few_of_many_rows_are_asked_how_wide_they_are(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    asked: list[int] = []
    data = ObjectsModel.data
    monkeypatch.setattr(
        ObjectsModel, "data", lambda self, at, role=0: (asked.append(at.row()), data(self, at, role))[1]
    )
    table, layer = ObjectTable(), measured()
    qtbot.addWidget(table)
    if is_open:
        table.show()
        qtbot.waitExposed(table)
    table.follow(layer)
    layer.features = pd.DataFrame({"index": range(1, 20_001), "area_px": range(20_000)})
    assert table.model.rowCount() == 20_000
    assert len(set(asked)) <= 100


def test_a_changed_layer_is_told_until_it_is_measured_again_also_after_undo(qtbot: Any) -> None:
    table, layer = ObjectTable(), measured()
    table.follow(layer)
    layer.data_setitem((np.array([0]), np.array([0])), 7)
    assert table.count.text() == "3 objects · changed by hand since they were measured"
    layer.features = layer.features
    assert table.count.text() == "3 objects"
    layer.undo()
    assert "changed by hand" in table.count.text()
    layer.features = layer.features
    layer.redo()
    assert "changed by hand" in table.count.text()


def test_a_layer_that_was_changed_before_the_table_opens_is_told(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    layer = widget.viewer.add_layer(measured())
    widget.viewer.layers.selection.active = widget.viewer.layers["cells"]
    widget.viewer.layers["cells labels"].data_setitem((np.array([0]), np.array([0])), 7)
    widget.viewer.layers.selection.active = layer
    widget.adjust.table.click()
    assert "changed by hand" in widget.table.table.count.text()


def test_a_removed_layer_leaves_no_rows_and_its_name(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    widget.viewer.layers.remove("cells labels")
    assert widget.table.table.model.rowCount() == 0
    assert widget.table.table.count.text().startswith("'cells labels' is no longer in the viewer.")
    assert not widget.table.table.save.isEnabled()


def outlined(widget: SegmentationWidget) -> list[int]:
    return sorted(set(widget.viewer.layers["cells contours"].features["label"].tolist()))


def test_delete_removes_objects_and_undo_brings_them_back(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    table, layer = widget.table.table, widget.viewer.layers["cells labels"]
    before = layer.data.copy()
    select(table, 0)
    add(table, 2)
    QTest.keyClick(table.view, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: column(table, 0) == ["2"], timeout=20_000)
    np.testing.assert_array_equal(layer.data, np.where(before == 2, 2, 0))
    assert outlined(widget) == [2]
    assert "by hand" in widget.message.text.text()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    assert column(table, 0) == ["1", "2", "3"]
    assert outlined(widget) == [1, 2, 3]
    assert table.count.text() == "3 objects"
    layer.redo()
    assert column(table, 0) == ["2"]
    assert outlined(widget) == [2]
    widget.update_result()
    settle(widget)
    np.testing.assert_array_equal(widget.viewer.layers["cells labels"].data > 0, before == 2)
    assert len(column(table, 0)) == 1
    widget.adjust.threshold.setValue(0.4)
    settle(widget)
    assert len(column(table, 0)) == 1, "what was deleted stays away when the sliders move"


@pytest.mark.parametrize("of_copy", [True, False])
def test_delete_leaves_the_labels_and_outlines_of_a_copy_alone(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares, qtbot: Any, of_copy: bool
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    layers = widget.viewer.layers
    for name in ("cells labels", "cells contours"):
        data, state, kind = layers[name].as_layer_data_tuple()
        layers.append(Layer.create(deepcopy(data), state | {"name": f"{name} copy"}, kind))
    names = ["cells labels", "cells labels copy"]
    changed, spared = (layers[name] for name in (reversed(names) if of_copy else names))
    layers.selection.active = changed
    widget.adjust.table.click()
    select(widget.table.table, 1)
    QTest.keyClick(widget.table.table.view, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: not (changed.data == 2).any(), timeout=20_000)
    settle(widget)
    assert np.unique(spared.data).tolist() == [0, 1, 2, 3]
    assert sorted(spared.features["index"]) == [1, 2, 3]
    shown = {name: sorted(layers[name].features["label"]) for name in ("cells contours", "cells contours copy")}
    less, all_three = [1, 3], [1, 2, 3]
    assert shown == dict(zip(shown, (all_three, less) if of_copy else (less, all_three), strict=True))
    changed.undo()
    assert [sorted(layers[name].features["label"]) for name in shown] == [all_three] * 2


def test_undone_deletion_is_no_edit(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    table, layer = widget.table.table, widget.viewer.layers["cells labels"]
    select(table, 1)
    QTest.keyClick(table.view, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: column(table, 0) == ["1", "3"], timeout=20_000)
    layer.undo()
    widget.update_result()
    settle(widget)
    assert column(table, 0) == ["1", "2", "3"]
    assert outlined(widget) == [1, 2, 3]


def test_labels_that_cannot_be_changed_are_left_alone_with_a_sentence(
    make_widget: MakeWidget, squares: Squares
) -> None:
    widget = make_widget(squares)
    layer = measured()
    data = layer.data.copy()
    data.flags.writeable = False
    widget.viewer.layers.selection.active = widget.viewer.add_labels(data, features=layer.features, name="disk")
    widget.adjust.table.click()
    table = widget.table.table
    select(table, 0)
    QTest.keyClick(table.view, Qt.Key.Key_Delete)
    assert widget.message.text.text().startswith("The labels of 'disk' cannot be changed.")
    assert column(table, 0) == ["2", "5", "9"]


def test_an_outline_that_is_selected_selects_its_row(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    press_run(widget)
    widget.adjust.table.click()
    contours = widget.viewer.layers["cells contours"]
    contours.mode = "select"
    contours.selected_data = {1, 2}
    assert selected(widget.table.table) == contours.features["label"][[1, 2]].tolist()
    select(widget.table.table, 0)
    assert {int(contours.features["label"][row]) for row in contours.selected_data} == {1}


def test_a_row_of_a_stack_goes_to_its_own_plane(make_widget: MakeWidget, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(np.stack([squares] * 4))
    stack = np.zeros((4, 20, 30), np.int32)
    stack[1, 2:4, 2:4] = stack[3, 10:12, 20:22] = 7
    features = pd.DataFrame({"index": [7, 7], "t": [1, 3], "area_px": [4, 4]})
    shown = widget.viewer.add_labels(stack, features=features)
    widget.viewer.layers.selection.active = shown
    widget.adjust.table.click()
    table = widget.table.table
    camera = getattr(widget.viewer, "scene", widget.viewer).camera
    for row, plane, place in ((1, 3, (10.5, 20.5)), (0, 1, (2.5, 2.5))):
        select(table, row)
        assert len(selected(table)) == 1
        table.view.opened.emit(row)
        qtbot.waitUntil(lambda plane=plane: widget.viewer.dims.current_step[0] == plane, timeout=20_000)
        assert camera.center[-2:] == pytest.approx(place)


def on_disk(array: NDArray[np.int32]) -> LazyArray:
    """An array of which nobody may read more than the plane that a viewer shows."""

    def read(box: tuple[slice, ...]) -> NDArray[np.int32]:
        assert box[0].stop - box[0].start == 1, "the whole stack was read"
        return array[box]

    return LazyArray(read, array.shape, array.dtype)


def stored_stack() -> Labels:
    """Labels of two levels and four planes, with an object in two of these."""
    stack = np.zeros((4, 20, 30), np.int32)
    stack[1, 2:4, 2:4] = stack[3, 10:12, 20:22] = 7
    features = pd.DataFrame({"index": [7, 7], "t": [1, 3], "area_px": [4, 4]})
    features = features.assign(centroid_y_px=[2.5, 10.5], centroid_x_px=[2.5, 20.5])
    return Labels([on_disk(stack), on_disk(stack[:, ::2, ::2])], multiscale=True, name="stored", features=features)


def test_a_row_of_labels_on_disk_goes_where_it_was_measured(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(np.stack([squares] * 4))
    shown = widget.viewer.add_layer(stored_stack())
    widget.viewer.layers.selection.active = shown
    widget.adjust.table.click()
    table = widget.table.table
    camera = getattr(widget.viewer, "scene", widget.viewer).camera
    for row, plane, place in ((1, 3, (10.5, 20.5)), (0, 1, (2.5, 2.5))):
        table.view.opened.emit(row)
        assert widget.viewer.dims.current_step[0] == plane
        assert camera.center[-2:] == pytest.approx(place)


def test_the_table_of_labels_on_disk_is_saved_without_reading_them(qtbot: Any, tmp_path: Path) -> None:
    table = ObjectTable(lambda parent, name: tmp_path / "table.csv")
    table.follow(stored_stack())
    with qtbot.waitSignal(table.saved, timeout=20_000):
        table.save.click()
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row["area_px"] for row in csv.DictReader(file)] == ["4", "4"]


def test_a_click_on_labels_on_disk_selects_the_object() -> None:
    viewer = ViewerModel()
    layer = viewer.add_layer(stored_stack())
    viewer.dims.set_current_step(0, 3)

    class Event:
        type = "mouse_press"
        position = (3, 10, 20)
        view_direction = None
        dims_displayed = None

    event = Event()
    event.dims_displayed = [1, 2]
    steps = pick(layer, event, dims=viewer.dims)
    next(steps)
    assert next(steps, None) is None
    assert layer.selected_label == 7
