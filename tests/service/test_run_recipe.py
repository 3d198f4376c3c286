"""A run as a file gives the same labels, or says why it cannot."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import napari_unetseg
from napari_unetseg import Image, SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.errors import ModelError
from napari_unetseg.postprocessing.fixes import Fix
from napari_unetseg.service import RunRecipe, Segmentation, read_run_recipe, tiled_settings, write_run_recipe
from napari_unetseg.service.provenance import card_fingerprint
from napari_unetseg.service.run_recipe import RunRecipeError
from napari_unetseg.zoo.card import read_card


@pytest.fixture(scope="module")
def image() -> Image:
    rng = np.random.default_rng(5)
    return Image(rng.integers(0, 900, (2, 90, 70)).astype(np.uint16), "CYX", name="noise", path="noise.tif")


@pytest.fixture
def result(bright_model: Path, image: Image, settings: Callable[..., Settings]) -> Segmentation:
    tiled = tiled_settings(48, 2, settings())
    with SegmentationService(bright_model, "cpu", "torch", settings=tiled) as service:
        return service.segment(
            image, channel=1, threshold=0.4, min_size=3, split=0.8, fill_holes=False, diameter=10, augment=True
        )


@pytest.fixture
def recipe(result: Segmentation) -> RunRecipe:
    return RunRecipe.of(result.provenance)


def test_all_that_decides_the_labels_is_recorded(result: Segmentation, bright_model: Path) -> None:
    reported = result.provenance
    assert reported.model_source == str(bright_model)
    assert (reported.largest_window, reported.batch_size) == (48, 2)
    assert reported.tiles > 1
    assert (reported.axes, reported.shape, reported.path, reported.channel) == ("YX", (90, 70), "noise.tif", 1)
    assert reported.parameters == result.parameters.model_dump()
    assert reported.card_sha256 == card_fingerprint(read_card(bright_model / "model.yaml"))


def test_a_file_keeps_the_recipe(recipe: RunRecipe, tmp_path: Path) -> None:
    write_run_recipe(tmp_path / "run.yaml", recipe)
    assert read_run_recipe(tmp_path / "run.yaml") == recipe
    assert "--recipe" in (tmp_path / "run.yaml").read_text(encoding="utf-8").splitlines()[1]


def test_a_file_keeps_what_was_fixed_and_one_without_fixes_reads_as_it_always_did(
    result: Segmentation, recipe: RunRecipe, tmp_path: Path
) -> None:
    write_run_recipe(tmp_path / "plain.yaml", recipe)
    assert "fixes" not in yaml.safe_load((tmp_path / "plain.yaml").read_text(encoding="utf-8"))
    point = tuple(map(float, np.argwhere(result.labels)[0]))
    fixed = result.fixed([Fix(kind="remove", points=[point], parameters=result.parameters)])
    with_fixes = RunRecipe.of(fixed.provenance)
    assert with_fixes.fixes == fixed.fixes
    write_run_recipe(tmp_path / "fixed.yaml", with_fixes)
    again = read_run_recipe(tmp_path / "fixed.yaml")
    assert again == with_fixes
    np.testing.assert_array_equal(again.fixed(result).labels, fixed.labels)
    assert recipe.fixed(result) is result


def test_what_was_fixed_in_one_image_is_not_fixed_in_one_of_another_size(result: Segmentation) -> None:
    point = tuple(map(float, np.argwhere(result.labels)[0]))
    fixed = result.fixed([Fix(kind="remove", points=[point], parameters=result.parameters)])
    other = replace(result, labels=result.labels[:40])
    with pytest.raises(RunRecipeError, match="90 x 70 pixels, this has 40 x 70"):
        RunRecipe.of(fixed.provenance).fixed(other)


def test_the_recipe_gives_the_same_labels_whatever_is_set_here(
    result: Segmentation, recipe: RunRecipe, image: Image, settings: Callable[..., Settings]
) -> None:
    assert result.count > 10
    with recipe.service(settings(inference__window=200, inference__batch_size=1)) as service:
        again = service.segment(image, **recipe.segment_options())
        assert recipe.differences(service.model_info()) == ()
    np.testing.assert_array_equal(again.labels, result.labels)
    np.testing.assert_array_equal(again.probability, result.probability)
    changing = {"started": "", "seconds": 0.0, "request_id": None}
    assert replace(again.provenance, **changing) == replace(result.provenance, **changing)


def test_layer_metadata_say_enough(result: Segmentation, recipe: RunRecipe) -> None:
    there = RunRecipe.of(result.provenance.as_dict() | {"plane": {0: 4}, "something": "else"})
    assert there.source.plane == {0: 4}
    assert there.model_copy(update={"source": recipe.source}) == recipe


def test_a_record_that_says_too_little_is_refused(result: Segmentation) -> None:
    reported = result.provenance.as_dict()
    del reported["card_sha256"]
    with pytest.raises(RunRecipeError, match="not fully recorded"):
        RunRecipe.of(reported)


def test_another_model_in_the_same_place_is_refused(
    recipe: RunRecipe, dark_model: Path, settings: Callable[..., Settings]
) -> None:
    moved = recipe.model_copy(update={"model": recipe.model.model_copy(update={"source": str(dark_model)})})
    with pytest.raises(RunRecipeError, match=r"weights are \w{8}, those were \w{8}"):
        moved.service(settings())


def test_a_changed_card_is_refused_but_not_for_its_words(
    recipe: RunRecipe, bright_model: Path, tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    folder = Path(shutil.copytree(bright_model, tmp_path / "bright"))
    moved = recipe.model_copy(update={"model": recipe.model.model_copy(update={"source": str(folder)})})
    content = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    (folder / "model.yaml").write_text(yaml.safe_dump(content | {"description": "Other words."}), encoding="utf-8")
    moved.service(settings()).close()
    (folder / "model.yaml").write_text(yaml.safe_dump(content | {"object_size": 30}), encoding="utf-8")
    with pytest.raises(RunRecipeError, match=r"card .* was changed"):
        moved.service(settings())


def test_a_model_that_is_not_there_is_named(recipe: RunRecipe, settings: Callable[..., Settings]) -> None:
    gone = recipe.model.model_copy(update={"source": "/nowhere/bright", "name": "no_such_model"})
    with pytest.raises(ModelError, match="no_such_model"):
        recipe.model_copy(update={"model": gone}).service(settings())


def test_another_machine_says_what_is_different(recipe: RunRecipe, settings: Callable[..., Settings]) -> None:
    elsewhere = recipe.model_copy(update={"run": recipe.run.model_copy(update={"precision": "tf32"})})
    with recipe.service(settings()) as service:
        service.initialize(warm_up=False)
        (reported,) = elsewhere.differences(service.model_info())
    assert reported.endswith("on float32, not on tf32.")


def test_a_newer_version_is_told(recipe: RunRecipe) -> None:
    assert recipe.remarks == ()
    (reported,) = recipe.model_copy(update={"napari_unetseg": "99.1"}).remarks
    assert "99.1" in reported
    assert napari_unetseg.__version__ in reported


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"sharpen": 3}, "not the recipe of a run: sharpen"),
        ({"sharpen": 3, "napari_unetseg": "99.1"}, "napari-unetseg 99.1 made this recipe"),
        ({"parameters": {"threshold": 7}}, "parameters.threshold"),
        ({"model": {"name": "bright"}}, "model.source"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(
    recipe: RunRecipe, tmp_path: Path, change: dict[str, object], reported: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json") | change), encoding="utf-8")
    with pytest.raises(RunRecipeError, match=reported) as refused:
        read_run_recipe(path)
    assert str(refused.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "reported"), [(b"a: [", "not valid YAML"), (b"\xff", "not valid"), (None, "No such")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reported: str) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunRecipeError, match=reported):
        read_run_recipe(path)


def test_settings_that_are_not_about_tiles_stay(settings: Callable[..., Settings]) -> None:
    base = settings(inference__window=100, memory__pool_size_multiplier=3)
    tiled = tiled_settings(None, 5, base)
    assert (tiled.unet.inference.window, tiled.unet.inference.batch_size) == (100, 5)
    assert tiled.unet.memory == base.unet.memory
