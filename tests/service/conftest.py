import shutil
import weakref
from collections.abc import Callable
from math import prod
from pathlib import Path
from types import SimpleNamespace
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


class PretendedCard:
    """A graphics card with so many bytes, for tests without one: its networks compute on the CPU."""

    def __init__(self) -> None:
        self.room = 10**12
        self.taken = 0
        self.works = True
        self.before_run: Callable[[], object] = lambda: None
        self.networks: list[weakref.ref[Any]] = []

    def take(self, size: int) -> None:
        import torch

        if self.taken + size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.taken += size


def pretended_backend() -> Any:
    """Return what stands for `GpuBackend`: its weights, and ten times a batch while that runs, take room of a card."""
    from napari_unetseg.inference.backends.gpu.gpu_backend import GpuBackend

    class PretendedBackend(GpuBackend):
        def __init__(
            self, network: Any, heads: Any, device: Any, pools: Any, place: PretendedCard, **rest: Any
        ) -> None:
            self._place = place
            self._size = 0
            size = sum(tensor.nbytes for tensor in network.parameters())
            place.take(size)
            self._size = size
            super().__init__(network, heads, device, pools, torch_name="cpu", **rest)

        @property
        def device_memory_mb(self) -> float:
            return self._place.taken / 2**20

        def start(self, *arguments: Any, **rest: Any) -> Any:
            self._place.before_run()
            return super().start(*arguments, **rest)

        def _compute(self, network: Any, shape: tuple[int, ...], *rest: Any) -> Any:
            size = 10 * 4 * prod(shape)
            self._place.take(size)
            try:
                return super()._compute(network, shape, *rest)
            finally:
                self._place.taken -= size

        def unload(self) -> None:
            self._place.taken -= self._size
            self._size = 0
            super().unload()

    return PretendedBackend


@pytest.fixture
def pretend_cards(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[PretendedCard]]:
    """Let PyTorch see so many graphics cards, and networks be put onto them."""
    import torch

    from napari_unetseg.inference.backends import device
    from napari_unetseg.service import loaded_model

    def make(count: int) -> list[PretendedCard]:
        cards = [PretendedCard() for _ in range(count)]

        def card_of(which: int | str) -> PretendedCard:
            return cards[which if isinstance(which, int) else int(which.partition(":")[2] or 0)]

        make_backend = loaded_model.make_backend

        def try_out(torch_name: str) -> None:
            if torch_name != "cpu" and not card_of(torch_name).works:
                raise RuntimeError("CUDA error: no kernel image is available")

        def put(plan: Any, network: Any, card: Any, chosen: device.Device, pools: Any = None, **rest: Any) -> Any:
            if chosen.kind == "cpu":
                return make_backend(plan, network, card, chosen, pools, **rest)
            place = cards[chosen.index]
            place.networks.append(weakref.ref(network))
            return pretended_backend()(network, card.outputs, chosen, pools, place, precision=plan.precision)

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda which=0: f"Pretended {cards.index(card_of(which))}")
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda which: SimpleNamespace(total_memory=card_of(which).room)
        )
        monkeypatch.setattr(device, "_try_out", try_out)
        monkeypatch.setattr(loaded_model, "make_backend", put)
        return cards

    return make
