import numpy as np
import pytest

from napari_unetseg.postprocessing.basins import Basins, Saddles
from napari_unetseg.postprocessing.merging import divide


def chain(peaks, saddles):
    """Basins in a row, each beside the next one."""
    count = len(peaks)
    order = np.argsort(-np.array(saddles), kind="stable")
    between = Saddles(order, order + 1, np.array(saddles, np.float32)[order], order)
    return Basins(np.arange(count), np.array(peaks, np.float32), np.ones(count, np.int64), np.arange(count), between)


@pytest.mark.parametrize(
    ("peaks", "saddles", "split", "objects"),
    [
        ([1, 1], [0.5], 0.5, 2),
        ([1, 1], [0.8], 0.5, 1),
        ([1, 1], [0.8], 1, 2),
        ([1, 0.3], [0.05], 0.5, 2),
        # Lower than 0.17 of the highest.
        ([1, 0.15], [0.01], 0.5, 1),
        ([1, 0.4, 1], [0.3, 0.35], 0.5, 2),
        # No hill is high enough: what is connected stays together.
        ([0, 0], [0], 0.5, 1),
    ],
)
def test_a_pass_divides_where_it_is_low_enough(peaks, saddles, split, objects):
    assert len(set(divide(chain(peaks, saddles), split))) == objects


def test_a_hill_without_a_seed_goes_to_the_side_of_its_higher_pass():
    owner = divide(chain([1, 0.4, 1], [0.3, 0.35]), 0.5)
    assert owner[1] == owner[2] != owner[0]


def test_there_may_be_no_hills():
    assert divide(chain([], []), 0.5).shape == (0,)
