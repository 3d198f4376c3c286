"""Label images on disk: whole after every write, and only what changed is written."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unetseg.errors import UnetsegError
from napari_unetseg.plugin.autosave.edit_file import INDEX, EditFile, EditsTooLarge, read_description, read_edit

PLENTY = 1 << 30


def part_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("labels-*.bin"))


@given(
    images=st.lists(
        arrays(np.int32, array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.integers(-1, 3)), min_size=1
    )
)
@settings(deadline=None, max_examples=40)
def test_the_last_image_comes_back(tmp_path_factory: pytest.TempPathFactory, images: list[np.ndarray]) -> None:
    file = EditFile(tmp_path_factory.mktemp("edits") / "one")
    for number, image in enumerate(images):
        file.write(image, {"number": number}, PLENTY)
    labels, description = read_edit(file.folder)
    np.testing.assert_array_equal(labels, images[-1])
    assert labels.dtype == np.int32
    assert description == {"number": len(images) - 1}


def test_several_parts_of_a_turned_stack_come_back(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 5, (3, 1100, 700), np.int32).transpose(1, 0, 2)
    EditFile(tmp_path / "one").write(labels, {}, PLENTY)
    np.testing.assert_array_equal(read_edit(tmp_path / "one")[0], labels)


def test_a_change_writes_its_part_alone(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 1000, (2048, 2048), np.int32)
    file = EditFile(tmp_path / "one")
    file.write(labels, {}, PLENTY)
    before = part_bytes(file.folder)
    labels[100:110, 100:110] = 7
    file.write(labels, {}, PLENTY)
    assert part_bytes(file.folder) - before < before / 10
    np.testing.assert_array_equal(read_edit(file.folder)[0], labels)


def test_many_changes_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unetseg.plugin.autosave.edit_file._SLACK", 10_000)
    random = np.random.default_rng(0)
    file = EditFile(tmp_path / "one")
    for _ in range(30):
        labels = random.integers(0, 9, (64, 64), np.int32)
        file.write(labels, {}, PLENTY)
    np.testing.assert_array_equal(read_edit(file.folder)[0], labels)
    assert part_bytes(file.folder) < 30_000
    assert len(list(file.folder.glob("labels-*.bin"))) == 1


def test_what_was_written_counts_until_the_index_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.full((40, 40), 3, np.int32), np.full((40, 40), 4, np.int32)
    file = EditFile(tmp_path / "one")
    file.write(first, {}, PLENTY)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(EditFile, "_write_index", killed)
    with pytest.raises(KeyboardInterrupt):
        file.write(second, {}, PLENTY)
    np.testing.assert_array_equal(read_edit(file.folder)[0], first)
    with pytest.raises(KeyboardInterrupt):
        EditFile(file.folder).write(second, {}, PLENTY)
    np.testing.assert_array_equal(read_edit(file.folder)[0], first)


def test_a_folder_that_is_taken_up_again_stays_whole(tmp_path: Path) -> None:
    first, second = np.full((40, 40), 3, np.int32), np.full((40, 40), 4, np.int32)
    EditFile(tmp_path / "one").write(first, {"name": "a"}, PLENTY)
    EditFile(tmp_path / "one").write(second, {"name": "b"}, PLENTY)
    np.testing.assert_array_equal(read_edit(tmp_path / "one")[0], second)
    assert read_description(tmp_path / "one") == {"name": "b"}
    assert len(list((tmp_path / "one").glob("labels-*.bin"))) == 1


def test_what_is_too_large_leaves_what_was_kept(tmp_path: Path) -> None:
    file = EditFile(tmp_path / "one")
    file.write(np.ones((8, 8), np.int32), {}, PLENTY)
    with pytest.raises(EditsTooLarge):
        file.write(np.random.default_rng(0).integers(0, 9, (64, 64), np.int32), {}, 500)
    np.testing.assert_array_equal(read_edit(file.folder)[0], np.ones((8, 8), np.int32))


@pytest.mark.parametrize("damage", ["no index", "no JSON", "another version", "cut off"])
def test_damage_is_told(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "one"
    EditFile(folder).write(np.ones((8, 8), np.int32), {}, PLENTY)
    index = folder / INDEX
    if damage == "no index":
        index.unlink()
    elif damage == "no JSON":
        index.write_text("{", encoding="utf-8")
    elif damage == "another version":
        index.write_text(json.dumps(json.loads(index.read_text(encoding="utf-8")) | {"version": 99}), encoding="utf-8")
    else:
        next(folder.glob("labels-*.bin")).write_bytes(b"")
    with pytest.raises(UnetsegError, match="cannot be read"):
        read_edit(folder)
