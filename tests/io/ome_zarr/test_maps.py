"""Probability maps as a store of OME-Zarr."""

from pathlib import Path

import numpy as np
import pytest
from tests.io.ome_zarr.written_labels import attributes, image_store

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.maps import create_maps

MAPS = np.random.default_rng(0).random((2, 3, 2, 70, 90), np.float32)
"""Of two time points, of three planes each, of two heads."""


def test_each_head_is_a_channel(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 3, 70, 90), np.uint8), "TZYX", scale=(0.5, 0.25), unit="micrometer", name="cells")
    maps = create_maps(tmp_path / "a", ["foreground", "boundary"], image, block_side=64, dtype="float32")
    for index in np.ndindex(2, 3):
        for top, left in ((0, 0), (0, 64), (64, 0), (64, 64)):
            block = (slice(top, min(top + 64, 70)), slice(left, min(left + 64, 90)))
            maps.write_block(index, block, MAPS[index][:, *block])
    read = read_image(tmp_path / "a")
    assert (read.axes, read.scale) == ("TCZYX", (0.5, 0.25))
    np.testing.assert_array_equal(read.array, MAPS.swapaxes(1, 2))
    channels = attributes(tmp_path / "a")["ome"]["omero"]["channels"]
    assert [one["label"] for one in channels] == ["foreground", "boundary"]


def test_lower_levels_are_means_in_half_the_room(tmp_path: Path) -> None:
    image = Image(np.zeros((70, 1100), np.uint8))
    maps = create_maps(tmp_path / "a", ["foreground"], image, block_side=2048)
    half = np.zeros((1, 70, 1100), np.float32)
    half[:, :, ::2] = 1
    maps.write_block((), (slice(0, 70), slice(0, 1100)), half)
    assert [array.shape for array in maps.arrays] == [(1, 70, 1100), (1, 35, 550)]
    assert (maps.arrays[1][...] == 0.5).all()
    assert {array.dtype for array in maps.arrays} == {np.dtype("float16")}


def test_maps_are_replaced_only_when_asked_and_nothing_else_is(tmp_path: Path) -> None:
    image = Image(np.zeros((70, 90), np.uint8))
    create_maps(tmp_path / "a", ["foreground"], image, block_side=64)
    with pytest.raises(UnetsegError, match="there is something else already"):
        create_maps(tmp_path / "a", ["foreground"], image, block_side=64)
    assert create_maps(tmp_path / "a", ["foreground"], image, block_side=64, replace=True).arrays
    store = image_store(tmp_path / "b.zarr", "0.5")
    with pytest.raises(UnetsegError, match="there is something else already"):
        create_maps(store, ["foreground"], image, block_side=64, replace=True)
    assert store.exists()
