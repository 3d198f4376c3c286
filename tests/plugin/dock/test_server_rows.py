"""A server among the devices of the window, on fake servers: the service that runs is the one of this machine."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.client.errors import KeyRefused, ServerDied, ServerUnreachable
from napari_unetseg.errors import ImageError
from napari_unetseg.plugin.dock import remembered_settings
from napari_unetseg.plugin.dock.remembered_settings import RememberedSettings
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.servers import server_words
from napari_unetseg.plugin.servers.server_dialog import ServerDialog
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]
LAB = "http://lab:8001"
GONE = ServerDied("lab:8001 went away in the middle of the run.")


def choose(widget: SegmentationWidget, qtbot: Any, address: str = LAB) -> None:
    """Choose a server as the dialog does, and wait until it said what it has."""
    widget.inputs.device.add_server(address)
    widget.inputs.device.choose(address)
    answered(widget, qtbot)


def dialog_of(widget: SegmentationWidget) -> ServerDialog:
    dialog = widget.servers.dialog
    assert dialog is not None
    return dialog


def chosen_name(widget: SegmentationWidget) -> str:
    package = widget.inputs.package()
    return "" if package is None else package.name


def answered(widget: SegmentationWidget, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.servers.busy, timeout=20_000)


def models(widget: SegmentationWidget) -> list[str]:
    box = widget.inputs.model
    return [box.itemText(row) for row in range(box.count()) if isinstance(box.itemData(row), ModelPackage)]


@pytest.fixture
def other(package: ModelPackage) -> ModelPackage:
    """A model that only a server has."""
    card = package.card.model_copy(update={"name": "other", "display_name": "Other objects"})
    return replace(package, card=card, path=package.path.parent / "nowhere" / "other")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What napari would keep."""
    kept = SimpleNamespace(**vars(RememberedSettings()))
    monkeypatch.setattr(remembered_settings, "_napari_settings", lambda: kept)
    return kept


class Failing:
    """A service whose runs fail, as the last of `errors` says while there are any."""

    def __init__(self, service: SegmentationService, *errors: Exception) -> None:
        self._service, self.errors = service, list(errors)

    def segment(self, *arguments: Any, **options: Any) -> Any:
        if self.errors:
            raise self.errors.pop()
        return self._service.segment(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


def test_a_saved_server_is_chosen_and_remembered(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any, kept: SimpleNamespace, press_run: Step
) -> None:
    widget = make_widget(squares)
    widget.inputs.device.server_requested.emit()
    dialog = dialog_of(widget)
    dialog.address.setText("lab:8001")
    dialog.key.setText("secret")
    dialog.save.click()
    qtbot.waitUntil(lambda: widget.servers.dialog is None, timeout=20_000)
    answered(widget, qtbot)
    assert (widget.inputs.device_key(), widget.inputs.device.currentText()) == (LAB, "Server lab:8001")
    assert (kept.server, lab.keys) == (LAB, {LAB: "secret"})
    press_run(widget)
    assert kept.device == LAB
    second = make_widget(squares)
    assert second.inputs.device_key() == LAB


def test_a_cancelled_dialog_leaves_the_device(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, kept: SimpleNamespace
) -> None:
    widget = make_widget(squares)
    widget.inputs.device.choose("cpu")
    widget.inputs.device.server_requested.emit()
    dialog = dialog_of(widget)
    dialog.address.setText("lab:8001")
    qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
    dialog.cancel.click()
    assert widget.inputs.device_key() == "cpu"
    assert widget.inputs.device.servers() == []
    assert kept.server == ""
    assert widget.servers.dialog is None


def test_a_removed_server_is_offered_no_longer(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any, kept: SimpleNamespace
) -> None:
    kept.server = kept.device = LAB
    lab.keys[LAB] = "secret"
    widget = make_widget(squares)
    assert widget.inputs.device_key() == LAB
    answered(widget, qtbot)
    widget.servers.open()
    assert dialog_of(widget).address.text() == LAB
    dialog_of(widget).remove.click()
    qtbot.waitUntil(lambda: widget.servers.dialog is None, timeout=20_000)
    assert (widget.inputs.device_key(), widget.inputs.device.servers()) == ("auto", [])
    assert (kept.server, kept.device, lab.keys) == ("", "", {})


def test_a_server_stays_offered_where_another_device_was_chosen_last(
    make_widget: MakeWidget, kept: SimpleNamespace
) -> None:
    kept.server, kept.device = LAB, "cpu"
    widget = make_widget()
    assert (widget.inputs.device_key(), widget.inputs.device.servers()) == ("cpu", [LAB])


@pytest.mark.parametrize(("remembered", "chosen"), [("", LAB), ("auto", "auto"), ("cpu", "cpu")])
def test_the_server_of_the_settings_is_chosen_where_nothing_is_remembered(
    make_widget: MakeWidget,
    kept: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    remembered: str,
    chosen: str,
) -> None:
    monkeypatch.setenv("UNET_CLIENT_SERVER", "lab:8001")
    kept.device = remembered
    widget = make_widget()
    assert (widget.inputs.device_key(), widget.inputs.device.servers()) == (chosen, [LAB])


def test_what_only_the_server_has_is_offered_while_it_is_chosen(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any, package: ModelPackage, other: ModelPackage
) -> None:
    lab.packages = (package, other)
    widget = make_widget(squares)
    choose(widget, qtbot)
    assert models(widget) == ["Bright objects (path)", "Other objects (on lab:8001)"]
    assert widget.inputs.package() == package
    widget.inputs.choose_model("other")
    assert widget.runner.run.isEnabled()
    widget.inputs.device.choose("cpu")
    assert models(widget) == ["Bright objects (path)"]
    assert widget.inputs.package() == package


def test_a_remembered_model_of_a_server_is_chosen_once_the_server_said_that_it_has_it(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any, kept: Any, package: Any, other: ModelPackage
) -> None:
    kept.device, kept.model = LAB, "other"
    lab.packages = (package, other)
    widget = make_widget(squares)
    answered(widget, qtbot)
    assert chosen_name(widget) == "other"


def test_a_model_that_the_server_lacks_cannot_be_run_there(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any, other: ModelPackage
) -> None:
    lab.packages = (other,)
    widget = make_widget(squares)
    choose(widget, qtbot)
    assert not widget.runner.run.isEnabled()
    assert [one.name for one in widget.inputs.model.packages()] == ["other"]  # for Try all
    said = "lab:8001 does not have Bright objects. Choose another model, or another device."
    assert widget.runner.run.toolTip() == widget.message.text.text() == said
    widget.inputs.choose_model("other")
    assert widget.runner.run.isEnabled()
    assert said not in widget.message.text.text()
    widget.inputs.choose_model("bright")
    assert not widget.runner.run.isEnabled()
    widget.inputs.device.choose("cpu")
    assert widget.runner.run.isEnabled()


def test_a_server_that_does_not_answer_is_reported_with_a_way_to_its_dialog(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any
) -> None:
    lab.error = ServerUnreachable("Nobody answers at lab:8001.")
    widget = make_widget(squares)
    choose(widget, qtbot)
    assert widget.message.text.text() == "Nobody answers at lab:8001."
    assert widget.message.action.text() == "Server..."
    widget.message.action.click()
    assert dialog_of(widget).address.text() == LAB
    qtbot.waitUntil(lambda: not dialog_of(widget).busy, timeout=20_000)
    dialog_of(widget).cancel.click()
    # It may be back by the time somebody runs.
    assert widget.runner.run.isEnabled()


def test_a_run_says_on_which_server_it_is(make_widget: MakeWidget, squares: Squares, qtbot: Any, gated: Any) -> None:
    widget = make_widget(squares, model_choice=gated)
    choose(widget, qtbot)
    said: list[str] = []
    for signal in (widget.controller.stage, widget.controller.progressed):
        signal.connect(lambda *_: said.append(widget.message.text.text()))
    widget.runner.run.click()
    qtbot.waitUntil(gated.entered.is_set, timeout=20_000)
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert said[0] == "Waiting for the server (lab:8001)..."
    assert "Running on lab:8001. You can go on looking at your images." in said
    assert widget.runner.result.text().startswith("3 objects")


def test_a_server_that_dies_leaves_nothing_half_done_and_the_next_run_works(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, service: SegmentationService, press_run: Step
) -> None:
    widget = make_widget(squares, model_choice=Failing(service, GONE))
    choose(widget, qtbot)
    press_run(widget)
    assert [layer.name for layer in widget.viewer.layers] == ["cells"]
    assert widget.message.text.text() == str(GONE)
    assert (widget.message.badge.kind, widget.message.action.text()) == ("error", "Server...")
    assert (widget.message.second.text(), widget.message.second.isHidden()) == ("Details", False)
    assert widget.runner.run.isEnabled()
    press_run(widget)
    assert [layer.name for layer in widget.viewer.layers] == ["cells", "cells labels", "cells contours"]


def test_an_error_of_an_image_is_not_blamed_on_the_server(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, service: SegmentationService, press_run: Step
) -> None:
    widget = make_widget(squares, model_choice=Failing(service, ImageError("This image cannot be read.")))
    choose(widget, qtbot)
    press_run(widget)
    assert widget.message.text.text() == "This image cannot be read."
    assert widget.message.buttons.currentWidget() is widget.message.details


def test_a_server_that_goes_away_takes_the_layers_that_are_left_with_it(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, service: SegmentationService, press_run: Step
) -> None:
    failing = Failing(service, GONE)
    widget = make_widget(*(ImageLayer(squares, name=name) for name in "abc"), model_choice=failing)
    choose(widget, qtbot)
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert [layer.name for layer in widget.viewer.layers] == ["a", "b", "c"]
    assert widget.message.text.text() == str(GONE)
    assert widget.message.action.text() == "Server..."


def test_layers_that_were_finished_before_their_server_went_away_are_kept(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, service: SegmentationService, press_run: Step
) -> None:
    class GoneAfterOne(Failing):
        def segment(self, *arguments: Any, **options: Any) -> Any:
            segmentation = super().segment(*arguments, **options)
            self.errors = [GONE]
            return segmentation

    widget = make_widget(*(ImageLayer(squares, name=name) for name in "abc"), model_choice=GoneAfterOne(service))
    choose(widget, qtbot)
    widget.viewer.layers.selection = set(widget.viewer.layers)
    widget.inputs.run_on.choose(RunOn.SELECTED)
    press_run(widget)
    assert [layer.name for layer in widget.viewer.layers if "labels" in layer.name] == ["a labels"]
    for name in "bc":
        assert f"'{name}' was not segmented: {GONE}" in widget.message.text.text()


def test_a_result_is_kept_though_its_server_is_gone_before_it_said_how_it_is(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, service: SegmentationService, press_run: Step
) -> None:
    class Silent(Failing):
        def health(self, *arguments: Any, **options: Any) -> Any:
            raise GONE

    widget = make_widget(squares, model_choice=Silent(service))
    choose(widget, qtbot)
    press_run(widget)
    assert "cells labels" in [layer.name for layer in widget.viewer.layers]
    assert widget.runner.result.text().startswith("3 objects")


def test_the_forecast_names_the_server(make_widget: MakeWidget, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(squares)
    choose(widget, qtbot)
    qtbot.waitUntil(lambda: not widget.run_forecast.busy, timeout=20_000)
    assert widget.runner.forecast.text() == "Server lab:8001"
    assert widget.runner.forecast.toolTip() == "The time is not known before a first run."


def test_the_panel_speaks_of_the_server_and_spares_its_memory(
    make_widget: MakeWidget, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(squares)
    panel = widget.health.panel
    widget.health.expand()
    choose(widget, qtbot)
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=20_000)
    assert panel.host.text() == "Server"
    assert not panel.buttons["free"].isEnabled()
    assert "others may be using them" in panel.buttons["free"].toolTip()
    assert panel.buttons["check"].isEnabled()
    widget.inputs.device.choose("cpu")
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=20_000)
    assert panel.host.text() == "napari"
    assert panel.buttons["free"].isEnabled()


def test_a_key_that_is_refused_is_asked_again_after_the_dialog(
    make_widget: MakeWidget, squares: Squares, qtbot: Any, lab: Any
) -> None:
    lab.error = KeyRefused("lab:8001 wants another key.")
    widget = make_widget(squares)
    choose(widget, qtbot)
    widget.servers.open()
    lab.error = None
    lab.asked.clear()
    dialog_of(widget).key.setText("right")
    dialog_of(widget).save.click()
    qtbot.waitUntil(lambda: widget.servers.dialog is None, timeout=20_000)
    answered(widget, qtbot)
    assert lab.asked == [(LAB, "right")]
    assert server_words.READY not in widget.message.text.text()
    assert "wants another key" not in widget.message.text.text()
