import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.training.synthetic_shapes import draw_depth


def test_a_thing_has_the_diameter_asked_for() -> None:
    areas = [(draw_depth(np.random.default_rng(seed), 128, (64, 64), 60, 4) > 0).sum() for seed in range(30)]
    # Others may have grown together with it, so the median and not the mean.
    assert np.sqrt(4 * np.median(areas) / np.pi) == pytest.approx(60, rel=0.08)


def test_a_shape_is_one_piece_without_holes() -> None:
    for seed in range(10):
        depth = draw_depth(np.random.default_rng(seed), 96, (48, 48), 40, 12)
        assert ndimage.label(depth > 0)[1] == 1
        assert ndimage.label(depth <= 0, np.ones((3, 3)))[1] == 1


def test_an_oval_is_as_large_as_the_disc_and_longer() -> None:
    ratios, areas = [], []
    for seed in range(20):
        inside = np.argwhere(draw_depth(np.random.default_rng(seed), 128, (64, 64), 50, 3, longer=2) > 0)
        least, most = np.linalg.eigvalsh(np.cov(inside.T))
        ratios.append(np.sqrt(most / least))
        areas.append(len(inside))
    assert np.median(ratios) == pytest.approx(2, rel=0.2)
    assert np.sqrt(4 * np.median(areas) / np.pi) == pytest.approx(50, rel=0.1)
