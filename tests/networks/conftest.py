"""Golden vectors: what the published networks answer, with weights that anyone can make again."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

DATA = Path(__file__).parents[1] / "data"
SEED = 7


def golden_tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value that a state-dict entry had when the golden vectors were computed."""
    if key.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    noise = np.random.default_rng([SEED, zlib.crc32(key.encode())]).standard_normal(shape)
    if key.endswith("running_var"):
        value = 1 + 0.1 * np.abs(noise)
    elif key.endswith(("running_mean", "bias")):
        value = 0.1 * noise
    elif len(shape) <= 1:
        value = 1 + 0.1 * noise
    else:
        value = noise * np.sqrt(2 / np.prod(shape[1:]))
    return value.astype(np.float32)


class Golden:
    """The vectors of one published network."""

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Shape of each entry of the published checkpoint."""
        listed = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
        return {key: tuple(shape) for key, shape in listed.items()}

    def tensors(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
        return {key: torch.from_numpy(golden_tensor(key, shape)) for key, shape in shapes.items()}

    def vectors(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and output, float32 (N, C, H, W)."""
        with np.load(DATA / f"{name}.npz") as file:
            return torch.from_numpy(file["x"]), torch.from_numpy(file["y"])


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()
