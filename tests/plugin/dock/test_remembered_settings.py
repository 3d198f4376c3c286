"""What the window remembers from one session to the next."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.plugin.dock import remembered_settings
from napari_unetseg.plugin.dock.remembered_settings import RememberedSettings
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What napari would keep."""
    kept = SimpleNamespace(**vars(RememberedSettings()))
    monkeypatch.setattr(remembered_settings, "_napari_settings", lambda: kept)
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
