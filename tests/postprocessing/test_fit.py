"""How well an image fits a model is read off the model's own map."""

import numpy as np
import pytest

from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE
from napari_unetseg.postprocessing.fit import measure_fit
from napari_unetseg.postprocessing.parameters import DecodeParameters

PARAMETERS = DecodeParameters(threshold=0.5, min_size=20, min_confidence=0.8)


def block(value: float, side: int = 10, shape: tuple[int, ...] = (40, 40)) -> np.ndarray:
    """Return a map with one square of that probability."""
    foreground = np.zeros(shape, np.float32)
    foreground[..., 5 : 5 + side, 5 : 5 + side] = value
    return foreground


def test_a_decided_map_fits_perfectly():
    fit = measure_fit(block(1.0), PARAMETERS)
    assert (fit.doubt, fit.dropped, fit.score, fit.is_unlike) == (0, 0, 1, False)


def test_doubt_is_what_the_mean_probability_of_the_objects_lacks():
    assert measure_fit(block(0.9), PARAMETERS).doubt == pytest.approx(0.1, abs=1e-6)
    dropped_and_faint = block(0.9) + np.roll(block(0.75), 20, axis=1) + np.roll(block(0.3), 20, axis=0)
    assert measure_fit(dropped_and_faint, PARAMETERS).doubt == pytest.approx(0.1, abs=1e-6)


def test_a_large_object_counts_more_than_a_small_one():
    foreground = block(1.0, side=10) + np.roll(block(0.8, side=5), 20, axis=1)
    assert measure_fit(foreground, PARAMETERS).doubt == pytest.approx(0.2 * 25 / 125, abs=1e-6)


def test_what_the_models_own_limits_drop_counts():
    foreground = block(1.0) + np.roll(block(0.75), 20, axis=1)  # of two squares, one below the least confidence
    assert measure_fit(foreground, PARAMETERS).dropped == 0.5
    specks = block(1.0)
    specks[30:34, 30:34] = 1.0  # 16 pixels, below the least size
    assert measure_fit(specks, PARAMETERS).dropped == pytest.approx(16 / 116)


def test_an_undecided_map_looks_unlike():
    fit = measure_fit(block(0.55), PARAMETERS)
    assert (fit.doubt, fit.dropped, fit.score) == (pytest.approx(0.45, abs=1e-6), 1, 0)
    assert fit.is_unlike


def test_the_score_is_never_negative():
    assert measure_fit(block(0.01), DecodeParameters(threshold=0.0, min_size=5000)).score == 0


@pytest.mark.parametrize("foreground", [block(0.0), block(np.nan), block(0.49)])
def test_where_nothing_is_seen_nothing_is_said(foreground):
    assert measure_fit(foreground, PARAMETERS) is None


def test_nothing_but_zeros_at_a_threshold_of_zero():
    assert measure_fit(block(0.0), DecodeParameters(threshold=0.0)).score == 0


def test_pixels_without_a_value_are_background():
    foreground = block(1.0)
    foreground[30:] = np.nan
    assert measure_fit(foreground, PARAMETERS).score == 1


def test_of_a_stack_the_middle_plane_is_looked_at():
    stack = np.stack([block(0.55), block(1.0), block(0.55)])
    assert measure_fit(stack, PARAMETERS) == measure_fit(block(1.0), PARAMETERS)


def test_of_a_large_image_the_middle_is_looked_at():
    foreground = np.full((MIDDLE_SIDE + 100, 30), 0.55, np.float32)
    foreground[50:-50] = 1.0
    assert measure_fit(foreground, PARAMETERS).score == 1
