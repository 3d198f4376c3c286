"""All networks on a card give the masks that they give on a processor, in each precision that a card has."""

from copy import deepcopy

import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.gpu.gpu_backend import GpuBackend
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.networks import build
from napari_unetseg.zoo.card import Head
from napari_unetseg.zoo.known_answer import read_known_answer
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import find_model

HEADS = (Head(name="foreground"), Head(name="distance"))
SMALL = [
    ("unet", {"features": [4, 6, 8], "norm": "instance"}),
    ("unet", {"features": [4, 6, 8], "norm": "batch"}),
    ("cbam_resunet", {"features": [4, 6]}),
    ("hrnet", {"widths": [4, 5, 6, 7]}),
    ("attention_unet", {"base_channels": 4, "depth": 2}),
    ("subpixel_unet", {"features": [4, 6, 8], "block": 4}),
]
PRECISIONS = ("float32", "float16", "bfloat16")
FARTHEST = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.06}
"""Mean difference of probabilities. With weights that nobody has trained, HRNet magnifies rounding the most."""


@pytest.fixture
def differences():
    """Compute a batch on the processor, and on it in a card's place, and return by how much it differs."""

    def compare(network, heads, batch, precision):
        expected = TorchBackend(deepcopy(network), heads, Device("cpu", "It is compared with.")).run(batch)
        backend = GpuBackend(network, heads, Device("cuda", "It is pretended."), torch_name="cpu", precision=precision)
        found = backend.run(batch)
        assert backend.precision == precision
        assert not backend._exact_is_here
        backend.unload()
        return np.abs(found - expected)

    return compare


def seeded(network, golden):
    network.load_state_dict(golden.tensors({key: tuple(value.shape) for key, value in network.state_dict().items()}))
    return network.eval()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_each_architecture(differences, golden, name, arguments, precision):
    network = seeded(build(name, {"in_channels": 3, "out_channels": 2, **arguments}), golden)
    picture = ndimage.gaussian_filter(np.random.default_rng(0).random((2, 3, 64, 96)), (0, 0, 2, 2))
    batch = ((picture - picture.min()) / np.ptp(picture)).astype(np.float32)
    assert differences(network, HEADS, batch, precision).mean() < FARTHEST[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["nuclei", "cells", "spheroids", "nails"])
def test_each_bundled_model(differences, name, precision):
    package = find_model(name)
    pixels = read_known_answer(package).pixels
    found = differences(load_network(package), package.card.outputs, pixels[np.newaxis], precision)
    assert found.max() < {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.1}[precision]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "attention_unet_deep"])  # a large "standard"
def test_each_published_model(differences, golden, name):
    architecture = PUBLISHED[name].architecture
    network = seeded(build(architecture.name, architecture.arguments), golden)
    batch, _ = golden.vectors(name)
    for precision in PRECISIONS:
        found = differences(deepcopy(network), HEADS[:1], batch.numpy(), precision)
        assert found.mean() < FARTHEST[precision], precision
