"""A model folder small enough to write in every test."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save

from napari_unetseg.networks import UNet
from napari_unetseg.zoo import registry
from napari_unetseg.zoo.card import ModelCard

ARGUMENTS = {"in_channels": 3, "out_channels": 2, "features": [2, 4]}

WriteModel = Callable[..., Path]
MakeCard = Callable[..., ModelCard]


def tiny_tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return UNet(**ARGUMENTS).half().state_dict()


def card_of(content: bytes) -> dict[str, object]:
    return {
        "format": 1,
        "name": "tiny",
        "display_name": "Tiny",
        "description": "A network for tests.",
        "architecture": {"name": "unet", "arguments": ARGUMENTS},
        "outputs": [{"name": "foreground"}, {"name": "distance"}],
        "decoder": "seeded_watershed",
        "weights": {"sha256": hashlib.sha256(content).hexdigest()},
        "licence": "CC0-1.0",
    }


def write_model(folder: Path, content: bytes | None = None, **changes: object) -> Path:
    """Write a model folder; `changes` are top-level keys of its card."""
    folder.mkdir(parents=True)
    content = save(tiny_tensors()) if content is None else content
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "model.yaml").write_text(yaml.safe_dump(card_of(content) | changes), encoding="utf-8")
    return folder


@pytest.fixture(name="write_model")
def write_model_fixture() -> WriteModel:
    return write_model


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return tiny_tensors()


@pytest.fixture
def bundled(tmp_path, monkeypatch) -> Path:
    """An empty folder in place of the bundled models; the user's folder is moved away as well."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.setattr(registry, "bundled_model_folder", lambda: folder)
    monkeypatch.setattr(registry, "user_model_folder", lambda: tmp_path / "user")
    return folder


@pytest.fixture
def user(tmp_path, bundled) -> Path:
    """The user's model folder, which does not exist yet."""
    return tmp_path / "user"


@pytest.fixture(scope="session")
def make_card() -> MakeCard:
    """Make a card of a U-Net with one pooling, with other fields where they are given."""

    def make(**fields: object) -> ModelCard:
        known = {
            "name": "tiny",
            "display_name": "Tiny objects",
            "description": "For tests.",
            "architecture": {"name": "unet", "arguments": {"in_channels": 3, "out_channels": 1, "features": [4, 8]}},
            "outputs": [{"name": "foreground"}],
            "decoder": "threshold",
            "weights": {"sha256": "0" * 64},
            "licence": "MIT",
        }
        return ModelCard.model_validate(known | fields)

    return make
