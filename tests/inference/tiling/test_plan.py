import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.inference.tiling.plan import BYTES_PER_PIXEL, PIXELS_AT_ONCE, tiles_at_once

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("kind", "side", "memory", "expected"),
    [
        ("cuda", 512, 80 * GIGABYTE, 8),
        ("cuda", 64, 80 * GIGABYTE, 8),
        ("cuda", 1120, 80 * GIGABYTE, 2),
        ("cuda", 4096, 80 * GIGABYTE, 1),
        ("cuda", 512, 4 * GIGABYTE, 2),
        ("mps", 512, None, 8),
        ("cpu", 64, 80 * GIGABYTE, 1),
    ],
)
def test_as_many_tiles_as_keep_a_device_busy(kind, side, memory, expected):
    assert tiles_at_once(kind, (side, side), memory) == expected


@given(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), st.integers(1, 100 * GIGABYTE))
def test_tiles_of_a_batch_fit_into_the_memory_and_few_numbers_of_them_occur(shape, memory):
    tiles = tiles_at_once("cuda", shape, memory)
    assert tiles in (1, 2, 4, 8)
    pixels = tiles * shape[0] * shape[1]
    assert tiles == 1 or pixels <= min(PIXELS_AT_ONCE, memory // BYTES_PER_PIXEL)
