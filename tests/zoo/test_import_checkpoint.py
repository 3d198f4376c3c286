"""Published checkpoints, as they come: wrapped, with optimizer state and settings beside the weights."""

import argparse
import hashlib
import pathlib

import numpy as np
import pytest
import torch

from napari_unetseg import zoo
from napari_unetseg.errors import ModelError
from napari_unetseg.networks import UNet
from napari_unetseg.zoo import recognition
from napari_unetseg.zoo.card import IMAGENET, Architecture, ModelCard, Percentile
from napari_unetseg.zoo.import_checkpoint import describe_checkpoint, describe_matches

PUBLISHED = {
    "unet_spherohq": ("unet", 31_037_633, "none"),
    "cbam_resunet": ("cbam_resunet", 52_072_673, "none"),
    "hrnet": ("hrnet", 65_846_401, "none"),
    "attention_unet_lightweight": ("attention_unet", 1_981_114, "sigmoid"),
    "attention_unet_standard": ("attention_unet", 31_909_485, "sigmoid"),
    "attention_unet_deep": ("attention_unet", 287_682_208, "sigmoid"),
}
ODD = {"unet_spherohq": "unet_spherohq_odd", "attention_unet_standard": "attention_unet_standard_odd"}


def published(state):
    """A training checkpoint, with the optimizer state of a few weights."""
    some = list(state.values())[:20]
    moments = {
        index: {"step": torch.tensor(9.0), "exp_avg": value.float() * 0, "exp_avg_sq": value.float() * 0}
        for index, value in enumerate(some)
    }
    return {
        "epoch": np.int64(9),
        "model_state_dict": {f"module.{key}": value for key, value in state.items()},
        "optimizer_state_dict": {"state": moments, "param_groups": [{"lr": np.float64(1e-4), "betas": (0.9, 0.999)}]},
        "args": argparse.Namespace(batch=4, out=pathlib.Path("runs"), dtype=np.dtype("float32")),
        "metrics": {"dice": np.float32(0.9)},
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_golden_vectors_from_a_training_checkpoint(golden, tmp_path, name):
    path = tmp_path / "Best Model.pth"
    torch.save(published(golden.tensors(golden.shapes(name))), path)
    network, card = zoo.load_checkpoint(path)
    # Up to 1.2 GB, which pytest would keep for three runs.
    path.unlink()
    architecture, parameters, activation = PUBLISHED[name]
    assert card.architecture.name == architecture
    assert [(head.name, head.activation) for head in card.outputs] == [("foreground", activation)]
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert (card.normalisation, card.image_size) == (IMAGENET, (256, 256) if activation == "sigmoid" else (1024, 1024))
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    for vector in filter(None, (name, ODD.get(name))):
        x, y = golden.vectors(vector)
        with torch.inference_mode():
            ours = network(x)
        assert ours.shape == y.shape
        assert (ours - y).abs().max() <= 2e-4 * max(1, y.abs().max())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "Épreuve n° 2.PT"
    torch.save(UNet(1, 1, (2, 4)).state_dict(), path)
    return path


def test_card_tells_what_the_file_tells(path):
    network, card = zoo.load_checkpoint(str(path))
    assert ModelCard.model_validate(card.model_dump()) == card
    assert (card.name, card.display_name) == ("preuve_n_2", "Épreuve n° 2")
    assert card.weights.file == path.name
    assert card.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.architecture.arguments == {"in_channels": 1, "out_channels": 1, "features": [2, 4], "norm": "batch"}
    assert card.input_channels == network.in_channels == 1
    assert card.decoder == "threshold"
    assert (card.normalisation, card.image_size) == (Percentile(), None)


def test_a_file_is_hashed_once_until_it_changes(path, monkeypatch):
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: hashed.append(given) or digest(*given))
    first = zoo.load_checkpoint(path)[1]
    assert zoo.load_checkpoint(path)[1].weights == first.weights
    assert len(hashed) == 1
    torch.save(UNet(1, 1, (2, 8)).state_dict(), path)
    second = zoo.load_checkpoint(path)[1]
    assert second.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != first.weights.sha256


def test_weights_of_no_known_network_name_the_file(tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"a\.pth: .*Seen: fc\.weight"):
        zoo.load_checkpoint(tmp_path / "a.pth")


@pytest.fixture
def twofold(monkeypatch):
    """Weights of a `UNet` that fit a second network, too."""

    def twin(shapes):
        found = recognition.read_unet(shapes)
        return found.model_copy(update={"arguments": {**found.arguments, "features": (2, 4)}})

    monkeypatch.setattr(recognition.recognise, "__defaults__", ((*recognition.READERS, twin),))


def test_where_two_networks_fit_both_are_named_and_one_can_be_chosen(path, twofold):
    with pytest.raises(ModelError, match=r"more than one network: unet \(.*\[2, 4\].*\) and unet \(.*\(2, 4\)"):
        zoo.load_checkpoint(path)
    _, cards = describe_matches(path)
    for card in cards:
        assert describe_checkpoint(path, card.architecture)[1] == card
    with pytest.raises(ModelError, match="not of the network that was chosen, but fit unet"):
        describe_checkpoint(path, Architecture(name="hrnet"))


@pytest.mark.parametrize(("channels", "word"), [((2, 1), "takes 2 channels"), ((3, 2), "has 2 outputs")])
def test_what_a_card_cannot_say_is_refused(tmp_path, channels, word):
    torch.save(UNet(*channels, (2, 4)).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=rf"a\.pth: .*{word}"):
        zoo.load_checkpoint(tmp_path / "a.pth")


def test_room_has_no_other_late_names():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = zoo.no_such_name
