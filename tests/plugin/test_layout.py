"""The whole window at 1280 x 800 with every section open, in each language."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton, QSlider, QWidget

from napari_unetseg import language
from napari_unetseg.plugin.panel.drawing import Lines
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]
SIZE = (1280, 800)


def open_all(widget: SegmentationWidget, qtbot: Any) -> QWidget:
    """Open every section and the table, and give the window its size."""
    window = widget.window()
    assert window is not None
    widget.more.expand()
    widget.health.expand()
    widget.adjust.table.setChecked(True)
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=20_000)
    window.resize(*SIZE)
    QApplication.processEvents()
    qtbot.waitUntil(lambda: widget.column.scrolls, timeout=20_000)
    return window


def left_and_right(part: QWidget, widget: QWidget) -> tuple[int, int]:
    left = part.mapTo(widget, QPoint(0, 0)).x()
    return left, left + part.width()


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_all_fits_and_no_word_is_cut_off(
    make_widget: MakeWidget,
    press_run: Step,
    squares: Squares,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("UNET_WINDOW_LANGUAGE", name)
    widget = make_widget(squares, show=True)
    press_run(widget)
    window = open_all(widget, qtbot)
    assert (window.width(), window.height()) == SIZE
    column = widget.column
    assert column.content.width() <= column.viewport().width()
    assert column.horizontalScrollBar().maximum() == 0
    plain = [child for child in widget.findChildren(QWidget) if type(child) in (QPushButton, QCheckBox, QLabel)]
    shown = [child for child in plain if child.isVisible() and child.text()]
    assert len(shown) > 30
    wrapped = {child for child in shown if isinstance(child, QLabel) and child.wordWrap()}
    assert {
        child.text() for child in shown if child not in wrapped and child.sizeHint().width() > child.width()
    } == set()
    sections = [widget.inputs, widget.object_size, widget.runner, widget.message, widget.adjust, widget.more]
    for section in [*sections, widget.result_actions, widget.health]:
        left, right = left_and_right(section, widget)
        assert 0 <= left < right <= column.viewport().width()
        assert section.height() >= section.minimumSizeHint().height()
    assert widget.health.area.height() >= 160
    assert widget.table.table.view.height() >= 80
    assert [child.full for child in widget.health.findChildren(Lines) if child.isVisible() and child.width() < 40] == []


def test_all_sliders_begin_and_end_at_the_same_lines(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("en", "de", "zh_CN"):
        monkeypatch.setenv("UNET_WINDOW_LANGUAGE", name)
        widget = make_widget(squares, show=True)
        open_all(widget, qtbot)
        widget.adjust.min_size.set_parameter(400)
        QApplication.processEvents()
        sliders = [child for child in widget.findChildren(QSlider) if child.isVisible()]
        assert len(sliders) == 5
        assert len({left_and_right(slider, widget) for slider in sliders}) == 1


def test_the_wheel_moves_the_column_and_not_the_slider_that_it_passes(
    make_widget: MakeWidget, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(squares, show=True)
    open_all(widget, qtbot)
    slider = widget.adjust.threshold.findChild(QSlider)
    before, bar = widget.adjust.threshold.value(), widget.column.verticalScrollBar()
    middle = QPointF(slider.rect().center())
    turn = (QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier)
    event = QWheelEvent(
        middle, QPointF(slider.mapToGlobal(middle.toPoint())), *turn, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(slider, event)
    assert widget.adjust.threshold.value() == before
    assert bar.value() > 0
