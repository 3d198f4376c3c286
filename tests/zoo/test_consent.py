"""Networks of other programs run on this computer once their user allowed it."""

import pytest
import yaml

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.zoo import registry
from napari_unetseg.zoo.consent import NetworkNotAllowed, allow_network, forgotten_on_failure, is_allowed
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


@pytest.mark.parametrize("kind", ["onnx_graph", "torchscript"])
def test_a_network_that_its_card_does_not_name_is_neither_allowed_nor_copied(foreign_model, own_list, tmp_path, kind):
    package = read_package(foreign_model(kind), "path")
    own_list.unlink()
    card = package.path / "model.yaml"
    named = card.read_text(encoding="utf-8").replace(package.card.weights.sha256, "f" * 64)
    card.write_text(named, encoding="utf-8")
    with pytest.raises(ModelError, match="these are not the weights that"):
        copy_package(package.path, tmp_path / "copy", {}, consent=True)
    assert not own_list.exists()
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_cannot_be_written_stays_away_and_is_not_allowed(foreign_model, own_list, tmp_path):
    source = foreign_model("torchscript")
    own_list.unlink()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "notes.txt").write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnetsegError, match="copy: cannot be written"):
        copy_package(source, tmp_path / "copy", {}, consent=True)
    assert not is_allowed(read_package(source, "path").card.weights.sha256)
    assert sorted(tmp_path.iterdir()) == sorted({*before, own_list.parent})
    assert [file.name for file in (tmp_path / "copy").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("allowed_before", [True, False])
def test_what_fails_after_it_was_allowed_is_forgotten_unless_it_was_allowed_before(
    foreign_model, own_list, allowed_before
):
    other, card = (read_package(foreign_model(kind), "path").card for kind in ("onnx_graph", "torchscript"))
    if not allowed_before:
        own_list.write_text(f"{other.weights.sha256} {other.name}\n", encoding="utf-8")

    def stopped():
        with forgotten_on_failure(card):
            allow_network(card)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert is_allowed(card.weights.sha256) is allowed_before
    assert is_allowed(other.weights.sha256)
