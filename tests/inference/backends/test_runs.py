import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.inference.backends.runs import runs
from napari_unetseg.inference.tiling.exact import mirrored


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (np.arange(3, 9), [(3, 8)]),
        (mirrored(5, 8), [(0, 4), (4, 2)]),
        (mirrored(2, 5), [(0, 1), (1, 0), (0, 0)]),
        (np.array([4]), [(4, 4)]),
        (np.array([2, 2, 7, 8]), [(2, 2), (2, 2), (7, 8)]),
    ],
)
def test_neighbours_make_a_run(indices, expected):
    assert list(runs(indices)) == expected


@given(st.lists(st.integers(0, 5), min_size=1))
def test_runs_name_every_index_in_order(indices):
    found = []
    for first, last in runs(np.array(indices)):
        found += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    assert found == indices
