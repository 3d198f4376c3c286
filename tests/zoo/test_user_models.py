"""Models that users bring: what is said of them, and that they arrive whole or not at all."""

import pytest
import torch

from napari_unetseg.errors import Cancelled, ModelError, UnetsegError
from napari_unetseg.networks import UNet
from napari_unetseg.zoo import user_models
from napari_unetseg.zoo.card import IMAGENET
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage, find_model, list_models
from napari_unetseg.zoo.user_models import add_model, examine


@pytest.fixture(autouse=True)
def _homes(user, monkeypatch):
    """Look for models in empty folders."""
    monkeypatch.setattr(user_models, "user_model_folder", lambda: user)


@pytest.fixture
def source(tmp_path, published_checkpoint):
    published_checkpoint(tmp_path / "best.pth")
    return tmp_path / "best.pth"


def usable():
    return [model.name for model in list_models() if isinstance(model, ModelPackage)]


def test_what_a_checkpoint_is(source):
    found = examine(source)
    (card,) = found.cards
    assert card.architecture.arguments["features"] == [4, 8, 16]
    assert found.parameters == (sum(value.numel() for value in UNet(3, 1, (4, 8, 16), "instance").parameters()),)
    assert len(found.dropped) == 6
    assert set(found.extras) == {"epoch", "optimizer_state_dict", "args"}
    assert (found.source, found.size, found.is_package) == (source, source.stat().st_size, False)


def test_a_checkpoint_becomes_one_of_the_users_models(source, user):
    before = source.read_bytes()
    fields = {"name": "mine", "display_name": "Mine", "normalisation": IMAGENET, "image_size": (64, 64)}
    folder = add_model(examine(source), fields)
    assert folder == user / "mine"
    card = find_model("mine").card
    assert (card.display_name, card.normalisation, card.image_size) == ("Mine", IMAGENET, (64, 64))
    assert [path.name for path in user.iterdir()] == ["mine"]
    assert source.read_bytes() == before


@pytest.mark.parametrize("inside", ["", "model.yaml", "weights.safetensors"])
def test_a_package_is_copied_under_the_name_it_is_given(write_model, tmp_path, user, inside):
    folder = write_model(tmp_path / "tiny", scores={"dice": 0.5})
    found = examine(folder / inside)
    assert (found.source, found.is_package) == (folder, True)
    add_model(found, {"name": "renamed", "display_name": "Renamed"})
    added = find_model("renamed")
    assert (added.path, added.card.display_name, added.card.scores) == (user / "renamed", "Renamed", {"dice": 0.5})
    assert added.weights.read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_a_damaged_package_is_refused_when_it_is_examined(write_model, tmp_path):
    folder = write_model(tmp_path / "tiny")
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="SHA-256"):
        examine(folder)


def test_a_name_that_is_taken_is_refused(source, write_model, user, bundled):
    write_model(user / "theirs", name="other")
    write_model(bundled / "tiny")
    (user / "broken").mkdir()
    (user / "broken" / "model.yaml").write_text("[]")
    found = examine(source)
    before = sorted(user.rglob("*"))
    for name in ("other", "tiny", "theirs", "broken"):
        with pytest.raises(ModelError, match=rf"best\.pth: there is a model '{name}' already"):
            add_model(found, {"name": name})
    assert sorted(user.rglob("*")) == before


def test_the_empty_folder_of_a_published_model_is_filled(source, user):
    (user / "hrnet").mkdir(parents=True)
    add_model(examine(source), {"name": "hrnet"})
    assert usable() == ["hrnet"]


def test_a_cancel_leaves_nothing(source, user):
    with pytest.raises(Cancelled):
        add_model(examine(source), {"name": "mine"}, lambda: True)
    assert list(user.iterdir()) == []


def test_a_failure_leaves_nothing(source, user):
    with pytest.raises(ModelError, match="image_size"):
        add_model(examine(source), {"name": "mine", "image_size": (1, 16)})
    weights = UNet(3, 1, (2, 4)).state_dict()
    weights["final_conv.bias"] = torch.tensor([torch.nan])
    torch.save(weights, source)
    with pytest.raises(UnetsegError, match="not numbers"):
        add_model(examine(source), {"name": "mine"})
    assert list(user.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(source, user):
    user.parent.joinpath("user").write_text("a file in the place of the folder")
    with pytest.raises(UnetsegError, match=r"mine: cannot be written"):
        add_model(examine(source), {"name": "mine"})


def test_the_network_that_was_chosen_is_taken(source, user):
    found = examine(source)
    add_model(found, {"name": "mine", "architecture": found.cards[0].architecture})
    assert any(isinstance(layer, torch.nn.InstanceNorm2d) for layer in load_network(find_model("mine")).modules())
