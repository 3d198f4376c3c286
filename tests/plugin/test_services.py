from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin import services
from napari_unetseg.plugin.services import shared_service


@pytest.fixture(autouse=True)
def _no_service_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(services, "_shared", {})
    return


def test_a_second_request_gets_the_same_service(bright_model: Path) -> None:
    assert shared_service(str(bright_model), "cpu") is shared_service(str(bright_model), "cpu")


def test_another_choice_unloads_the_model_before(bright_model: Path) -> None:
    before = shared_service(str(bright_model), "cpu")
    before.initialize(warm_up=False)
    assert before.model_info().loaded
    after = shared_service(str(bright_model), "auto")
    assert after is not before
    assert not before.model_info().loaded


def test_a_model_that_does_not_exist_leaves_the_one_before(bright_model: Path) -> None:
    before = shared_service(str(bright_model), "cpu")
    with pytest.raises(ModelError):
        shared_service("no such model", "cpu")
    assert shared_service(str(bright_model), "cpu") is before
