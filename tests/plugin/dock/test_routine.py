"""What the window remembers, foresees and does at the press of a key."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.utils.shortcuts import default_shortcuts
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListView, QWidget

from napari_unetseg.plugin.dock import forecast_words, remembered_settings
from napari_unetseg.plugin.dock.remembered_settings import RememberedSettings
from napari_unetseg.plugin.dock.run_forecast import question
from napari_unetseg.plugin.dock.shortcuts import CANCEL, CONTOURS, RUN
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service.forecast import Forecast

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What napari would keep."""
    kept = SimpleNamespace(**vars(RememberedSettings()))
    monkeypatch.setattr(remembered_settings, "_kept", lambda: kept)
    return kept


def test_the_manifest_has_the_same_settings_and_defaults() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-unetseg")
    properties = manifest.contributions.configurations["panel"].properties
    assert {name: one.default for name, one in properties.items()} == vars(RememberedSettings())


def test_napari_keeps_what_is_remembered(plugin_settings: None, npe2pm: Any) -> None:
    from napari.settings import get_plugin_settings
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_distribution("napari-unetseg"))
    panel = get_plugin_settings("napari-unetseg").panel
    panel.device = "cpu"
    path = get_plugin_settings("napari-unetseg").config_path
    assert "device: cpu" in path.read_text(encoding="utf-8")


def test_a_window_begins_as_the_last_one_was_left(
    make_widget: MakeWidget, press_run: Step, squares: Squares, kept: SimpleNamespace
) -> None:
    first = make_widget(squares)
    first.adjust.outputs["confidence"].setChecked(True)
    first.adjust.outputs["contours"].setChecked(False)
    first.inputs.device.setCurrentIndex(first.inputs.device.findData("cpu"))
    press_run(first)
    first.viewer.layers["cells labels"].opacity = 0.25
    press_run(first)
    assert first.viewer.layers["cells labels [2]"].opacity == 0.25
    assert (kept.model, kept.device, kept.labels_opacity, kept.contours_opacity) == ("bright", "cpu", 0.25, 0.7)
    second = make_widget(squares)
    assert second.adjust.chosen_outputs() == first.adjust.chosen_outputs()
    assert second.inputs.device_key() == "cpu"


def test_the_line_under_run_foresees_it(
    make_widget: MakeWidget, monkeypatch: pytest.MonkeyPatch, qtbot: Any, squares: Squares
) -> None:
    # No service of another test's window, with runs behind it, is asked.
    monkeypatch.setattr("napari_unetseg.plugin.dock.run_forecast.known_service", lambda model, device: None)
    widget = make_widget(squares)
    qtbot.waitUntil(lambda: widget.runner.forecast.text() != "", timeout=20_000)
    assert widget.runner.forecast.text().startswith("CPU · about 1 s · ")
    assert "rough guess" in widget.runner.forecast.toolTip()
    widget.viewer.layers.clear()
    qtbot.waitUntil(lambda: widget.runner.forecast.text() == "", timeout=20_000)


def test_all_that_is_chosen_is_asked_about(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(np.stack([squares] * 3))
    planes = widget.inputs.planes(widget.viewer)
    asked = question(widget.inputs.package(), "cpu", planes * 2, {"diameter": 9.0, "augment": True})
    assert asked is not None
    assert (asked.shape, asked.planes, asked.diameter, asked.augment) == (squares.shape, 2, 9.0, True)
    assert question(None, "cpu", planes, {}) is None
    assert question(widget.inputs.package(), "cpu", (), {}) is None


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
    assert forecast_words.line(forecast) == line
    told = forecast_words.explanation(forecast)
    assert told.startswith("It was asked for.\n")
    assert ("That is long" in told) == forecast.is_long
    assert ("more than is free" in told) == forecast.is_large


def test_the_keys_are_not_those_of_napari(make_widget: MakeWidget, squares: Squares) -> None:
    make_widget(squares)
    taken = {str(binding.keybinding) for binding in get_app_model().keybindings}
    taken |= {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not {RUN, CANCEL, CONTOURS} & taken


def test_keys_run_and_flip_the_contours(make_widget: MakeWidget, qtbot: Any, squares: Squares) -> None:
    widget = make_widget(squares)
    window = widget.window()
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(window, Qt.Key.Key_R, modifiers)
    assert widget.controller.running
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    contours = widget.viewer.layers["cells contours"]
    for visible in (False, True):
        qtbot.keyClick(window, Qt.Key.Key_E, modifiers)
        assert contours.visible is visible
    assert widget.viewer.layers["cells labels"].visible
    assert "Alt" in widget.runner.run.toolTip()


def test_the_tab_key_goes_down_the_rows(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    rows = [
        *(widget.inputs.image, widget.inputs.run_on, widget.inputs.model, widget.inputs.card, widget.inputs.device),
        *(widget.objects.rescale, widget.runner.run, widget.adjust.outputs["labels"], widget.more.toggle),
        *(widget.keep.save, widget.keep.python, widget.keep.again, widget.keep.more),
    ]
    chain: list[QWidget] = []
    current: QWidget | None = widget
    while current is not None and current not in chain:
        chain.append(current)
        current = current.nextInFocusChain()
    places = [chain.index(row) for row in rows]
    assert places == sorted(places)


def test_every_control_says_what_it_is_for(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    rows = (widget.inputs, widget.runner, widget.adjust, widget.keep, widget.more)
    controls = [one for row in rows for one in row.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
    # The lists that combo boxes drop are theirs, and a message's button is told with the message.
    own = [one for one in controls if not isinstance(one, QListView) and one is not widget.message.action]
    silent = [
        one for one in own if not (one.toolTip() or (one.parentWidget() is not None and one.parentWidget().toolTip()))
    ]
    assert [type(one).__name__ for one in silent] == []
