from pathlib import Path

import pytest

from napari_unetseg.plugin.work import services
from napari_unetseg.plugin.work.preferences import preferred_model, requested_device
from napari_unetseg.plugin.work.services import shared_service


def test_the_named_model_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferred_model() is None
    monkeypatch.setenv("UNET_MODEL_NAME", "unet_spherohq")
    assert preferred_model() == "unet_spherohq"


def test_wrong_settings_do_not_keep_the_window_from_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNET_MODEL_DEVICE", "gpu")
    assert preferred_model() is None


@pytest.mark.parametrize(("choice", "asked_for"), [("auto", None), ("cuda", "cuda"), ("cpu", "cpu")])
def test_the_settings_decide_where_nobody_chose_a_device(choice: str, asked_for: str | None) -> None:
    assert requested_device(choice) == asked_for


def test_a_window_runs_on_the_device_that_is_set(bright_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_shared", {})
    monkeypatch.setattr(services, "_devices", {})
    monkeypatch.setenv("UNET_MODEL_DEVICE", "cpu")
    service = shared_service(str(bright_model), "auto")
    service.initialize(warm_up=False)
    assert service.model_info().device_reason == "The CPU was asked for."
    service.close()
