"""The published architectures behind the engine, narrow ones: any size works, and nothing is applied twice."""

import copy

import numpy as np
import pytest
import torch

from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.networks import build
from napari_unetseg.zoo.card import Head

NARROW = {
    "unet": ({"features": [4, 6, 8], "norm": "instance"}, "none"),
    "cbam_resunet": ({"features": [4, 6]}, "none"),
    "hrnet": ({"widths": [4, 5, 6, 7]}, "none"),
    "attention_unet": ({"base_channels": 4, "depth": 2}, "sigmoid"),
}


@pytest.fixture(scope="module", params=NARROW)
def network(request):
    torch.manual_seed(0)
    return build(request.param, {"in_channels": 3, "out_channels": 1, **NARROW[request.param][0]}).eval(), request.param


@pytest.fixture(scope="module")
def heads(network):
    return (Head(name="foreground", activation=NARROW[network[1]][1]),)


@pytest.fixture(scope="module")
def backend(network, heads):
    # The backend takes its network over; the tests still need it as it was.
    return TorchBackend(copy.deepcopy(network[0]), heads, Device("cpu", "Tests run on the CPU."))


def noise(*shape):
    return Image(np.random.default_rng(0).integers(0, 256, shape, np.uint8), axes="YX", name="noise")


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (33, 20), (45, 63), (75, 101)])
def test_any_size(backend, heads, make, shape):
    probability = predict(noise(*shape), make.card(heads), backend).probability
    assert probability.shape == (1, *shape)
    assert ((probability > 0) & (probability < 1)).all()


# Each size is one that no network here has to pad.
@pytest.mark.parametrize("shape", [(64, 96), (40, 36)])
def test_the_engine_gives_what_the_network_gives_with_one_sigmoid(network, backend, heads, make, shape):
    card = make.card(heads)
    image = noise(*shape)
    pixels = torch.from_numpy(normalise(image, card.normalisation, 3).array)[None]
    with torch.inference_mode():
        expected = network[0](pixels)
    if heads[0].activation == "none":
        expected = expected.sigmoid()
    # InstanceNorm on a map of a few pixels magnifies rounding.
    assert np.abs(predict(image, card, backend).probability - expected[0].numpy()).max() <= 1e-4


def test_in_bfloat16_tiles_agree_with_the_whole_image_to_the_last_bits(heads, make, network):
    # Where each pixel adds up in the same order, not a bit differs; an order that depends on the size moves the last.
    backend = TorchBackend(copy.deepcopy(network[0]), heads, Device("cpu", "Tests run on it."), precision="bfloat16")
    card, image = make.card(heads), noise(203, 217)
    whole, tiled = (predict(image, card, backend, PredictOptions(window=window)) for window in (512, 128))
    assert np.abs(tiled.probability - whole.probability).max() <= 0.02


def test_tiles_give_what_the_whole_image_gives(network, backend, heads, make):
    card = make.card(heads)
    image = noise(203, 217)
    whole = predict(image, card, backend, PredictOptions(window=512))
    tiled = predict(image, card, backend, PredictOptions(window=128))
    assert whole.tiles == 1
    # Networks that take statistics from the whole image are never divided.
    assert tiled.tiles == 1 if network[0].receptive_radius is None else tiled.tiles >= 9
    assert np.abs(tiled.probability - whole.probability).max() <= 1e-5
