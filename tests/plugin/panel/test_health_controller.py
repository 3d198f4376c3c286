"""When the service is asked, and what; the service is real and tiny."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin.panel import health_controller
from napari_unetseg.plugin.panel.health_controller import HealthController, HealthReport, ModelOnDevice

HOUR = 3600.0
Answered = Callable[[Any], None]


class Listener:
    """A controller's signals, in order."""

    def __init__(self, controller: HealthController) -> None:
        self.heard: list[Any] = []
        self.reports: list[HealthReport] = []
        controller.began.connect(lambda action: self.heard.append(("began", action)))
        controller.ended.connect(lambda action: self.heard.append(("ended", action)))
        controller.reported.connect(self.reports.append)
        controller.failed.connect(lambda action, error: self.heard.append(("failed", action, str(error))))


@pytest.fixture
def make(qtbot: Any, witness: Any) -> Iterator[Callable[..., tuple[HealthController, Listener]]]:
    made = []

    def make(interval: float = HOUR, services: Any = None) -> tuple[HealthController, Listener]:
        controller = HealthController(services or (lambda model, device: witness), interval=lambda: interval)
        controller.choose(ModelOnDevice("bright", "cpu"))
        made.append(controller)
        return controller, Listener(controller)

    yield make
    witness.release()
    for controller in made:
        controller.watch(False)
        qtbot.waitUntil(lambda c=controller: not c.checking, timeout=20_000)


def test_nothing_is_asked_as_long_as_nobody_watches(make: Any, witness: Any) -> None:
    controller, _ = make()
    assert not controller.checking
    assert not controller.waiting
    assert witness.asked == []


def test_a_refresh_loads_nothing(make: Any, witness: Any, answered: Answered) -> None:
    controller, listener = make()
    controller.watch(True)
    answered(controller)
    assert witness.asked == ["refresh"]
    assert not witness.model_info().loaded
    assert [report.action for report in listener.reports] == ["refresh"]
    assert controller.waiting
    assert listener.heard == []


def test_it_asks_again_after_the_interval(make: Any, witness: Any, qtbot: Any) -> None:
    controller, _ = make(interval=0.01)
    controller.watch(True)
    qtbot.waitUntil(lambda: len(witness.asked) >= 4, timeout=20_000)
    assert set(witness.asked) == {"refresh"}


def test_nobody_watching_stops_the_clock(make: Any, witness: Any, qtbot: Any, answered: Answered) -> None:
    controller, _ = make(interval=0.01)
    controller.watch(True)
    qtbot.waitUntil(lambda: len(witness.asked) >= 2, timeout=20_000)
    controller.watch(False)
    answered(controller)
    assert not controller.waiting
    assert not controller.checking


def test_a_question_that_takes_long_is_not_asked_twice(make: Any, witness: Any, qtbot: Any, answered: Answered) -> None:
    controller, _ = make(interval=0.01)
    witness.hold()
    controller.watch(True)
    qtbot.waitUntil(lambda: witness.asked == ["refresh"], timeout=20_000)
    for _ in range(3):
        controller.watch(False)
        controller.watch(True)
        controller.set_running(True)
    assert not controller.waiting
    controller.watch(False)
    witness.release()
    answered(controller)
    assert witness.asked == ["refresh"]


@pytest.mark.parametrize(
    ("action", "asked", "loaded"),
    [
        ("check", ["check"], True),
        ("reload", ["initialize(force_reload=True, warm_up=False)", "refresh"], True),
        ("warm up", ["initialize(force_reload=False, warm_up=True)", "refresh"], True),
        ("free", ["unload", "refresh"], False),
    ],
)
def test_each_verb_asks_the_service_for_its_own(
    make: Any, witness: Any, answered: Answered, action: Any, asked: list[str], loaded: bool
) -> None:
    controller, listener = make()
    controller.do(action)
    answered(controller)
    assert witness.asked == asked
    assert witness.model_info().loaded is loaded
    (report,) = listener.reports
    assert (report.action, report.health.model_loaded, report.info.loaded) == (action, loaded, loaded)
    assert listener.heard == [("began", action), ("ended", action)]
    assert bool(report.message) is (action in ("reload", "warm up"))
    assert not controller.waiting


def test_a_button_pressed_during_a_refresh_waits_for_it(
    make: Any, witness: Any, qtbot: Any, answered: Answered
) -> None:
    controller, listener = make()
    witness.hold()
    controller.watch(True)
    qtbot.waitUntil(lambda: witness.asked == ["refresh"], timeout=20_000)
    controller.do("check")
    controller.do("free")
    assert listener.heard == [("began", "check")]
    witness.release()
    answered(controller)
    assert witness.asked == ["refresh", "check"]
    assert listener.heard == [("began", "check"), ("ended", "check")]
    assert controller.waiting


def test_an_answer_about_another_model_is_dropped_and_asked_anew(
    make: Any, witness: Any, qtbot: Any, answered: Answered
) -> None:
    asked_for: list[tuple[str, str]] = []

    def services(model: str, device: str) -> Any:
        asked_for.append((model, device))
        return witness

    controller, listener = make(services=services)
    witness.hold()
    controller.watch(True)
    qtbot.waitUntil(lambda: witness.asked == ["refresh"], timeout=20_000)
    controller.choose(ModelOnDevice("other", "cpu"))
    witness.release()
    answered(controller)
    assert asked_for == [("bright", "cpu"), ("other", "cpu")]
    assert len(listener.reports) == 1


def test_a_button_whose_model_is_gone_is_released(make: Any, witness: Any, qtbot: Any, answered: Answered) -> None:
    controller, listener = make()
    witness.hold()
    controller.watch(True)
    qtbot.waitUntil(lambda: witness.asked == ["refresh"], timeout=20_000)
    controller.do("check")
    controller.choose(None)
    witness.release()
    answered(controller)
    assert listener.heard == [("began", "check"), ("ended", "check")]
    controller.do("check")
    assert not controller.checking


def test_an_error_is_passed_on_and_the_clock_goes_on(make: Any, witness: Any, answered: Answered) -> None:
    controller, listener = make()
    witness.error = ModelError("weights.safetensors: not there.")
    controller.watch(True)
    answered(controller)
    controller.do("reload")
    answered(controller)
    assert listener.heard == [
        ("failed", "refresh", "weights.safetensors: not there."),
        ("began", "reload"),
        ("ended", "reload"),
        ("failed", "reload", "weights.safetensors: not there."),
    ]
    assert controller.waiting


def test_during_a_run_it_asks_more_often(
    make: Any, witness: Any, answered: Answered, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_controller, "DURING_RUN_SECONDS", 0.01)
    controller, _ = make(interval=HOUR)
    controller.watch(True)
    controller.set_running(True)
    qtbot.waitUntil(lambda: len(witness.asked) >= 3, timeout=20_000)
    controller.set_running(False)
    answered(controller)


def test_the_interval_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("unet: {health: {health_check_interval: 7}}\n", encoding="utf-8")
    monkeypatch.setenv("NAPARI_UNETSEG_CONFIG", str(file))
    assert health_controller.configured_interval() == 7
