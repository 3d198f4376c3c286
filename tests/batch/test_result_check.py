"""Damaged results are told from those that somebody changed."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.folder_journal import WrittenFile
from napari_unetseg.batch.output_files import ALL, ENDINGS, OTHER_PROGRAMS, ResultKind, Target
from napari_unetseg.batch.result_check import FileState, check_result, set_aside_if_changed
from napari_unetseg.batch.saving import save_results
from napari_unetseg.image import Image
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.segment_options import SegmentOptions

KINDS = (*ALL, *OTHER_PROGRAMS)


@pytest.fixture
def target(service, tmp_path):
    """All kinds of results of one image."""
    array = np.full((64, 64), 100, np.uint16)
    for number in range(9):
        y, x = 20 * (number // 3), 20 * (number % 3)
        array[y + 2 : y + 8 + number, x + 2 : x + 10] = 900
    target = Target(tmp_path, "a")
    save_results(service._segment(Image(array), SegmentOptions.of()), target, KINDS)
    return target


def written(target, kind):
    path = target.path(ENDINGS[kind])
    return WrittenFile(size=path.stat().st_size, sha256=hash_file(path))


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    return request.param


def test_what_was_written_is_the_same(target, kind):
    assert check_result(target, kind, written(target, kind)) is FileState.SAME
    assert set_aside_if_changed(target, kind, written(target, kind)) is None


def _missing(path):
    path.unlink()


def _empty(path):
    path.write_bytes(b"")


def _cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _last_byte(path):
    path.write_bytes(path.read_bytes()[:-1])


def _zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def _flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _other(path):
    path.write_bytes(b"something else" * 1000)


@pytest.mark.parametrize("damage", [_missing, _empty, _cut, _zeros, _flipped, _other])
def test_damage_of_any_kind_is_damage(target, kind, damage):
    before = written(target, kind)
    damage(target.path(ENDINGS[kind]))
    assert check_result(target, kind, before) is FileState.DAMAGED


@pytest.mark.parametrize("damage", [_missing, _empty, _cut, _zeros, _other])
def test_without_a_hash_what_can_be_told_is_told(target, kind, damage):
    assert check_result(target, kind, None) is FileState.SAME
    damage(target.path(ENDINGS[kind]))
    are_fewer_lines = kind in {_cut: (ResultKind.TABLE, ResultKind.YOLO), _empty: (ResultKind.YOLO,)}.get(damage, ())
    if not are_fewer_lines:
        assert check_result(target, kind, None) is FileState.DAMAGED


@pytest.mark.parametrize("kind", [ResultKind.LABELS, ResultKind.OME_TIFF])
def test_labels_that_somebody_saved_again_are_changed_and_kept(target, kind):
    path, before = target.path(ENDINGS[kind]), written(target, kind)
    labels = tifffile.imread(path)
    labels[labels == 2] = 1
    tifffile.imwrite(path, labels)
    assert check_result(target, kind, before) is FileState.CHANGED
    for name in (f"{path.name}.changed", f"{path.name}.changed2"):
        aside = set_aside_if_changed(target, kind, before)
        assert aside == path.with_name(name)
        assert not path.exists()
        np.testing.assert_array_equal(tifffile.imread(aside), labels)
        tifffile.imwrite(path, labels)


def test_a_table_with_a_column_more_is_changed(target):
    path, before = target.path("table.csv"), written(target, ResultKind.TABLE)
    path.write_text("".join(f"{line},x\n" for line in path.read_text().splitlines()))
    assert check_result(target, ResultKind.TABLE, before) is FileState.CHANGED


def test_damaged_files_are_not_kept(target, kind):
    path, before = target.path(ENDINGS[kind]), written(target, kind)
    (_zeros if kind is ResultKind.YOLO else _empty)(path)  # without a line it says that there is no object
    assert set_aside_if_changed(target, kind, before) is None
    assert path.exists()
