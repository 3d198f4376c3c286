import re
from typing import get_args

import pytest
import yaml

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import ARCHITECTURES
from napari_unetseg.networks.foreign_arguments import FOREIGN_SUFFIXES
from napari_unetseg.zoo.card import IMAGENET, ArchitectureName, MinMax, Percentile, headline, read_card, write_card


def test_a_written_card_is_read_back_equal(write_model, tmp_path):
    card = read_card(write_model(tmp_path / "tiny", scores={"dice": 0.9}, pixel_size=0.5) / "model.yaml")
    write_card(card, tmp_path / "again.yaml")
    assert read_card(tmp_path / "again.yaml") == card


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"low": 2, "high": 98}, Percentile(low=2, high=98)),
        ({"kind": "percentile"}, Percentile()),
        ({"kind": "min_max"}, MinMax()),
        ({"kind": "mean_std", "mean": list(IMAGENET.mean), "std": list(IMAGENET.std)}, IMAGENET),
    ],
)
def test_every_way_to_normalise_is_read_and_written(write_model, tmp_path, written, read):
    card = read_card(write_model(tmp_path / "tiny", normalisation=written, image_size=[32, 64]) / "model.yaml")
    assert (card.normalisation, card.image_size) == (read, (32, 64))
    write_card(card, tmp_path / "again.yaml")
    assert read_card(tmp_path / "again.yaml") == card


def test_a_card_knows_the_architectures_there_are():
    assert set(get_args(ArchitectureName)) == set(ARCHITECTURES) | set(FOREIGN_SUFFIXES)


@pytest.mark.parametrize(("written", "split"), [({"threshold": 0.4}, 0.0), ({"split": 0.3}, 0.3)])
def test_a_threshold_divides_nothing_unless_the_card_says_so(write_model, tmp_path, written, split):
    foreground = [{"name": "foreground"}]
    architecture = {"name": "unet", "arguments": {"in_channels": 3, "out_channels": 1, "features": [4, 8]}}
    changes = {"outputs": foreground, "decoder": "threshold", "parameters": written, "architecture": architecture}
    assert read_card(write_model(tmp_path / "tiny", **changes) / "model.yaml").parameters.split == split


def test_heads_are_in_the_order_of_the_channels(write_model, tmp_path):
    card = read_card(write_model(tmp_path / "tiny") / "model.yaml")
    assert card.heads == ("foreground", "distance")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"name": "Two words"}, "name"),
        ({"architecture": {"name": "transformer"}}, "architecture.name: Input should be 'unet'"),
        ({"architecture": {"name": "unet", "depth": 3}}, "architecture.depth"),
        ({"architecture": {"name": "attention_unet", "arguments": {"depth": 60}}}, "architecture.arguments: "),
        (
            {"architecture": {"name": "attention_unet", "arguments": {"depth": 10**400}}},
            "halve its maps 10 times at most",
        ),
        (
            {"architecture": {"name": "attention_unet", "arguments": {"base_channels": 64, "depth": 8}}},
            "8192 channels at most",
        ),
        ({"architecture": {"name": "unet", "arguments": {"features": [8] * 40}}}, "architecture.arguments: "),
        ({"architecture": {"name": "unet", "arguments": {"features": [8, 10**6]}}}, "8192 channels at most"),
        ({"architecture": {"name": "hrnet", "arguments": {"widths": [48, 96, 192, 10**400]}}}, "8192 channels at most"),
        ({"architecture": {"name": "unet", "arguments": {"in_channels": 10**9}}}, "8192 channels at most"),
        ({"architecture": {"name": "unet", "arguments": [1]}}, "architecture.arguments"),
        ({"architecture": "unet"}, "architecture"),
        ({"input_channels": 0}, "input_channels"),
        ({"scores": 3}, "scores"),
        ({"training_data": "mine"}, "training_data"),
        ({"licence": None}, "licence"),
        ({"object_size": "big"}, "object_size"),
        ({"parameters": {"threshold": 7}}, "parameters.threshold"),
        ({"outputs": {}}, "outputs"),
        ({"image_size": [2**70, 2**70]}, "image_size"),
        ({"object_size": float("nan")}, "object_size"),
        ({"object_size": float("inf")}, "object_size"),
        ({"pixel_size": float("inf")}, "pixel_size"),
        ({"normalisation": {"kind": "mean_std", "mean": [float("nan")], "std": [1]}}, "normalisation"),
        ({"normalisation": {"low": 90, "high": 10}}, "low must be below high"),
        ({"normalisation": {"kind": "zscore"}}, "normalisation: Input tag 'zscore'"),
        ({"normalisation": {"kind": "mean_std", "mean": [0.5], "std": [0]}}, "normalisation.mean_std.std.0"),
        ({"normalisation": {"kind": "mean_std", "mean": [0.5, 0.5], "std": [1]}}, "as many channels"),
        ({"normalisation": {"kind": "mean_std", "mean": [0.5, 0.5], "std": [1, 1]}}, "input_channels is 3"),
        ({"image_size": [256]}, "image_size"),
        ({"image_size": [256, 2]}, "image_size.1"),
        ({"outputs": [{"name": "distance"}]}, "foreground"),
        ({"outputs": [{"name": "foreground"}, {"name": "foreground"}]}, "each head once"),
        ({"outputs": [{"name": "foreground"}]}, "seeded_watershed needs"),
        ({"outputs": [{"name": "foreground", "activation": "softmax"}]}, "activation"),
        ({"weights": {"sha256": "abc"}}, "weights.sha256"),
        ({"weights": {"sha256": ""}}, "weights.sha256"),
        ({"weights": {"sha256": "0" * 64, "file": "../other.safetensors"}}, "weights.file"),
        ({"weights": {"sha256": "0" * 64, "file": "weights.pt"}}, "weights.file"),
        ({"format": 2}, "format"),
    ],
)
def test_a_wrong_card_names_its_file_and_key(write_model, tmp_path, changes, named):
    path = write_model(tmp_path / "tiny", **changes) / "model.yaml"
    with pytest.raises(ModelError, match=re.escape(named)) as caught:
        read_card(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"name: [unclosed", b"\xff\xfe\xfa", b"", b"just words"])
def test_what_is_no_card_names_its_file(tmp_path, content):
    path = tmp_path / "model.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(str(path))):
        read_card(path)


def test_a_missing_card_names_its_file(tmp_path):
    with pytest.raises(ModelError, match=re.escape(str(tmp_path / "model.yaml"))):
        read_card(tmp_path / "model.yaml")


def test_yaml_that_would_make_objects_is_refused(write_model, tmp_path):
    path = write_model(tmp_path / "tiny") / "model.yaml"
    content = yaml.safe_load(path.read_text()) | {"description": "HERE"}
    path.write_text(yaml.safe_dump(content).replace("HERE", "!!python/object/apply:os.getcwd []"))
    with pytest.raises(ModelError, match="not valid YAML"):
        read_card(path)


@pytest.mark.parametrize(
    ("scores", "reported"),
    [
        ({}, ""),
        ({"split": "by plate"}, ""),
        ({"split": "by plate", "dice": 0.91234}, "dice 0.912"),
        ({"dice": 0.9, "iou": 0.8, "ap50": 0.7, "ap90": 0.2, "recall": 0.6}, "dice 0.9, ap50 0.7"),
        ({"hausdorff": 3.0}, "hausdorff 3"),
        (
            {
                "validation": {"images": 9, "ap50": 0.8, "per_kind": {"grey": {"ap50": 0.7}}},
                "baseline": {"images": 9, "ap50": 0.1},
            },
            "ap50 0.8 (9 images)",
        ),
        (
            {
                "validation": {"images": 9, "ap50": 0.8},
                "cross_validation": {
                    **{"images": 45, "dice": 0.81234, "iou": 0.7, "ap50": 0.6, "folds": 5, "per_kind": {}},
                    **{"spread": {"dice": 0.0212, "ap50": 0.05}, "per_fold": {}, "by_size": {}},
                },
            },
            "dice 0.812 ± 0.021, ap50 0.6 ± 0.05 (45 images, cross-validated in 5 parts)",
        ),
        ({"cross_validation": {"images": 45, "folds": "many", "dice": 0.8}}, "dice 0.8 (45 images)"),
    ],
)
def test_scores_are_told_in_a_line(scores, reported):
    assert headline(scores) == reported
