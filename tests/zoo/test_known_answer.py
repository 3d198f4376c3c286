"""A package remembers what its model said of a small picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import build
from napari_unetseg.zoo.card import KNOWN_ANSWER_FILE, Linear, MinMax, ZScore
from napari_unetseg.zoo.discovery import find_checkpoint
from napari_unetseg.zoo.known_answer import draw_picture, read_known_answer
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.packaging import write_known_answer, write_package
from napari_unetseg.zoo.registry import find_model, read_package

ARCHITECTURES = [
    ({"name": "unet", "arguments": {"out_channels": 1, "features": [4, 8], "norm": "instance"}}, "none"),
    ({"name": "attention_unet", "arguments": {"out_channels": 1, "base_channels": 4, "depth": 2}}, "sigmoid"),
    ({"name": "hrnet", "arguments": {"out_channels": 1, "widths": [2, 2, 2, 2]}}, "none"),
]


@pytest.fixture(params=ARCHITECTURES, ids=lambda case: case[0]["name"])
def package(request, tmp_path):
    architecture, activation = request.param
    torch.manual_seed(1)
    network = build(architecture["name"], architecture["arguments"]).eval()
    fields = {
        "name": "small",
        "display_name": "Small",
        "description": "A small network.",
        "architecture": architecture,
        "outputs": [{"name": "foreground", "activation": activation}],
        "normalisation": {"kind": "mean_std", "mean": [0.5], "std": [0.25]},
        "decoder": "threshold",
        "licence": "CC0-1.0",
    }
    write_package(tmp_path, fields, network.state_dict())
    return read_package(tmp_path, "path")


def test_the_answer_is_the_network_s_own(package):
    answer, network = read_known_answer(package), load_network(package)
    with torch.no_grad():
        output = network(torch.from_numpy(answer.pixels)[None])[0]
    given = output if package.card.outputs[0].activation == "sigmoid" else output.sigmoid()
    height, width = answer.pixels.shape[1:]
    np.testing.assert_array_equal(answer.probability, given[:, :height, :width].numpy())
    assert answer.probability.shape == (1, height, width)


def test_the_picture_is_on_the_network_s_scale(package):
    grey = draw_picture(package.card.model_copy(update={"normalisation": MinMax()}), (64, 48))
    assert grey.shape == (3, 64, 48)
    assert 0 <= grey.min() < 0.1
    assert 0.8 < grey.max() <= 1
    np.testing.assert_allclose(draw_picture(package.card, (64, 48)), (grey - 0.5) / 0.25, atol=1e-6)
    for kind, expected in (
        (ZScore(), (grey - grey.mean()) / grey.std()),
        (Linear(gain=(1, 2, 3), offset=(0, 0, -9)), 255 * grey * [[[1]], [[2]], [[3]]] + [[[0]], [[0]], [[-9]]]),
        (MinMax(clip=(0.25, 0.5)), grey.clip(0.25, 0.5)),
    ):
        drawn = draw_picture(package.card.model_copy(update={"normalisation": kind}), (64, 48))
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(drawn, expected, atol=1e-4)


def test_models_without_one_have_none(package, tmp_path):
    assert read_known_answer(replace(package, is_checkpoint=True)) is None
    (tmp_path / KNOWN_ANSWER_FILE).unlink()
    assert read_known_answer(package) is None
    write_known_answer(package)
    assert read_known_answer(package) is not None


def test_an_answer_of_other_weights_is_refused(package):
    weights = package.card.weights.model_copy(update={"sha256": 64 * "0"})
    other = replace(package, card=package.card.model_copy(update={"weights": weights}))
    with pytest.raises(ModelError, match="belongs to other weights"):
        read_known_answer(other)


def test_a_damaged_answer_is_named(package):
    (package.path / KNOWN_ANSWER_FILE).write_bytes(b"nothing")
    with pytest.raises(ModelError, match=KNOWN_ANSWER_FILE):
        read_known_answer(package)


def test_weights_that_give_no_numbers_are_not_packaged(package, tmp_path):
    state = {key: value * float("nan") for key, value in load_network(package).state_dict().items()}
    fields = package.card.model_dump(exclude={"weights"})
    with pytest.raises(ModelError, match="not numbers"):
        write_package(tmp_path / "other", fields, state)


def test_an_answer_is_no_checkpoint(package, tmp_path):
    (tmp_path / package.card.weights.file).unlink()
    assert find_checkpoint(tmp_path) is None


def test_the_bundled_model_has_one():
    answer = read_known_answer(find_model("nuclei"))
    assert np.ptp(answer.probability[0]) > 0.9
