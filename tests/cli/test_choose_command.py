import json
import shlex

import numpy as np
import pytest
import tifffile


@pytest.fixture
def folders(save_squares, tmp_path):
    """Two images of bright squares, and their label images."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    labels.mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(labels / f"{name}.tif", save_squares(images / f"{name}.tif").astype(np.uint16))
    return images, labels


def test_the_best_model_comes_first_and_its_command_works(call, bright_model, folders, tmp_path):
    result = call("choose", *folders, "--models", bright_model, "--models", "nails", "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    best = found["ranking"][0]
    assert (best["model"], best["score"]) == (str(bright_model), 1.0)
    assert best["low"] <= best["score"] <= best["high"]
    assert {one["model"] for one in found["ranking"]} == {str(bright_model), "nails"}
    assert (found["images"], found["measure"], found["drawn_anew"]) == (2, "ap50", "objects")
    program, *words = shlex.split(best["command"])
    assert program == "napari-unetseg"
    again = call(*words, "--output", tmp_path / "out")
    assert again.exit_code == 0, again.output
    segmented = tifffile.imread(tmp_path / "out" / "a_labels.tif")
    assert ((segmented > 0) == (tifffile.imread(folders[1] / "a.tif") > 0)).all()


def test_the_table_ends_with_the_command(call, bright_model, folders):
    result = call("choose", *folders, "--models", bright_model, "--device", "cpu")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("2 of 2 images with 6 objects. Score: AP@0.5")
    assert lines[1].split() == ["model", "settings", "score", "interval", "s/MP"]
    assert lines[-1].startswith(f"napari-unetseg segment {folders[0]} --model {bright_model} --device cpu")


def test_what_there_was_no_time_for_is_named(call, bright_model, folders):
    result = call("choose", *folders, "--models", bright_model, "--device", "cpu", "--minutes", "0")
    assert result.exit_code == 0, result.output
    assert "There was no time for" in result.stdout
    assert result.stdout.startswith("1 of 2 images")


def test_unlabelled_images_are_refused(call, bright_model, folders):
    for path in folders[1].glob("*.tif"):
        tifffile.imwrite(path, np.zeros_like(tifffile.imread(path)))
    result = call("choose", *folders, "--models", bright_model, "--device", "cpu")
    assert result.exit_code == 1
    assert "no image has an annotated object" in result.stderr
