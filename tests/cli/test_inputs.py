"""What words on the command line mean."""

from pathlib import Path

import pytest

from napari_unetseg.cli.inputs import expand_inputs


@pytest.fixture
def plate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.tif", "a.PNG", "notes.txt", ".hidden.tif", "deep/c.tif"):
        path = tmp_path / "plate" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    return Path("plate")


def test_a_folder_means_its_images(plate):
    assert expand_inputs(["plate"]).paths == (plate / "a.PNG", plate / "b.tif")


def test_patterns(plate):
    assert expand_inputs(["plate/*.tif"]).paths == (plate / "b.tif",)
    assert expand_inputs(["plate/**/*.tif"]).paths == (plate / "b.tif", plate / "deep" / "c.tif")


def test_a_file_is_taken_as_it_is_and_once(plate):
    words = ["nowhere.tif", "plate/notes.txt", "plate/b.tif", "plate/../plate/b.tif", "plate"]
    assert expand_inputs(words).paths == (Path("nowhere.tif"), plate / "notes.txt", plate / "b.tif", plate / "a.PNG")


def test_a_name_with_brackets_is_no_pattern(plate):
    (plate / "b[1].tif").touch()
    assert expand_inputs(["plate/b[1].tif"]).paths == (plate / "b[1].tif",)


def test_words_that_name_nothing_are_told(plate):
    (plate / "empty").mkdir()
    inputs = expand_inputs(["plate/empty", "plate/*.jpg"])
    assert inputs.paths == ()
    assert [problem.split(" (")[0] for problem in inputs.problems] == [
        "plate/empty: the folder holds no image",
        "plate/*.jpg: no image fits this pattern",
    ]


def test_results_of_an_earlier_run_are_no_images(plate):
    for name in ("b_labels.tif", "b_overlay.png", "other_labels.tif"):
        (plate / name).touch()
    assert expand_inputs(["plate"]).paths == (plate / "a.PNG", plate / "b.tif", plate / "other_labels.tif")
    assert expand_inputs(["plate/b_labels.tif"]).paths == (plate / "b_labels.tif",)


def test_folders_may_be_searched_deeply_and_by_pattern(plate):
    assert expand_inputs(["plate"], "*.tif", recursive=True).paths == (plate / "b.tif", plate / "deep" / "c.tif")
