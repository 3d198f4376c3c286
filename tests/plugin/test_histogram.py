import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.plugin.histogram import Histogram, bars

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
