"""What is said of a model is what the model is."""

import json

import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.networks import ARCHITECTURES, build
from napari_unetseg.service.describe import SUPPORTED_FORMATS, _architecture, describe
from napari_unetseg.zoo.card import Architecture, WeightsFile
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import ModelPackage, find_model

# The answer of the published guide to GET /model-info.
PUBLISHED_KEYS = {
    "model_name",
    "model_variant",
    "checkpoint_path",
    "model_parameters",
    "input_shape",
    "output_shape",
    "device",
    "architecture_details",
    "preprocessing_config",
    "supported_formats",
}
SMALL = {
    "unet": {"features": [4, 8, 16]},
    "cbam_resunet": {"features": [4, 8]},
    "hrnet": {"widths": [2, 4, 8, 16]},
    "attention_unet": {"base_channels": 4, "depth": 2},
    "subpixel_unet": {"features": [4, 8]},
}
BASES = {"hrnet": 2}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_described_as_it_is(name):
    arguments = {"in_channels": 3, "out_channels": 1, **SMALL[name]}
    reported, network = _architecture(Architecture(name=name, arguments=arguments)), build(name, arguments)
    assert reported["model_type"] == type(network).__name__
    assert reported["depth"] == network.depth
    assert reported["base_channels"] == BASES.get(name, 4)
    assert reported["use_attention"] == (name in ("cbam_resunet", "attention_unet"))
    assert reported["in_channels"] == 3


def published(name, tmp_path):
    card = PUBLISHED[name].card(WeightsFile(file="best.pth", sha256=""))
    return describe(ModelPackage(tmp_path, card, "user", is_checkpoint=True), None)


def test_the_published_answer_for_the_attention_unet(tmp_path):
    reported = published("attention_unet_standard", tmp_path).as_dict()
    assert reported.keys() >= PUBLISHED_KEYS
    details = {"model_type": "AttentionUNet", "base_channels": 64, "depth": 4, "use_attention": True}
    assert reported["architecture_details"].items() >= details.items()
    assert json.loads(json.dumps(reported["preprocessing_config"])) == {
        "image_size": [256, 256],
        "normalize": True,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "kind": "mean_std",
    }
    assert (reported["input_shape"], reported["output_shape"]) == ((1, 3, 256, 256), (1, 1, 256, 256))
    assert reported["checkpoint_path"] == str(tmp_path / "best.pth")


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("attention_unet_lightweight", "lightweight"),
        ("attention_unet_standard", "standard"),
        ("attention_unet_deep", "deep"),
        ("unet_spherohq", "standard"),
    ],
)
def test_variants_are_those_of_the_publications(name, variant, tmp_path):
    assert published(name, tmp_path).model_variant == variant


def test_a_package_is_described_before_and_after_it_is_loaded(bright_model):
    service = SegmentationService(bright_model, "cpu")
    before, after = service.model_info(), service.initialize().info
    assert (before.loaded, before.device, before.model_parameters) == (False, None, None)
    assert (after.loaded, after.device, after.backend) == (True, "cpu", "torch")
    assert after.model_parameters == after.live_parameters > 0
    assert (before.input_shape, before.output_shape) == ((1, 3, None, None), (1, 2, None, None))
    assert before.preprocessing_config["kind"] == "percentile"
    assert before.preprocessing_config["mean"] is None
    assert json.loads(json.dumps(after.as_dict()))["card"]["name"] == "bright"


def test_a_checkpoint_is_described_as_itself(published_checkpoint, tmp_path):
    published_checkpoint(tmp_path / "best.pth")
    info = SegmentationService(tmp_path / "best.pth", "cpu").initialize().info
    assert (info.model_name, info.origin) == ("best", "path")
    assert info.checkpoint_path == str(tmp_path / "best.pth")
    assert info.weights_sha256 == find_model(tmp_path / "best.pth").card.weights.sha256 != ""
    assert info.architecture_details["norm"] == "instance"
    assert info.architecture_details["base_channels"] == 4
    assert info.model_parameters == info.live_parameters > 0


def test_formats_are_those_that_can_be_read():
    assert {"JPEG", "PNG", "BMP", "TIFF"} <= set(SUPPORTED_FORMATS)
    assert len(set(SUPPORTED_FORMATS)) == len(SUPPORTED_FORMATS)
