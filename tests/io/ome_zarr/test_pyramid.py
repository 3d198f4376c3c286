"""Levels of a pyramid, and who writes which of their files."""

import numpy as np
import pytest
import zarr

from napari_unetseg.io.ome_zarr.pyramid import create_arrays, every_nth, means, usual_strides, write_region


@pytest.mark.parametrize(
    ("shape", "side", "levels", "strides"),
    [
        ((500, 1024), 2048, None, (1,)),
        ((500, 1025), 2048, None, (1, 2)),
        ((32768, 32768), 2048, None, (1, 2, 4, 8, 16, 32)),
        # A block of 96 pixels has a part of 48 and none that is halved twice and still large enough to be a file.
        ((32768, 32768), 96, None, (1, 2)),
        ((50, 50), 2048, 4, (1, 2, 4, 8)),
        ((50, 50), 4, 4, (1, 2, 4)),
    ],
)
def test_there_are_levels_until_a_plane_is_seen_as_a_whole(shape, side, levels, strides):
    assert usual_strides(shape, side, levels) == strides


def test_means_of_squares_at_the_end_are_of_what_there_is():
    values = np.arange(15, dtype=np.float32).reshape(3, 5)
    assert means(values, 2).tolist() == [[3, 5, 6.5], [10.5, 12.5, 14]]
    assert means(values.astype(np.float16), 2).dtype == np.float16
    assert every_nth(values, 2).tolist() == [[0, 2, 4], [10, 12, 14]]


@pytest.mark.parametrize("version", [2, 3])
def test_no_two_blocks_share_a_file(tmp_path, version):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    arrays = create_arrays(group, (2, 100, 120), (1, 2, 4), "zyx", "int32", 64)
    files = []
    for block in ((0, 0), (0, 64), (64, 0), (64, 64)):
        before = set((tmp_path / "a.zarr").rglob("*"))
        times = {path: path.stat().st_mtime_ns for path in before if path.is_file()}
        region = tuple(slice(start, min(start + 64, end)) for start, end in zip(block, (100, 120), strict=True))
        values = np.full([side.stop - side.start for side in region], 7, np.int32)
        write_region(arrays, (1, 2, 4), (1,), region, values, every_nth)
        assert {path: path.stat().st_mtime_ns for path in times} == times
        files.append({path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()} - before)
    assert all(len(made) == 3 for made in files)
    assert all((array[1] == 7).all() and not array[0].any() for array in arrays)


def test_a_block_that_shares_a_pixel_of_a_lower_level_is_refused(tmp_path):
    arrays = create_arrays(zarr.open_group(tmp_path / "a.zarr", mode="w"), (100, 100), (1, 2, 4), "yx", "int32", 64)
    with pytest.raises(ValueError, match="66, 0 is not whole"):
        write_region(arrays, (1, 2, 4), (), (slice(66, 80), slice(0, 64)), np.ones((14, 64), np.int32), every_nth)
    assert not arrays[0][...].any()
