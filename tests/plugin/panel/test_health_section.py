"""The section in the real window, with a real, tiny model."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication, QDialog, QDockWidget, QPlainTextEdit, QWidget

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service.reports import LastError
from napari_unetseg.zoo.registry import ModelPackage

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Answered = Callable[[Any], None]
Squares = NDArray[np.uint16]


def dock_of(widget: QWidget) -> QDockWidget:
    parent = widget.parentWidget()
    while not isinstance(parent, QDockWidget):
        assert parent is not None
        parent = parent.parentWidget()
    return parent


def press(widget: SegmentationWidget, action: Any, answered: Answered) -> None:
    widget.health.panel.buttons[action].click()
    answered(widget.health)


@pytest.fixture
def closed(make_widget: MakeWidget, witness: Any, qtbot: Any) -> SegmentationWidget:
    """A widget on screen whose section is closed."""
    widget = make_widget(model_choice=witness, show=True)
    qtbot.waitUntil(widget.health.isVisible, timeout=20_000)
    return widget


@pytest.fixture
def opened(closed: SegmentationWidget, answered: Answered) -> SegmentationWidget:
    """A widget on screen whose section is open and has its first answer."""
    widget = closed
    widget.health.expand()
    answered(widget.health)
    return widget


def test_closed_it_asks_nothing(closed: SegmentationWidget, witness: Any, answered: Answered) -> None:
    widget = closed
    assert not widget.health.checking
    assert not widget.health.controller.waiting
    assert witness.asked == []
    assert widget.health.summary.full == "not asked yet"
    widget.health.toggle.click()
    answered(widget.health)
    assert widget.health.controller.waiting
    widget.health.toggle.click()
    assert not widget.health.controller.waiting
    assert witness.asked == ["refresh"]


def test_hidden_it_asks_nothing(opened: SegmentationWidget, witness: Any, answered: Answered) -> None:
    dock = dock_of(opened)
    assert opened.health.controller.waiting
    dock.hide()
    assert not opened.health.controller.waiting
    dock.show()
    answered(opened.health)
    assert opened.health.controller.waiting
    assert witness.asked == ["refresh"] * 2


def test_behind_another_dock_it_asks_nothing(
    opened: SegmentationWidget, witness: Any, answered: Answered, qtbot: Any
) -> None:
    window = opened.viewer.window
    window.add_dock_widget(QWidget(), name="other", area="right", tabify=True).raise_()
    qtbot.waitUntil(lambda: not opened.health.controller.waiting, timeout=20_000)
    asked = len(witness.asked)
    dock_of(opened).raise_()
    qtbot.waitUntil(lambda: len(witness.asked) > asked, timeout=20_000)
    answered(opened.health)
    assert opened.health.controller.waiting


def test_opening_it_loads_no_model(opened: SegmentationWidget, witness: Any) -> None:
    health = opened.health
    assert health.badge.kind == "idle"
    assert health.summary.full == "not loaded"
    assert "next run" in health.panel.words.full
    assert not witness.model_info().loaded
    assert all(button.isEnabled() for button in health.panel.buttons.values())
    assert health.panel.device.full == "-"
    assert re.search(r"[MG]B of", health.panel.figures["host"].full)
    assert health.panel.card.values["parameters"].text() == "known once it is loaded"


def test_check_tells_what_is_loaded_and_where(opened: SegmentationWidget, answered: Answered) -> None:
    health = opened.health
    health.panel.buttons["check"].click()
    assert health.badge.kind == "busy"
    assert health.summary.full == "checking..."
    assert "test image" in health.panel.words.full
    for button in health.panel.buttons.values():
        assert not button.isEnabled()
        assert button.toolTip() == "Wait for the answer."
    answered(health)
    assert health.badge.kind == "good"
    assert health.summary.full == "ready"
    assert f"Last check {datetime.now():%H:}" in health.panel.words.full
    assert health.panel.device.full.startswith("CPU")
    assert health.panel.reason.full
    assert health.panel.card.values["parameters"].text()[0].isdigit()
    assert all(button.isEnabled() for button in health.panel.buttons.values())


def test_load_and_free(opened: SegmentationWidget, witness: Any, answered: Answered) -> None:
    health = opened.health
    press(opened, "warm up", answered)
    assert (health.badge.kind, witness.model_info().loaded) == ("good", True)
    assert health.panel.words.full.startswith("Bright objects")
    press(opened, "reload", answered)
    assert health.badge.kind == "good"
    press(opened, "free", answered)
    assert (health.badge.kind, witness.model_info().loaded) == ("idle", False)
    assert health.panel.words.full.startswith("The model's memory is free.")


def test_a_broken_model_is_told_with_details_to_copy(
    opened: SegmentationWidget, witness: Any, answered: Answered
) -> None:
    health, last_error = opened.health, opened.health.panel.last_error
    assert last_error.when.full == "none"
    assert not last_error.copy.isEnabled()
    witness.error = ModelError("bright/weights.safetensors: cut off. Copy it again.")
    press(opened, "reload", answered)
    assert (health.badge.kind, health.light.state) == ("error", "trouble")
    assert health.summary.full == "trouble · The model could not be reloaded."
    assert health.panel.words.full == (
        "The model could not be reloaded. bright/weights.safetensors: cut off. Copy it again."
    )
    assert last_error.text.full == "bright/weights.safetensors: cut off. Copy it again."
    last_error.copy.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    for part in ("cut off", "Traceback", "Bright objects", "napari-unetseg"):
        assert part in clipboard.text()
    last_error.details.click()
    (dialog,) = opened.findChildren(QDialog)
    (text,) = dialog.findChildren(QPlainTextEdit)
    assert text.toPlainText() == last_error.report()
    dialog.close()


def test_an_error_stays_until_something_better_is_known(
    opened: SegmentationWidget, witness: Any, answered: Answered
) -> None:
    health = opened.health
    witness.error = ModelError("Broken.")
    press(opened, "check", answered)
    witness.error = None
    health.controller.set_running(False)
    answered(health)
    assert witness.asked[-1] == "refresh"
    assert health.badge.kind == "error"
    press(opened, "check", answered)
    assert health.badge.kind == "good"
    assert health.panel.last_error.text.full.endswith("Broken.")


def test_a_refresh_that_failed_is_forgotten_when_the_next_succeeds(
    opened: SegmentationWidget, witness: Any, answered: Answered
) -> None:
    health = opened.health
    for error, kind in ((ModelError("Gone."), "error"), (None, "idle")):
        witness.error = error
        health.controller.set_running(False)
        answered(health)
        assert health.badge.kind == kind


def test_a_run_that_failed_is_the_last_error(opened: SegmentationWidget, witness: Any, answered: Answered) -> None:
    now = datetime.now().astimezone().isoformat()
    witness.change = {"last_error": LastError("cells: NaN everywhere.", now, "4f2a")}
    press(opened, "check", answered)
    assert opened.health.badge.kind == "good"
    assert opened.health.panel.last_error.text.full.endswith("cells: NaN everywhere.")
    assert "Request 4f2a" in opened.health.panel.last_error.report()


def test_steps_against_want_of_memory_can_be_read(opened: SegmentationWidget, witness: Any, answered: Answered) -> None:
    step = "GPU memory ran out; finished on tiles of 512."
    witness.change = {"memory_steps": (step,)}
    press(opened, "check", answered)
    assert opened.health.panel.remarks.full == step


def test_a_run_fills_the_sparkline_and_locks_the_buttons(
    make_widget: MakeWidget, gated: Any, press_run: Step, qtbot: Any, squares: Squares
) -> None:
    widget = make_widget(squares, model_choice=gated)
    health = widget.health
    widget.runner.run.click()
    qtbot.waitUntil(gated.entered.is_set, timeout=20_000)
    assert health.badge.kind == "busy"
    assert health.summary.full.startswith("running")
    assert not any(button.isEnabled() for button in health.panel.buttons.values())
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert health.badge.kind == "good"
    assert health.summary.full == "ready"
    assert "p95" in health.panel.latency.full
    assert len(health.panel.sparkline.values) >= 1
    assert health.panel.latency.full.startswith("median")
    assert all(button.isEnabled() for button in health.panel.buttons.values())


def test_another_device_starts_from_nothing(opened: SegmentationWidget, answered: Answered) -> None:
    press(opened, "check", answered)
    opened.inputs.device.setCurrentIndex(opened.inputs.device.findData("cpu"))
    assert opened.health.summary.full == "not asked yet"
    assert opened.health.panel.latency.full == "-"
    answered(opened.health)


def test_nothing_moves_when_values_arrive(
    opened: SegmentationWidget, witness: Any, answered: Answered, qtbot: Any
) -> None:
    panel = opened.health.panel

    def places() -> list[Any]:
        QApplication.processEvents()
        rows = [*panel.buttons.values(), panel.device, *panel.bars.values(), *panel.figures.values()]
        rows += [panel.sparkline, panel.latency, panel.remarks, panel.last_error, panel.card]
        return [(row.mapTo(panel, row.rect().topLeft()), row.size()) for row in rows]

    before = places()
    witness.change = {"memory_steps": ("Memory ran out. " * 9,), "device_reason": "No GPU was found here. " * 9}
    press(opened, "check", answered)
    assert places() == before
    witness.error = ModelError("A long story. " * 30)
    press(opened, "check", answered)
    assert places() == before


def test_it_fits_beside_the_layer_list_at_1280_by_800(opened: SegmentationWidget, qtbot: Any) -> None:
    window = opened.window()
    assert window is not None
    window.resize(1280, 800)
    QApplication.processEvents()
    assert (window.width(), window.height()) == (1280, 800)
    area = opened.health.area
    assert opened.width() < 360
    assert area.mapTo(window, area.rect().bottomRight()).y() < 800
    qtbot.waitUntil(lambda: area.height() >= 160, timeout=20_000)
    assert opened.health.panel.width() <= area.viewport().width()
    for button in opened.health.panel.buttons.values():
        words = button.fontMetrics().horizontalAdvance(button.text())
        assert button.width() >= words


def test_it_can_be_open_with_more_at_1280_by_800(opened: SegmentationWidget) -> None:
    window = opened.window()
    assert window is not None
    opened.more.expand()
    QApplication.processEvents()
    window.resize(1280, 800)
    QApplication.processEvents()
    assert window.height() == 800
    assert opened.minimumSizeHint().height() <= opened.height()


def test_colours_follow_the_theme(opened: SegmentationWidget, answered: Answered) -> None:
    press(opened, "check", answered)

    def look() -> tuple[str, bytes]:
        picture = opened.health.panel.bars["host"].grab().toImage()
        return opened.health.badge.styleSheet(), bytes(picture.constBits().asarray(picture.sizeInBytes()))

    looks = set()
    for theme in ("dark", "light", "dark"):
        opened.viewer.theme = theme
        looks.add(look())
    assert len(looks) == 2


def test_the_summary_does_not_depend_on_colour(opened: SegmentationWidget, witness: Any, answered: Answered) -> None:
    signs = {(opened.health.badge.text(), opened.health.light.state)}
    press(opened, "check", answered)
    signs.add((opened.health.badge.text(), opened.health.light.state))
    witness.error = ModelError("Broken.")
    press(opened, "check", answered)
    signs.add((opened.health.badge.text(), opened.health.light.state))
    assert len({glyph for glyph, _ in signs}) == len({state for _, state in signs}) == 3


def test_an_answer_after_the_window_is_gone_is_quiet(
    make_napari_viewer_proxy: Any, package: ModelPackage, witness: Any, qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    widget = SegmentationWidget(viewer, services=lambda model, device: witness, models=lambda: [package])
    viewer.window.add_dock_widget(widget)
    witness.hold()
    widget.health.panel.buttons["check"].click()
    qtbot.waitUntil(lambda: witness.asked == ["check"], timeout=20_000)
    viewer.close()
    witness.release()
    pool = QThreadPool.globalInstance()
    assert pool is not None
    assert pool.waitForDone(20_000)
    QApplication.processEvents()
