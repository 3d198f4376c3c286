import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin.work import services
from napari_unetseg.plugin.work.services import shared_service


@pytest.fixture(autouse=True)
def _no_service_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(services, "_shared", {})
    monkeypatch.setattr(services, "_devices", {})
    return


def test_a_second_request_gets_the_same_service(bright_model: Path) -> None:
    assert shared_service(str(bright_model), "cpu") is shared_service(str(bright_model), "cpu")


def test_the_model_before_stays_in_memory(bright_model: Path, tmp_path: Path) -> None:
    before = shared_service(str(bright_model), "cpu")
    before.initialize(warm_up=False)
    other = shared_service(str(shutil.copytree(bright_model, tmp_path / "other")), "cpu")
    other.initialize(warm_up=False)
    assert other.package.path == tmp_path / "other"
    assert other.model_info().loaded
    assert before.model_info().loaded


def test_models_beyond_the_memory_that_is_set_are_let_go(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNET_MODEL_MAX_MODELS_GB", "0.000001")
    before = shared_service(str(bright_model), "cpu")
    before.initialize(warm_up=False)
    shared_service(str(shutil.copytree(bright_model, tmp_path / "other")), "cpu").initialize(warm_up=False)
    assert not before.model_info().loaded


def test_a_model_that_does_not_exist_leaves_the_one_before(bright_model: Path) -> None:
    before = shared_service(str(bright_model), "cpu")
    with pytest.raises(ModelError):
        shared_service("no such model", "cpu")
    assert shared_service(str(bright_model), "cpu") is before
