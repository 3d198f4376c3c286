import numpy as np
import pytest
from tests.zoo.bioimageio.conftest import zoo_package

from napari_unetseg.config import Settings
from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import SegmentationService
from napari_unetseg.service.packages import find_configured
from napari_unetseg.service.run_recipe import RunRecipe
from napari_unetseg.zoo.bioimageio import package_cache
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.card import MeanStd, Percentile
from napari_unetseg.zoo.registry import find_model


@pytest.fixture
def checkpoints(tmp_path, published_checkpoint):
    """A folder with one checkpoint, a small U-Net."""
    published_checkpoint(tmp_path / "checkpoints" / "best.pth")
    return tmp_path / "checkpoints"


def find(wanted=None, **sections):
    return find_configured(wanted, Settings(unet=sections).unet)


def test_the_argument_goes_before_the_name_and_that_before_the_folder(bright_model, checkpoints):
    section = {"checkpoint_dir": checkpoints, "name": "nuclei"}
    assert find(bright_model, model=section).path == bright_model
    assert find(model=section).name == "nuclei"
    assert find(model=section | {"name": None}).weights == checkpoints / "best.pth"
    assert find().name == "nuclei"


def test_a_checkpoint_takes_preprocessing_and_decoder_parameters_from_the_settings(checkpoints):
    card = find(
        model={"checkpoint_dir": checkpoints},
        preprocessing={"image_size": [64, 32], "normalize": True, "mean": [0.5], "std": [0.25]},
        inference={"threshold": 0.3},
        postprocessing={"min_size": 7, "split": 0.1},
    ).card
    assert card.image_size == (64, 32)
    assert card.normalisation == MeanStd(mean=(0.5,), std=(0.25,))
    assert card.parameters == DecodeParameters(threshold=0.3, min_size=7, split=0.1)


def test_without_such_settings_it_stays_as_it_was_found(checkpoints):
    card = find(model={"checkpoint_dir": checkpoints}).card
    assert card.image_size is None
    assert card.normalisation == Percentile()
    assert card == find(checkpoints / "best.pth").card


def test_a_card_owns_its_preprocessing(bright_model, checkpoints):
    section = {"preprocessing": {"image_size": [64, 64], "normalize": True}, "inference": {"threshold": 0.1}}
    assert find(bright_model, **section).card == find(bright_model).card
    # A package where checkpoints are looked for has a card, too.
    in_folder = find(model={"checkpoint_dir": bright_model}, **section)
    assert in_folder.card == find(bright_model).card


def test_a_checkpoint_elsewhere_is_not_meant(checkpoints, tmp_path, published_checkpoint):
    published_checkpoint(tmp_path / "other.pth")
    section = {"model": {"checkpoint_dir": checkpoints}, "preprocessing": {"image_size": [64, 64]}}
    assert find(tmp_path / "other.pth", **section).card.image_size is None
    assert find(checkpoints / "best.pth", **section).card.image_size == (64, 64)


def test_the_variant_chooses_the_file(checkpoints, published_checkpoint):
    published_checkpoint(checkpoints / "unet_deep.pth")
    found = [
        find(model={"checkpoint_dir": checkpoints, "model_variant": variant}).weights.name
        for variant in (None, "standard", "deep")
    ]
    assert found == ["best.pth", "best.pth", "unet_deep.pth"]


@pytest.mark.parametrize("variant", [None, "standard"])
def test_a_folder_without_a_checkpoint_is_told_with_the_key_to_correct(tmp_path, variant):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match=r"no valid model checkpoint.* found.*unet\.model\.checkpoint_dir"):
            find(model={"checkpoint_dir": folder, "model_variant": variant})


def test_another_variant_than_asked_for_is_an_error(checkpoints, golden):
    import torch

    shapes = golden.shapes("attention_unet_lightweight")
    torch.save(golden.tensors(shapes), checkpoints / "best.pth")
    with pytest.raises(ModelError, match=r"best\.pth: this checkpoint is the variant 'lightweight'.* is 'deep'"):
        find(model={"checkpoint_dir": checkpoints, "model_variant": "deep"})
    assert find(model={"checkpoint_dir": checkpoints, "model_variant": "lightweight"}).card.image_size == (256, 256)


def test_preprocessing_that_does_not_fit_the_network_is_an_error(checkpoints, published_checkpoint):
    import torch

    from napari_unetseg.networks import UNet

    torch.save(UNet(1, 1, (4, 8)).state_dict(), checkpoints / "best.pth")
    with pytest.raises(ModelError, match=r"best\.pth: what is set under unet\.preprocessing does not fit"):
        find(model={"checkpoint_dir": checkpoints}, preprocessing={"normalize": True})


def test_a_package_of_the_zoo_is_converted_once_and_kept_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(package_cache, "package_folder", lambda: tmp_path / "cache")
    folder = zoo_package(tmp_path / "given", ["nucleus", "boundary"])
    made = []
    monkeypatch.setattr(
        package_cache, "convert_bioimageio", lambda *a, **k: made.append(1) or convert_bioimageio(*a, **k)
    )
    first = find(folder)
    assert first.card.heads == ("foreground", "boundary")
    assert first.path.is_relative_to(tmp_path / "cache")
    again = find(folder / "rdf.yaml")
    assert (again.path, again.card) == (first.path, first.card)
    assert len(made) == 1
    (folder / "rdf.yaml").write_text((folder / "rdf.yaml").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert find(folder).path != first.path
    assert len(made) == 2


def test_the_record_and_the_recipe_name_the_package_that_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr(package_cache, "package_folder", lambda: tmp_path / "cache")
    folder = zoo_package(tmp_path / "given", ["nucleus", "boundary"])
    found = SegmentationService(folder, "cpu").segment(Image(np.eye(64, dtype=np.float32)))
    assert found.provenance.model_source == str(folder)
    again = RunRecipe.of(found.provenance).service()
    assert again.package.source == folder
    assert again.package.stored.is_relative_to(tmp_path / "cache")


def test_what_takes_models_of_our_own_says_to_convert_a_package_first(tmp_path):
    folder = zoo_package(tmp_path / "given", ["nucleus"])
    with pytest.raises(ModelError, match=r"package of the BioImage Model Zoo\. Convert it first"):
        find_model(folder)
