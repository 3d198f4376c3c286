"""The rows that act on a result, and the fold with those that are seldom needed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari._qt.qt_resources import get_stylesheet
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_unetseg.plugin.dock.adjustments import Adjustments
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.parameters import DecodeParameters

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]


def test_the_rows_show_and_give_every_parameter(qtbot: object) -> None:
    rows = Adjustments()
    reported: list[None] = []
    rows.changed.connect(lambda: reported.append(None))
    wanted = DecodeParameters(
        threshold=0.3, min_size=1500, split=0.2, fill_holes=False, smoothing=12, min_confidence=0.6
    )
    rows.set_parameters(wanted)
    assert DecodeParameters(**rows.parameters()) == wanted
    assert rows.parameters().keys() == DecodeParameters.model_fields.keys()
    assert not reported, "nobody moved anything"
    rows.fill_holes.click()
    rows.smoothing.setValue(2)
    assert len(reported) == 2
    assert DecodeParameters(**rows.parameters()) == wanted.model_copy(update={"fill_holes": True, "smoothing": 2})


def test_a_value_between_the_steps_of_a_slider_stays_until_that_slider_is_moved(qtbot: object) -> None:
    rows = Adjustments()
    rows.set_parameters(DecodeParameters(threshold=0.125, split=0.333))
    rows.min_size.setValue(7)
    assert rows.parameters()["threshold"] == 0.125
    rows.threshold.setValue(0.2)
    assert rows.parameters()["threshold"] == 0.2
    assert rows.parameters()["split"] == 0.333


def test_a_run_locks_the_rows(qtbot: object) -> None:
    rows = Adjustments()
    controls = (rows.threshold, rows.min_size, rows.split, rows.min_confidence, rows.smoothing, rows.fill_holes)
    for locked in (True, False):
        rows.lock(locked)
        assert all(control.isEnabled() is not locked for control in controls)


def test_holes_smoothing_and_confidence_act_on_the_last_result(
    make_widget: MakeWidget, press_run: Step, settle: Step
) -> None:
    image = np.zeros((48, 64), np.uint16)
    image[4:24, 4:24] = image[30:44, 30:44] = 1000
    image[12, 12] = 0
    image[14, 24:34] = 1000
    widget = make_widget(image)
    press_run(widget)
    labels = widget.viewer.layers["cells labels"]

    def mask() -> NDArray[np.bool_]:
        settle(widget)
        return np.asarray(labels.data) > 0

    assert mask()[12, 12]
    widget.adjust.fill_holes.setChecked(False)
    assert not mask()[12, 12]
    np.testing.assert_array_equal(mask(), image > 0)
    widget.adjust.smoothing.setValue(3)
    smooth = mask()
    assert smooth[12, 12]
    assert not smooth[14, 28]
    assert labels.metadata["napari_unetseg"]["parameters"]["smoothing"] == 3
    widget.adjust.min_confidence.setValue(1)
    assert not mask().any()


def test_the_fold_opens_without_moving_what_is_above_it(make_widget: MakeWidget) -> None:
    widget = make_widget()
    assert not widget.adjust.smoothing.isVisibleTo(widget)
    QApplication.processEvents()
    before = [
        row.geometry() for row in (widget.inputs, widget.object_size, widget.runner, widget.message, widget.adjust)
    ]
    widget.more.toggle.click()
    QApplication.processEvents()
    assert widget.more.expanded
    for row in (
        widget.adjust.smoothing,
        widget.adjust.fill_holes,
        widget.object_size.diameter,
        widget.object_size.augment,
    ):
        assert row.isVisibleTo(widget)
        assert row.toolTip()
    rows = (widget.inputs, widget.object_size, widget.runner, widget.message, widget.adjust)
    assert [row.geometry() for row in rows] == before
    widget.more.toggle.click()
    assert not widget.more.expanded


def test_areas_are_not_cut_and_leave_the_slider_its_length(qtbot: Any) -> None:
    window = QWidget()
    adjustments = Adjustments(window)
    QVBoxLayout(window).addWidget(adjustments)
    qtbot.addWidget(window)
    # Its font comes from napari's window, after it was made.
    window.setStyleSheet(get_stylesheet("dark") + "QLabel { font-size: 30px }")
    window.resize(900, 400)
    window.show()
    adjustments.min_size.setValue(100)
    lengths = set()
    for pixel_area in (None, (0.1024, "µm²"), (53.9, "µm²")):
        adjustments.set_pixel_area(pixel_area)
        QApplication.processEvents()
        assert adjustments.area.width() >= adjustments.area.sizeHint().width()
        lengths.add(adjustments.min_size.width())
    assert len(lengths) == 1
