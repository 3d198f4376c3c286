"""Which files of a folder are images."""

import pytest

from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.errors import UnetsegError


@pytest.fixture
def plate(tmp_path):
    for name in (
        *("b.tif", "a.PNG", "b_dapi.png", "notes.txt", ".hidden.tif", "x/c.tif", "x/.cache/d.tif"),
        *("segmented/b_labels.tif", f"segmented/{JOURNAL_FILE}", "b_labels.tif"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    return tmp_path


def found(folder, *words, **options):
    return [path.relative_to(folder).as_posix() for path in find_images(folder, *words, **options)]


def test_images_of_the_folder_without_results(plate):
    assert found(plate) == ["a.PNG", "b.tif", "b_dapi.png"]


def test_sub_folders_without_those_of_results(plate):
    assert found(plate, recursive=True) == ["a.PNG", "b.tif", "b_dapi.png", "x/c.tif"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.PNG", "b_dapi.png"]),
        ("*_dapi.*; *.TIF", ["b.tif", "b_dapi.png", "x/c.tif"]),
        ("*.png,*.tif", ["a.PNG", "b.tif", "b_dapi.png", "x/c.tif"]),
        ("x/*", ["x/c.tif"]),
        ("*.txt", []),
        (" ", ["a.PNG", "b.tif", "b_dapi.png", "x/c.tif"]),
    ],
)
def test_patterns(plate, pattern, names):
    assert found(plate, pattern, recursive=True) == names


def test_a_folder_of_results_can_be_asked_for_outright(plate):
    (plate / "segmented" / "c.tif").touch()
    assert found(plate / "segmented") == ["b_labels.tif", "c.tif"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UnetsegError, match="there is no such folder"):
        find_images(tmp_path / "gone")
