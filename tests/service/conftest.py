import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.config import Settings


@pytest.fixture
def squares():
    """Three bright squares of 36, 64 and 100 pixels on black."""
    image = np.zeros((60, 80), np.uint16)
    image[5:11, 5:11] = 4000
    image[20:28, 40:48] = 5000
    image[40:50, 10:20] = 6000
    return image


@pytest.fixture(scope="session")
def discs() -> Callable[..., NDArray[np.uint16]]:
    """Draw bright discs of one diameter in rows and columns on black."""

    def draw(diameter: int, per_side: int = 3) -> NDArray[np.uint16]:
        pitch = 2 * diameter
        y, x = np.mgrid[: per_side * pitch, : per_side * pitch] % pitch
        return (1000 * (np.hypot(y - pitch / 2 + 0.5, x - pitch / 2 + 0.5) <= diameter / 2)).astype(np.uint16)

    return draw


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Settings from keys of `unet`, written ``model__device="cpu"``; the device is the CPU."""

    def make(**keys: Any) -> Settings:
        unet: dict[str, dict[str, Any]] = {}
        for name, value in {"model__device": "cpu", **keys}.items():
            section, _, key = name.partition("__")
            unet.setdefault(section, {})[key] = value
        return Settings(unet=unet)

    return make


@pytest.fixture(scope="session")
def dark_model(bright_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds what the bright model leaves: pixels below half of the normalised intensity."""
    from safetensors.torch import load_file

    from napari_unetseg.zoo.card import read_card
    from napari_unetseg.zoo.packaging import write_package

    state = load_file(bright_model / "weights.safetensors")
    for key in ("final_conv.weight", "final_conv.bias"):
        state[key] = -state[key]
    fields = read_card(bright_model / "model.yaml").model_dump(exclude={"weights"})
    folder = tmp_path_factory.mktemp("models") / "dark"
    write_package(folder, fields | {"name": "dark"}, state)
    return folder


@pytest.fixture
def answered_model(bright_model: Path, tmp_path: Path) -> Path:
    """The bright model, with a known answer beside its weights."""
    from napari_unetseg.zoo.packaging import write_known_answer
    from napari_unetseg.zoo.registry import read_package

    folder = Path(shutil.copytree(bright_model, tmp_path / "bright"))
    write_known_answer(read_package(folder, "path"))
    return folder
