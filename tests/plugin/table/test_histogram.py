import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.plugin.table.histogram import Histogram, bars

values = arrays(np.float64, st.integers(0, 50), elements=st.floats(-1e6, 1e6) | st.just(np.nan))


@given(values)
def test_every_finite_value_is_counted_once(values: np.ndarray) -> None:
    counts, edges = bars(values)
    finite = values[np.isfinite(values)]
    assert counts.sum() == finite.size
    assert len(edges) == (len(counts) + 1 if finite.size else 0)
    assert len(counts) <= 40
    if finite.size:
        assert edges[0] <= finite.min()
        assert finite.max() <= edges[-1]


def test_the_same_value_everywhere_is_one_bar() -> None:
    counts, _ = bars(np.full(7, 3.0))
    assert counts.tolist() == [7]


@pytest.mark.parametrize(
    ("values", "counted"), [([1, 1, 1 + np.spacing(1.0)], [3]), ([0, 0, 5e-324], [3]), ([0, 0, 1e-300], [2, 1])]
)
def test_bars_are_no_narrower_than_numbers_can_be(values: list[float], counted: list[int]) -> None:
    assert bars(np.array(values))[0].tolist() == counted


def test_values_are_drawn_and_one_is_marked(qtbot: object) -> None:
    histogram = Histogram()
    histogram.resize(200, 120)

    def look() -> bytes:
        return bytes(histogram.grab().toImage().constBits().asarray(200 * 120 * 4))

    empty = look()
    histogram.show_values(np.arange(100.0))
    full = look()
    histogram.mark(50.0)
    assert len({empty, full, look()}) == 3
    histogram.mark(float("nan"))
    assert look() == full
