"""A path that leads into a microscope's file names a scene of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.location import (
    find_scene,
    is_microscope_file,
    is_microscope_path,
    scene_path,
    scene_words,
    split_scene_path,
    unique_names,
)

NAMES = ("Series 3", "1", "well A/field 1", "series 3", "")


def test_files_are_known_by_their_suffix_alone() -> None:
    assert all(map(is_microscope_file, ("a.czi", "B.ND2", Path("c.lif"), "d.ome.dv")))
    assert not any(map(is_microscope_file, ("a.tif", "a.lsm", "a.lif.txt", "lif", "a.lif/Series 3")))


def test_a_path_is_divided_at_a_file_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "a.lif"
    file.write_bytes(b"x")
    (tmp_path / "folder.lif").mkdir()
    assert split_scene_path(file) == (file, "")
    assert split_scene_path(file / "Series 3") == (file, "Series 3")
    assert split_scene_path(f"{file}/well A/field 1") == (file, "well A/field 1")
    inner = tmp_path / "folder.lif" / "b.tif"
    assert split_scene_path(inner) == (inner, "")
    missing = tmp_path / "none.lif" / "2"
    assert split_scene_path(missing) == (missing, "")
    assert is_microscope_path(file / "2")
    assert is_microscope_path(tmp_path / "none.lif"), "whoever opens it says that it is missing"
    assert not any(map(is_microscope_path, (inner, missing, tmp_path / "folder.lif")))


def test_a_scene_is_found_by_its_name_then_its_word_then_its_number() -> None:
    assert find_scene(NAMES, "Series 3", "a.lif") == 0
    assert find_scene(NAMES, "series 3", "a.lif") == 3
    assert find_scene(NAMES, "1", "a.lif") == 1, "a name of digits goes before a number"
    assert find_scene(NAMES, "0", "a.lif") == 0
    assert find_scene(NAMES, "well A/field 1", "a.lif") == 2
    assert find_scene(NAMES, "well A_field 1", "a.lif") == 2
    assert find_scene(("only",), "", "a.lif") == 0


def test_a_scene_that_alone_is_called_so_needs_no_folder() -> None:
    names = ("a/Series 1", "a/Series 2", "b/Series 2", "b/0")
    assert find_scene(names, "Series 1", "a.lif") == 0
    assert find_scene(names, "0", "a.lif") == 0
    with pytest.raises(ImageError, match="has no scene 'Series 2'"):
        find_scene(names, "Series 2", "a.lif")


@pytest.mark.parametrize("word", ["5", "-1", "Series 4", "SERIES 3", "1.0", "²"])
def test_a_scene_that_is_not_there_is_refused_with_those_that_are(word: str) -> None:
    with pytest.raises(ImageError, match=r"a\.lif: has no scene .* There are 0: Series 3, 1: 1, 2: well A_field 1"):
        find_scene(NAMES, word, "a.lif")


def test_one_of_several_scenes_has_to_be_named() -> None:
    with pytest.raises(ImageError) as refused:
        find_scene([f"Series {number}" for number in range(30)], "", "a.lif")
    assert str(refused.value).startswith("a.lif: holds 30 scenes; choose one by its name or its number, as in ")
    assert "11: Series 11, …" in str(refused.value)
    with pytest.raises(ImageError, match=r"a\.lif: holds no image"):
        find_scene((), "", "a.lif")


def test_words_are_parts_of_a_path_and_names_of_files() -> None:
    assert scene_words(("a/b", "a_b", "A_B", "..", "2", "", " y. ")) == (
        "a_b (3)",
        "a_b",
        "A_B (2)",
        "3",
        "2",
        "5",
        "y",
    )
    assert scene_words(("line\nbreak\u202e", "tab\t:*?")) == ("line_break_", "tab_")
    long = scene_words(("x" * 300, "x" * 301))
    assert all(len(word) < 80 for word in long)
    assert len(set(long)) == 2


@given(st.lists(st.text(max_size=70), min_size=1, max_size=8))
def test_every_scene_is_found_by_its_word(names: list[str]) -> None:
    names = list(unique_names(names))
    words = scene_words(names)
    assert len({word.casefold() for word in words}) == len(names)
    for number, word in enumerate(words):
        assert scene_path("a.lif", word).parts == ("a.lif", word)
        assert names[find_scene(names, word, "a.lif")] in (names[number], word)


def test_names_are_made_unique() -> None:
    assert unique_names(["a", "a", "", "a (2)", None]) == ("a", "a (3)", "Scene 2", "a (2)", "Scene 4")
    assert unique_names([None, "Position 0"], "Position") == ("Position 0 (2)", "Position 0")
