"""Packages of the BioImage Model Zoo, in the form that the zoo's own tools write them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from napari_unetseg.networks import UNet

SIDE = 32

WritePackage = Callable[..., Path]
Edit = Callable[[dict[str, Any]], None]


def hashed(path: Path) -> dict[str, str]:
    return {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def unet(outputs: int = 2, inputs: int = 1) -> UNet:
    torch.manual_seed(3)
    network = UNet(inputs, outputs, (2, 4))
    with torch.no_grad():
        # Without training every probability would lie near a half.
        network.final_conv.weight.mul_(8)
    return network.eval()


def picture(channels: int = 1) -> NDArray[np.float32]:
    y, x = np.mgrid[:SIDE, :SIDE]
    discs = [np.exp(-((y - 8 - 3 * c) ** 2 + (x - 20) ** 2) / 30) for c in range(channels)]
    return (100 + 1000 * np.stack(discs)[np.newaxis]).astype(np.float32)


def sigmoid(values: NDArray[Any]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-values.astype(np.float64)))).astype(np.float32)


def answer_to(network: UNet, prepared: NDArray[Any]) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = network(torch.from_numpy(prepared.astype(np.float32))).numpy()
    return found


def write_files(folder: Path, network: UNet, pixels: NDArray[Any], expected: NDArray[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "test_input.npy", pixels)
    np.save(folder / "test_output.npy", expected)
    torch.save(network.state_dict(), folder / "weights.torch")
    (folder / "cover.png").write_bytes(b"a picture")
    (folder / "README.md").write_text("# What it is\n", encoding="utf-8")


def general(version: str) -> dict[str, Any]:
    return {
        "format_version": version,
        "type": "model",
        "name": "Nuclei of somebody",
        "description": "Finds nuclei.",
        "authors": [{"name": "Ada Maker", "affiliation": "Somewhere"}],
        "cite": [{"text": "Maker 2020", "doi": "10.1000/xyz"}],
        "license": "MIT",
        "tags": ["nucleus"],
        "covers": ["cover.png"],
        "documentation": "README.md",
        "timestamp": "2019-12-11T11:22:32+00:00",
        "training_data": {"id": "somebody/images"},
    }


def described_0_5(
    folder: Path, preprocessing: list[Any], postprocessing: list[Any], names: list[str]
) -> dict[str, Any]:
    """The form that version 0.5 has, as bioimageio.spec writes it."""
    pixel = {"unit": "micrometer", "scale": 0.5}
    return general("0.5.4") | {
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["intensity"]},
                    {"type": "space", "id": "y", "size": {"min": 16, "step": 2}, **pixel},
                    {"type": "space", "id": "x", "size": {"min": 16, "step": 2}, **pixel},
                ],
                "test_tensor": hashed(folder / "test_input.npy"),
                "preprocessing": preprocessing,
            }
        ],
        "outputs": [
            {
                "id": "probability",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": names},
                    {"type": "space", "id": "y", "size": {"tensor_id": "raw", "axis_id": "y"}, "halo": 4, **pixel},
                    {"type": "space", "id": "x", "size": {"tensor_id": "raw", "axis_id": "x"}, "halo": 4, **pixel},
                ],
                "test_tensor": hashed(folder / "test_output.npy"),
                "postprocessing": postprocessing,
            }
        ],
        "weights": {
            "pytorch_state_dict": {
                **hashed(folder / "weights.torch"),
                "architecture": {"source": "network.py", "callable": "Net", "kwargs": {}},
                "pytorch_version": "2.6.0",
            }
        },
    }


def described_0_4(folder: Path, preprocessing: list[Any], postprocessing: list[Any], count: int) -> dict[str, Any]:
    """The form that version 0.4 has."""
    return general("0.4.9") | {
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "data_type": "float32",
                "data_range": [float("-inf"), float("inf")],
                "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 2, 2]},
                "preprocessing": preprocessing,
            }
        ],
        "outputs": [
            {
                "name": "probability",
                "axes": "bcyx",
                "data_type": "float32",
                "data_range": [float("-inf"), float("inf")],
                "halo": [0, 0, 4, 4],
                "shape": {
                    "reference_tensor": "raw",
                    "scale": [1.0, 0.0, 1.0, 1.0],
                    "offset": [0.0, count / 2, 0.0, 0.0],
                },
                "postprocessing": postprocessing,
            }
        ],
        "test_inputs": ["test_input.npy"],
        "test_outputs": ["test_output.npy"],
        "weights": {
            "pytorch_state_dict": {
                **hashed(folder / "weights.torch"),
                "architecture": "network.py:Net",
                "kwargs": {},
            }
        },
    }


def write_description(folder: Path, description: Mapping[str, Any], name: str = "rdf.yaml") -> Path:
    (folder / name).write_text(yaml.safe_dump(dict(description), sort_keys=False), encoding="utf-8")
    return folder


SCALE_RANGE = {"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 1.0, "max_percentile": 99.0}}


def zoo_package(folder: Path, names: Sequence[str], edit: Edit | None = None) -> Path:
    """Write a package whose network is a U-Net, with a halo and scale_range; `edit` changes its description."""
    network, pixels = unet(len(names)), picture()
    low, high = np.percentile(pixels, [1, 99])
    write_files(folder, network, pixels, sigmoid(answer_to(network, (pixels - low) / (high - low + 1e-6))))
    description = described_0_5(folder, [deepcopy(SCALE_RANGE)], [{"id": "sigmoid"}], list(names))
    if edit is not None:
        edit(description)
    return write_description(folder, description)


@pytest.fixture
def write_zoo_package(tmp_path: Path) -> WritePackage:
    """Write packages in the test's folder; see `zoo_package`."""

    def write(edit: Edit | None = None, names: tuple[str, ...] = ("nucleus", "boundary"), where: str = "given") -> Path:
        return zoo_package(tmp_path / where, names, edit)

    return write
