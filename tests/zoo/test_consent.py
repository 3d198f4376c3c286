"""Networks of other programs run on this computer once their user allowed it."""

import pytest
import yaml

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.zoo import registry
from napari_unetseg.zoo.consent import NetworkNotAllowed, allow_network, is_allowed
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import read_package
from napari_unetseg.zoo.user_models import copy_package


@pytest.fixture(autouse=True)
def own_list(tmp_path, monkeypatch):
    """A list of its own beside the user's models."""
    monkeypatch.setattr(registry, "user_model_folder", lambda: tmp_path / "data" / "models")
    return tmp_path / "data" / "allowed_networks.txt"


@pytest.mark.parametrize("kind", ["onnx_graph", "torchscript"])
def test_what_was_never_allowed_is_not_run(foreign_model, own_list, kind):
    package = read_package(foreign_model(kind), "path")
    load_network(package)  # who writes it has allowed it
    own_list.unlink()
    with pytest.raises(NetworkNotAllowed, match="--allow-foreign-network"):
        load_network(package)
    allow_network(package.card)
    allow_network(package.card)
    load_network(package)
    assert own_list.read_text(encoding="utf-8") == f"{package.card.weights.sha256} {package.name}\n"


def test_another_file_of_the_same_name_is_asked_for_anew(foreign_model):
    first = read_package(foreign_model("torchscript"), "path")
    card = first.path / "model.yaml"
    content = first.weights.read_bytes() + b" "
    first.weights.write_bytes(content)
    import hashlib

    written = yaml.safe_load(card.read_text(encoding="utf-8"))
    written["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
    card.write_text(yaml.safe_dump(written), encoding="utf-8")
    with pytest.raises(NetworkNotAllowed):
        load_network(read_package(first.path, "path"))


def test_those_allowed_before_stay_so(foreign_model):
    cards = [read_package(foreign_model(kind), "path").card for kind in ("onnx_graph", "torchscript")]
    assert [is_allowed(card.weights.sha256) for card in cards] == [True, True]


def test_a_list_that_cannot_be_read_is_told(own_list):
    own_list.parent.mkdir()
    own_list.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UnetsegError, match="the list of allowed networks cannot be read"):
        is_allowed("0" * 64)


def test_a_refused_copy_leaves_nothing_so_that_it_can_be_tried_again_with_consent(foreign_model, own_list, tmp_path):
    source = foreign_model("torchscript")
    own_list.unlink()
    with pytest.raises(NetworkNotAllowed):
        copy_package(source, tmp_path / "copy", {})
    assert not (tmp_path / "copy").exists()
    copy_package(source, tmp_path / "copy", {}, consent=True)


def test_what_cannot_be_used_is_not_allowed(foreign_model, own_list, tmp_path):
    source = foreign_model("torchscript")
    own_list.unlink()
    read_package(source, "path").weights.write_bytes(b"damaged")
    with pytest.raises(ModelError):
        copy_package(source, tmp_path / "copy", {}, consent=True)
    assert not own_list.exists()
    assert not (tmp_path / "copy").exists()
