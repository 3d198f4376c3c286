import mmap

import numpy as np
import psutil
import pytest

from napari_unetseg import probability_maps
from napari_unetseg.errors import ImageError
from napari_unetseg.probability_maps import allocate_map, drop_cached_pages


def test_small_maps_are_in_memory_and_empty():
    array, reported = allocate_map((2, 3, 4), "image")
    assert not isinstance(array, np.memmap)
    assert (array.shape, array.dtype, array.any(), reported) == ((2, 3, 4), np.float32, False, ())


def test_large_maps_are_in_a_file_and_empty(monkeypatch):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 100)
    array, (reported,) = allocate_map((2, 30, 40), "image")
    assert isinstance(array, np.memmap)
    assert (array.shape, array.dtype, array.any()) == ((2, 30, 40), np.float32, False)
    assert "temporary file" in reported


def test_what_was_written_stays_when_its_pages_are_forgotten(monkeypatch):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 100)
    array, _ = allocate_map((2, 300, 400), "image")
    array[:] = np.arange(240_000).reshape(array.shape)
    drop_cached_pages(array[1])
    np.testing.assert_array_equal(array, np.arange(240_000).reshape(array.shape))


def test_changes_of_a_private_mapping_are_not_lost(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 100)))
    array = np.load(tmp_path / "a.npy", mmap_mode="c")
    array[:] = 7
    drop_cached_pages(array)
    assert (array == 7).all()
    drop_cached_pages(np.zeros(3))


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system keeps pages as it likes")
def test_forgotten_pages_are_no_memory_of_this_process(monkeypatch):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 100)
    array, _ = allocate_map((4, 2048, 2048), "image")
    before = psutil.Process().memory_info().rss
    array[:] = 1
    held = psutil.Process().memory_info().rss - before
    drop_cached_pages(array)
    left = psutil.Process().memory_info().rss - before
    assert left < held / 4


def test_no_room_is_said(monkeypatch):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 100)
    monkeypatch.setattr(probability_maps.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(ImageError, match=r"scan.*TMPDIR"):
        allocate_map((2, 30, 40), "scan")
