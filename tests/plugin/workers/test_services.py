import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin.workers.services import SharedServices, preferred_model, requested_device


@pytest.fixture
def services() -> SharedServices:
    return SharedServices()


def test_a_second_request_gets_the_same_service(services: SharedServices, bright_model: Path) -> None:
    assert services.shared_service(str(bright_model), "cpu") is services.shared_service(str(bright_model), "cpu")


def test_the_model_before_stays_in_memory(services: SharedServices, bright_model: Path, tmp_path: Path) -> None:
    before = services.shared_service(str(bright_model), "cpu")
    before.initialize(warm_up=False)
    other = services.shared_service(str(shutil.copytree(bright_model, tmp_path / "other")), "cpu")
    other.initialize(warm_up=False)
    assert other.package.path == tmp_path / "other"
    assert other.model_info().loaded
    assert before.model_info().loaded


def test_models_beyond_the_memory_that_is_set_are_let_go(
    services: SharedServices, bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNET_MODEL_MAX_MODELS_GB", "0.000001")
    before = services.shared_service(str(bright_model), "cpu")
    before.initialize(warm_up=False)
    services.shared_service(str(shutil.copytree(bright_model, tmp_path / "other")), "cpu").initialize(warm_up=False)
    assert not before.model_info().loaded


def test_a_model_that_does_not_exist_leaves_the_one_before(services: SharedServices, bright_model: Path) -> None:
    before = services.shared_service(str(bright_model), "cpu")
    with pytest.raises(ModelError):
        services.shared_service("no such model", "cpu")
    assert services.shared_service(str(bright_model), "cpu") is before


def test_a_service_is_known_once_it_is_there(services: SharedServices, bright_model: Path) -> None:
    assert services.known_service(str(bright_model), "cpu") is None
    service = services.shared_service(str(bright_model), "cpu")
    assert services.known_service(str(bright_model), "cpu") is service
    assert services.known_service(str(bright_model), "auto") is None


def test_the_named_model_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferred_model() is None
    monkeypatch.setenv("UNET_MODEL_NAME", "unet_spherohq")
    assert preferred_model() == "unet_spherohq"


def test_wrong_settings_do_not_keep_the_window_from_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNET_MODEL_DEVICE", "gpu")
    assert preferred_model() is None


@pytest.mark.parametrize(("choice", "requested"), [("auto", None), ("cuda", "cuda"), ("cpu", "cpu")])
def test_the_settings_decide_where_nobody_chose_a_device(choice: str, requested: str | None) -> None:
    assert requested_device(choice) == requested


def test_a_window_runs_on_the_device_that_is_set(
    services: SharedServices, bright_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNET_MODEL_DEVICE", "cpu")
    service = services.shared_service(str(bright_model), "auto")
    service.initialize(warm_up=False)
    assert service.model_info().device_reason == "The CPU was asked for."
    service.close()


def test_a_server_that_does_not_answer_to_run_again_keeps_nobody_else_waiting(
    services: SharedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, over = threading.Event(), threading.Event()

    def connect(recipe: Any, address: str) -> Any:
        asked.set()
        assert over.wait(20)
        return SimpleNamespace(unload=lambda: None)

    monkeypatch.setattr(services, "_repeating_service", connect)
    run = SimpleNamespace(server=SimpleNamespace(address="http://lab:8001"))
    recipe: Any = SimpleNamespace(run=run, model_dump_json=lambda include: "the same")
    waiting = threading.Thread(target=services.recipe_service, args=[recipe])
    waiting.start()
    assert asked.wait(20)
    # The window does so itself when a server is saved.
    saving = threading.Thread(target=services.forget_service, args=["http://lab:8002"])
    saving.start()
    saving.join(10)
    was_kept_waiting = saving.is_alive()
    over.set()
    waiting.join()
    saving.join()
    assert not was_kept_waiting
