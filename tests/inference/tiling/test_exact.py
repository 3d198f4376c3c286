import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.inference.tiling.exact import mirrored, plan_tiles, round_up, smallest_window, whole_image

UNTIMED = settings(deadline=None)


@st.composite
def plans(draw):
    grid = 2 ** draw(st.integers(0, 5))
    halo = draw(st.integers(0, 40))
    smallest = smallest_window(round_up(halo, grid), grid)
    window = smallest + draw(st.integers(0, 100))
    longest = smallest + 6 * (window - smallest + grid)
    return (draw(st.integers(1, longest)), draw(st.integers(1, longest))), window, halo, grid


@UNTIMED
@given(plans())
def test_each_pixel_is_written_once(plan):
    shape, *rest = plan
    written = np.zeros(shape, int)
    for tile in plan_tiles(shape, *rest):
        assert written[tile.write].shape == tuple(part.stop - part.start for part in tile.write)
        written[tile.write] += 1
    assert (written == 1).all()


@UNTIMED
@given(plans())
def test_a_halo_is_whole_except_at_the_border(plan):
    shape, window, halo, grid = plan
    for tile in plan_tiles(shape, window, halo, grid):
        for length, read, write in zip(shape, tile.read, tile.write, strict=True):
            assert read.start <= max(0, write.start - halo)
            assert read.stop >= min(round_up(length, grid), write.stop + halo)


@UNTIMED
@given(plans())
def test_windows_lie_on_the_grid_inside_the_padded_image_and_are_alike(plan):
    shape, window, halo, grid = plan
    tiles = plan_tiles(shape, window, halo, grid)
    assert len({tile.read_shape for tile in tiles}) == 1
    assert max(tiles[0].read_shape) <= window
    for tile in tiles:
        for length, read in zip(shape, tile.read, strict=True):
            assert read.start % grid == 0
            assert read.stop % grid == 0
            assert 0 <= read.start < read.stop <= round_up(length, grid)


@UNTIMED
@given(plans())
def test_a_crop_is_the_written_part_seen_from_its_window(plan):
    for tile in plan_tiles(*plan):
        for read, crop, write in zip(tile.read, tile.crop, tile.write, strict=True):
            assert (read.start + crop.start, read.start + crop.stop) == (write.start, write.stop)


def test_an_image_that_fits_is_one_tile():
    (tile,) = plan_tiles((33, 48), window=48, halo=10, grid=16)
    assert tile == whole_image((33, 48), (48, 48))


def test_windows_shrink_to_what_the_same_number_of_tiles_needs():
    tiles = plan_tiles((1040, 16), window=1024, halo=112, grid=16)
    assert [tile.read_shape for tile in tiles] == [(640, 16)] * 2


def test_a_window_without_room_between_its_halos_is_refused():
    assert smallest_window(halo=16, grid=8) == 40
    assert plan_tiles((100, 100), window=40, halo=16, grid=8)
    with pytest.raises(ValueError, match="leaves nothing"):
        plan_tiles((100, 100), window=39, halo=16, grid=8)


def test_padding_mirrors_the_edge_and_goes_on_for_a_single_pixel():
    assert mirrored(3, 5).tolist() == [0, 1, 2, 2, 1]
    assert mirrored(1, 4).tolist() == [0, 0, 0, 0]
    assert mirrored(2, 7).tolist() == [0, 1, 1, 0, 0, 1, 1]
