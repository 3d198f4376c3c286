import math
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QImage

from napari_unetseg.plugin.learning.training_curve import TrainingCurve


@pytest.fixture
def curve(qtbot: Any) -> TrainingCurve:
    curve = TrainingCurve()
    qtbot.addWidget(curve)
    curve.resize(320, 150)
    curve.use_theme(get_theme("dark"))
    curve.begin(300)
    return curve


def test_a_score_of_one_lies_at_the_top_and_time_runs_to_the_right(curve: TrainingCurve) -> None:
    curve.add_score(0, 0.0)
    curve.add_score(300, 1.0)
    first, last = curve.score_points()
    frame = curve.frame()
    assert (first.x(), first.y()) == (frame.left(), frame.bottom())
    assert (last.x(), last.y()) == (frame.right(), frame.top())


def test_a_run_that_takes_longer_stays_within_the_frame(curve: TrainingCurve) -> None:
    curve.add_score(300, 0.5)
    curve.add_score(600, 0.5)
    assert [round(point.x()) for point in curve.score_points()] == [
        round(curve.frame().center().x()),
        round(curve.frame().right()),
    ]


def test_the_jumps_of_single_steps_are_smoothed(curve: TrainingCurve) -> None:
    for step in range(200):
        curve.add_loss(step, 1.0 + (step % 2))
    values = [loss for _, loss in curve.losses[100:]]
    assert max(values) - min(values) < 0.2


def test_losses_stay_within_the_frame_however_they_begin(curve: TrainingCurve) -> None:
    for step in range(250):
        curve.add_loss(step, 100.0 if step < 3 else 1 / step)
    heights = [point.y() for point in curve.loss_points()]
    assert curve.frame().top() <= min(heights)
    assert max(heights) <= curve.frame().bottom()


def test_long_runs_are_thinned_out_and_keep_their_end(curve: TrainingCurve) -> None:
    for step in range(20_000):
        curve.add_loss(step, 1.0)
    assert len(curve.losses) <= 1200
    assert curve.losses[-1][0] == 19_999


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_left_out(curve: TrainingCurve, value: float) -> None:
    curve.add_loss(1, value)
    curve.add_score(1, value)
    assert not curve.losses
    assert not curve.scores


def test_the_score_before_is_drawn_as_a_line(curve: TrainingCurve, qtbot: Any) -> None:
    def pixels() -> Any:
        image = curve.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        bits = image.constBits()
        bits.setsize(image.sizeInBytes())
        return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).copy()

    without = pixels()
    curve.show_metric("AP@0.5", 0.25)
    changed = (pixels() != without).any(axis=2)
    frame = curve.frame()
    row = round(frame.bottom() - 0.25 * frame.height())
    assert changed[row - 1 : row + 2, round(frame.left()) : round(frame.right())].mean() > 0.1


def test_the_next_run_begins_with_an_empty_curve(curve: TrainingCurve) -> None:
    curve.add_loss(1, 1.0)
    curve.add_score(1, 0.5)
    curve.show_metric("Dice", 0.4)
    curve.begin(60)
    assert (curve.losses, curve.scores, curve.before) == ([], [], None)
