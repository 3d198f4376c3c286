"""What the window says of a run before it starts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.plugin.dock.run_forecast import explain_forecast, forecast_line, plan_run
from napari_unetseg.plugin.layers.run_areas import choose_planes
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service.forecast import Forecast

MakeWidget = Callable[..., SegmentationWidget]
Squares = NDArray[np.uint16]


def test_the_line_under_run_foresees_it(
    make_widget: MakeWidget, monkeypatch: pytest.MonkeyPatch, qtbot: Any, squares: Squares
) -> None:
    # No service of another test's window, with runs behind it, is planned.
    monkeypatch.setattr("napari_unetseg.plugin.dock.run_forecast.known_service", lambda model, device: None)
    widget = make_widget(squares)
    qtbot.waitUntil(lambda: widget.runner.forecast.text() != "", timeout=20_000)
    assert widget.runner.forecast.text().startswith("CPU · about 1 s · ")
    assert "rough guess" in widget.runner.forecast.toolTip()
    widget.viewer.layers.clear()
    qtbot.waitUntil(lambda: widget.runner.forecast.text() == "", timeout=20_000)


def test_all_that_is_chosen_is_asked_about(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(np.stack([squares] * 3))
    inputs = widget.inputs
    planes = choose_planes(inputs.run_on.choice(), inputs.layer(), widget.viewer, inputs.axis_choices)
    planned = plan_run(inputs.package(), "cpu", planes * 2, {"diameter": 9.0, "augment": True})
    assert planned is not None
    assert (planned.shape, planned.planes, planned.diameter, planned.augment) == (squares.shape, 2, 9.0, True)
    assert plan_run(None, "cpu", planes, {}) is None
    assert plan_run(inputs.package(), "cpu", (), {}) is None


@pytest.mark.parametrize(
    ("seconds", "megabytes", "precision", "line"),
    [
        (4.2, 180, "float32", "CPU · about 4 s · 180 MB"),
        (0.2, 0.1, None, "CPU · about 1 s · 1 MB"),
        (11.4, 6246, "bf16", "CPU bf16 · about 11 s · 6.1 GB"),
        (400, 1234, None, "CPU · about 7 min · 1.2 GB"),
        (9000, None, None, "CPU · about 2.5 h"),
        (None, None, None, "CPU"),
    ],
)
def test_figures_have_no_more_digits_than_are_known(
    seconds: float | None, megabytes: float | None, precision: str | None, line: str
) -> None:
    basis = None if seconds is None else "runs"
    forecast = Forecast("cpu", "It was asked for.", precision, seconds, basis, megabytes, 5000.0)
    assert forecast_line(forecast) == line
    explanation = explain_forecast(forecast)
    assert explanation.startswith("It was asked for.\n")
    assert ("That is long" in explanation) == forecast.is_long
    assert ("more than is free" in explanation) == forecast.is_large
