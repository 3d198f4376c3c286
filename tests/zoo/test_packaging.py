import hashlib
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from napari_unetseg.networks import UNet
from napari_unetseg.zoo.card import CARD_FILE, read_card
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import read_package

ARGUMENTS = {"in_channels": 3, "out_channels": 2, "features": [4, 8], "norm": "batch"}
FIELDS = {
    "name": "small",
    "display_name": "Small",
    "description": "A small network.",
    "architecture": {"name": "unet", "arguments": ARGUMENTS},
    "outputs": [{"name": "foreground"}, {"name": "distance"}],
    "decoder": "seeded_watershed",
    "licence": "CC0-1.0",
}


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    network = UNet(**ARGUMENTS).train()
    network(torch.rand(2, 3, 16, 16))  # statistics that are not those of a new network
    return network.eval()


def test_a_package_is_read_back(network: UNet, tmp_path: Path) -> None:
    card = write_package(tmp_path / "small", FIELDS, network.state_dict())
    assert read_card(tmp_path / "small" / CARD_FILE) == card
    assert card.weights.sha256 == hashlib.sha256((tmp_path / "small" / card.weights.file).read_bytes()).hexdigest()
    loaded = load_network(read_package(tmp_path / "small", "path"))
    pixels = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(pixels).sigmoid(), network(pixels).sigmoid(), atol=2e-3, rtol=0)


def test_kernels_are_halved_and_the_rest_stays(network: UNet, tmp_path: Path) -> None:
    state = network.state_dict()
    write_package(tmp_path, FIELDS, state)
    stored = load_file(tmp_path / "weights.safetensors")
    assert stored.keys() == state.keys()
    for name, tensor in stored.items():
        if tensor.ndim > 1:
            assert tensor.dtype == torch.float16
        else:
            assert torch.equal(tensor, state[name])


def test_full_precision_is_exact(network: UNet, tmp_path: Path) -> None:
    write_package(tmp_path, FIELDS, network.state_dict(), dtype=torch.float32)
    loaded = load_network(read_package(tmp_path, "path")).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in network.state_dict().items())


def test_a_package_is_replaced_with_its_hash(network: UNet, tmp_path: Path) -> None:
    first = write_package(tmp_path, FIELDS, network.state_dict())
    torch.nn.init.ones_(network.final_conv.weight)
    second = write_package(tmp_path, {**FIELDS, "display_name": "Other"}, network.state_dict())
    assert first.weights.sha256 != second.weights.sha256
    loaded = load_network(read_package(tmp_path, "path"))
    assert (loaded.state_dict()["final_conv.weight"] == 1).all()


def test_wrong_fields_write_nothing(network: UNet, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="decoder"):
        write_package(tmp_path / "small", {**FIELDS, "decoder": "magic"}, network.state_dict())
    assert not (tmp_path / "small").exists()
