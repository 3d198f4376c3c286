"""Published models: known by name before their weights are there, usable once a checkpoint is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import build
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo import import_checkpoint, registry
from napari_unetseg.zoo.card import IMAGENET, Architecture, WeightsFile
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.published import PUBLISHED, published_with
from napari_unetseg.zoo.registry import BrokenPackage, ModelPackage, WeightsNeeded, find_model, list_models

ARGUMENTS = {"in_channels": 3, "out_channels": 1, "features": [4, 8, 16], "norm": "instance"}


@pytest.fixture
def small(monkeypatch, user):
    """The SpheroHQ model, narrow; and its folder."""
    model = replace(
        PUBLISHED["unet_spherohq"],
        architecture=Architecture(name="unet", arguments=ARGUMENTS),
        image_size=(64, 48),
        finetuned_path="tuned.pth",
    )
    monkeypatch.setattr(registry, "PUBLISHED", {model.name: model})
    monkeypatch.setattr(
        import_checkpoint, "published_with", lambda found: model if found == model.architecture else None
    )
    return user / model.name


@pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_numbers_and_preparation_are_those_that_were_published(model, golden):
    with torch.device("meta"):
        network = build(model.architecture.name, model.architecture.arguments)
    assert sum(value.numel() for value in network.parameters()) == model.live_parameters
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    published = {key: shape for key, shape in golden.shapes(model.name).items() if not key.endswith(buffers)}
    assert sum(int(np.prod(shape)) for shape in published.values()) == model.parameters
    card = model.card(WeightsFile(sha256="0" * 64))
    assert card.normalisation == IMAGENET
    assert card.image_size == ((256, 256) if card.architecture.name == "attention_unet" else (1024, 1024))
    assert card.outputs[0].activation == ("sigmoid" if card.architecture.name == "attention_unet" else "none")
    assert (card.decoder, card.heads, card.parameters.threshold) == ("threshold", ("foreground",), 0.5)
    assert published_with(model.architecture) is model


def test_the_registry_knows_them_and_says_what_to_do(user):
    needing = [model for model in list_models() if isinstance(model, WeightsNeeded)]
    assert [model.name for model in needing] == [
        "unet_spherohq",
        "hrnet",
        "cbam_resunet",
        "attention_unet_lightweight",
        "attention_unet_standard",
        "attention_unet_deep",
    ]
    assert needing[0].model.display_name == "UNet (SpheroHQ Best)"
    for name in ("unet_spherohq", "hrnet"):
        with pytest.raises(ModelError, match=r"weights needed\. Put its checkpoint") as caught:
            find_model(name)
        assert str(user / name) in str(caught.value)
        assert "napari-unetseg convert" in str(caught.value)


def test_an_empty_folder_still_needs_weights(small):
    small.mkdir(parents=True)
    assert [type(model) for model in list_models()] == [WeightsNeeded]


def test_a_checkpoint_in_its_folder_is_all_that_is_needed(small, published_checkpoint):
    network = published_checkpoint(small / "best.pth")
    (listed,) = list_models()
    assert isinstance(listed, ModelPackage)
    assert (listed.name, listed.card.display_name, listed.origin) == ("unet_spherohq", "UNet (SpheroHQ Best)", "user")
    assert listed.card.weights.sha256 == ""  # not opened yet
    found = find_model("unet_spherohq")
    assert found == find_model(small) == find_model(small / "best.pth")
    assert len(found.card.weights.sha256) == 64
    assert (found.name, found.card.image_size, found.card.normalisation) == ("unet_spherohq", (64, 48), IMAGENET)
    x = torch.rand(1, 3, 33, 47)
    with torch.inference_mode():
        assert torch.equal(load_network(found)(x), network(x))


def test_the_finetuned_file_goes_before_the_pretrained_and_that_before_all(small, published_checkpoint):
    for name in ("best.pth", "unet_spherohq_best.pth"):
        published_checkpoint(small / name)
    assert find_model("unet_spherohq").weights.name == "unet_spherohq_best.pth"
    published_checkpoint(small / "tuned.pth")
    assert find_model("unet_spherohq").weights.name == "tuned.pth"


def test_a_checkpoint_of_another_network_is_told(small):
    small.mkdir(parents=True)
    torch.save(build("unet", ARGUMENTS | {"norm": "batch"}).state_dict(), small / "best.pth")
    with pytest.raises(ModelError, match=r"best\.pth: this checkpoint is a unet with .*batch"):
        find_model("unet_spherohq")


def test_a_converted_package_goes_before_a_checkpoint(small, write_model, published_checkpoint):
    write_model(small, name="unet_spherohq")
    published_checkpoint(small / "best.pth")
    assert not find_model("unet_spherohq").is_checkpoint


def test_a_checkpoint_or_its_folder_is_a_model_by_its_path(user, tmp_path, published_checkpoint):
    path = tmp_path / "checkpoints" / "Best 1.pth"
    published_checkpoint(path)
    found = find_model(path)
    assert found == find_model(str(path.parent))
    assert (found.name, found.origin, found.source, found.weights) == ("best_1", "path", path, path)
    assert found.card.image_size is None  # not a published network
    assert find_model(found.source) == found


def test_the_weights_of_a_package_are_that_package(write_model, bundled, tmp_path):
    folder = write_model(tmp_path / "tiny")
    assert find_model(folder / "weights.safetensors") == find_model(folder)


def test_another_checkpoint_in_the_users_folder_is_told_how_it_can_be_used(user, published_checkpoint):
    published_checkpoint(user / "mine" / "best.pth")
    broken = list_models()[0]
    assert isinstance(broken, BrokenPackage)
    assert "napari-unetseg convert" in broken.reason
    assert find_model(user / "mine").is_checkpoint


def test_a_checkpoint_that_is_exchanged_after_it_was_chosen_is_not_run(user, tmp_path, published_checkpoint):
    published_checkpoint(tmp_path / "best.pth")
    package = find_model(tmp_path / "best.pth")
    torch.save(build("unet", ARGUMENTS).state_dict(), tmp_path / "best.pth")
    with pytest.raises(ModelError, match=r"best\.pth: the checkpoint was exchanged"):
        load_network(package)


def test_a_failed_reload_leaves_the_loaded_checkpoint_in_place(user, tmp_path, published_checkpoint):
    path = tmp_path / "best.pth"
    published_checkpoint(path)
    service = SegmentationService(path, "cpu")
    image = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    before = service.segment(image)
    path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"best\.pth"):
        service.initialize(force_reload=True)
    assert np.array_equal(service.segment(image).probability, before.probability)
    assert before.provenance.sha256 == service.package.card.weights.sha256 != ""


@pytest.mark.parametrize("image_size", [None, (32, 48)])
def test_the_sigmoid_of_an_attention_unet_is_applied_once(user, tmp_path, monkeypatch, image_size):
    arguments = {"in_channels": 3, "out_channels": 1, "base_channels": 4, "depth": 2}
    torch.manual_seed(0)
    network = build("attention_unet", arguments).eval()
    with torch.no_grad():
        network.final_conv.bias.fill_(-9)
    torch.save(network.state_dict(), tmp_path / "nails.pth")
    if image_size:
        model = replace(
            PUBLISHED["attention_unet_standard"],
            architecture=Architecture(name="attention_unet", arguments=arguments),
            image_size=image_size,
        )
        monkeypatch.setattr(import_checkpoint, "published_with", lambda _: model)
    segmentation = SegmentationService(tmp_path / "nails.pth", "cpu").segment(
        np.random.default_rng(0).integers(0, 256, (64, 40, 3), np.uint8)
    )
    # A second sigmoid would leave nothing below 0.5, and mark everything.
    assert segmentation.probability.shape == (1, 64, 40)
    assert segmentation.probability.max() < 0.01
    assert segmentation.count == 0
    assert segmentation.provenance.resized_to == image_size
