import re

import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.zoo.registry import (
    DEFAULT_MODEL,
    BrokenPackage,
    ModelPackage,
    WeightsNeeded,
    bundled_model_folder,
    find_model,
    list_models,
    user_model_folder,
)


def test_bundled_models_come_first_and_hidden_folders_are_none(write_model, bundled, user):
    write_model(user / "mine", name="mine")
    write_model(bundled / "zebra", name="zebra")
    write_model(bundled / ".cache", name="cache")
    (bundled / "__pycache__").mkdir()
    (user / "notes.txt").write_text("no model")
    models = [model for model in list_models() if isinstance(model, ModelPackage)]
    assert [(model.name, model.origin) for model in models] == [("zebra", "bundled"), ("mine", "user")]


def test_no_folder_is_made_and_none_is_needed(bundled, user):
    assert all(isinstance(model, WeightsNeeded) for model in list_models())
    assert not user.exists()


def test_a_broken_model_is_listed_with_its_reason_and_hides_no_other(write_model, bundled, user):
    write_model(user / "good", name="good")
    broken = write_model(user / "bad", name="bad", colour="red")
    models = list_models()
    assert [type(model) for model in models[:3]] == [BrokenPackage, ModelPackage, WeightsNeeded]
    assert models[0].path == broken
    assert "colour" in models[0].reason
    assert str(broken / "model.yaml") in models[0].reason


def test_a_bundled_name_means_the_bundled_model(write_model, bundled, user):
    ours = write_model(bundled / "tiny")
    theirs = write_model(user / "tiny")
    assert find_model("tiny").path == ours
    shadowed = list_models()[1]
    assert isinstance(shadowed, BrokenPackage)
    assert "bundled" in shadowed.reason
    assert str(theirs / "model.yaml") in shadowed.reason
    assert find_model(theirs).path == theirs


def test_of_two_models_of_one_name_the_second_names_the_first(write_model, bundled, user):
    first = write_model(user / "a", name="same")
    second = write_model(user / "b", name="same")
    assert find_model("same").path == first
    reason = list_models()[1].reason
    assert str(first) in reason
    assert str(second / "model.yaml") in reason


def test_a_path_may_name_the_folder_or_the_card(write_model, bundled, tmp_path):
    folder = write_model(tmp_path / "elsewhere" / "tiny")
    assert find_model(folder) == find_model(str(folder)) == find_model(folder / "model.yaml")
    assert find_model(folder).origin == "path"
    assert find_model(folder).weights == folder / "weights.safetensors"


def test_the_path_of_a_listed_model_is_that_model(write_model, bundled):
    assert find_model(write_model(bundled / "tiny")) == find_model("tiny")


def test_a_name_goes_before_a_folder_of_that_name(write_model, bundled, tmp_path, monkeypatch):
    write_model(bundled / "tiny")
    write_model(tmp_path / "here" / "tiny")
    monkeypatch.chdir(tmp_path / "here")
    assert find_model("tiny").origin == "bundled"
    assert find_model("./tiny").origin == "path"


def test_an_unknown_model_is_told_what_there_is_and_where_to_put_it(write_model, bundled, user):
    write_model(bundled / "tiny")
    with pytest.raises(ModelError, match=r"no model 'huge'.*Installed models: tiny") as caught:
        find_model("huge")
    assert str(user) in str(caught.value)


def test_asking_for_a_broken_model_says_why(write_model, bundled, user):
    folder = write_model(user / "bad", name="bad", colour="red")
    for asked in ("bad", folder):
        with pytest.raises(ModelError, match="colour"):
            find_model(asked)


def test_missing_weights_are_named(write_model, bundled, tmp_path):
    folder = write_model(tmp_path / "tiny")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=re.escape(str(folder / "weights.safetensors"))):
        find_model(folder)


def test_every_bundled_model_is_whole_and_named_as_its_folder():
    folders = [path for path in bundled_model_folder().iterdir() if path.is_dir()]
    models = [model for model in list_models() if not isinstance(model, WeightsNeeded) and model.origin == "bundled"]
    assert len(models) == len(folders)
    for model in models:
        assert isinstance(model, ModelPackage), model.reason
        assert model.name == model.path.name


def test_the_users_folder_is_the_products_own():
    assert user_model_folder().parts[-2:] == ("napari-unetseg", "models")


def test_the_default_model_comes_first_and_the_others_by_name(write_model, bundled, user):
    for name in ("cells", DEFAULT_MODEL, "zebra"):
        write_model(bundled / name, name=name)
    write_model(user / "mine", name="mine")
    names = [model.name for model in list_models() if isinstance(model, ModelPackage)]
    assert names == [DEFAULT_MODEL, "cells", "zebra", "mine"]
