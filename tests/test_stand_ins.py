"""What stands in for small libraries where `benchmarks/gpu.py` runs does what they do."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import platformdirs
import psutil
import pytest
import safetensors
import safetensors.torch
import torch
import yaml

from napari_unetseg.config.environment import Variables

ROOT = Path(__file__).parents[1]
STAND_INS = ROOT / "benchmarks" / "stand_ins"
CARDS = sorted(ROOT.glob("src/napari_unetseg/models/*/*.yaml")) + sorted(ROOT.glob("benchmarks/*.yaml"))


def load(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, STAND_INS / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tensors_stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    package = load("safetensors", "safetensors/__init__.py")
    monkeypatch.setitem(sys.modules, "safetensors", package)
    of_torch = load("safetensors.torch", "safetensors/torch.py")
    monkeypatch.setitem(sys.modules, "safetensors.torch", of_torch)
    return package, of_torch


@pytest.mark.parametrize("path", CARDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_cards_and_recipes_are_read_as_by_pyyaml(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert load("stand_in_yaml", "yaml.py").safe_load(text) == yaml.safe_load(text)


def test_what_is_written_is_yaml() -> None:
    values = {"name": "a: b", "sizes": [1, 2.5, None], "deep": {"yes": True, "text": "# no remark"}}
    stand_in = load("stand_in_yaml", "yaml.py")
    text = stand_in.safe_dump(values, sort_keys=False)
    assert yaml.safe_load(text) == stand_in.safe_load(text) == values


TENSORS = {
    "kernel": torch.arange(24, dtype=torch.float16).reshape(2, 3, 4),
    "brain": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "none": torch.empty(0, 3),
}


def test_weights_are_read_as_by_safetensors(tensors_stand_in: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    content = safetensors.torch.save(TENSORS, metadata={"key": "value"})
    found = tensors_stand_in[1].load(content)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with tensors_stand_in[0].safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"key": "value"}
        np.testing.assert_array_equal(file.get_tensor("kernel"), TENSORS["kernel"].numpy())


def test_weights_are_written_for_safetensors(tensors_stand_in: tuple[ModuleType, ModuleType]) -> None:
    found = safetensors.torch.load(tensors_stand_in[1].save(TENSORS, metadata={"key": "value"}))
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


def test_what_is_no_file_of_weights_is_refused(tensors_stand_in: tuple[ModuleType, ModuleType]) -> None:
    with pytest.raises(tensors_stand_in[0].SafetensorError):
        tensors_stand_in[1].load(b"\x08\0\0\0\0\0\0\0no json.")


def test_variables_are_read_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = load("stand_in_settings", "pydantic_settings.py")

    class Section(stand_in.BaseModel):  # type: ignore[name-defined,misc]
        side: int = 1
        name: str = "none"

    class Some(stand_in.BaseSettings):  # type: ignore[name-defined,misc]
        unet: Section = Section()

        @classmethod
        def settings_customise_sources(cls, kind, given, *others):  # type: ignore[no-untyped-def]
            return given, Variables(kind)

    monkeypatch.setenv("UNET_SIDE", "3")
    assert Some().unet == Section(side=3)
    assert Some(unet={"name": "given"}).unet == Section(side=3, name="given")


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-ins know Linux")
def test_folders_and_memory_are_those_that_the_libraries_name() -> None:
    ours = load("stand_in_dirs", "platformdirs.py")
    for name in ("user_cache_path", "user_config_path", "user_data_path", "user_state_path"):
        assert getattr(ours, name)("some", appauthor=False) == getattr(platformdirs, name)("some", appauthor=False)
    memory = load("stand_in_psutil", "psutil.py")
    assert memory.virtual_memory().total == psutil.virtual_memory().total
    assert memory.Process().memory_info().rss > 0
    with pytest.raises(memory.NoSuchProcess):
        memory.Process(2**30)
