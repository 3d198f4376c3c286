import numpy as np
import pytest
from scipy import ndimage

from napari_unetseg.training.synthetic_clumps import MOST, ClumpLook, Colours, draw_clumps

SIDE = 96
PLAIN = ClumpLook(body=0.5, roundness=0, softness=0.01, grain=(0, 0, 0), rim=0, rim_width=0.03, halo=0, lumen=0)
FLAT = [np.zeros((SIDE, SIDE), np.float32)] * 3


def disc(size: float) -> np.ndarray:
    y, x = np.ogrid[:SIDE, :SIDE]
    depth: np.ndarray = (size / 2 - np.hypot(y - SIDE // 2, x - SIDE // 2)).astype(np.float32)
    return depth


def absorb(**changes: float) -> np.ndarray:
    look = ClumpLook(**{**vars(PLAIN), **changes})
    return look.absorb(np.random.default_rng(0), disc(60), 60, FLAT)


@pytest.mark.parametrize("seed", range(12))
def test_a_scene_is_grey_or_colour_and_its_mask_is_exact(seed: int) -> None:
    image, labels = draw_clumps(np.random.default_rng(seed), SIDE)
    assert image.shape in ((SIDE, SIDE), (SIDE, SIDE, 3))
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert labels.dtype == np.int32
    assert labels.shape == (SIDE, SIDE)
    assert labels.max() <= MOST


def test_scenes_differ_in_colour_number_and_contrast() -> None:
    scenes = [draw_clumps(np.random.default_rng(seed), SIDE) for seed in range(50)]
    coloured = [image.ndim == 3 for image, _ in scenes]
    assert 0.25 < np.mean(coloured) < 0.75
    counts = np.array([len(np.unique(labels[labels > 0])) for _, labels in scenes])
    assert (counts == 0).any()
    assert (counts > 3).any()
    darker = []
    for image, labels in scenes:
        grey = image if image.ndim == 2 else image.mean(axis=2)
        inside, around = labels > 0, (labels == 0) & (ndimage.maximum_filter(labels, 13) > 0)
        if inside.any() and around.any():
            darker.append(np.median(grey[inside]) < np.median(grey[around]))
    # Most things are darker than what surrounds them, but not all are.
    assert 0.5 < np.mean(darker) < 0.95


def test_what_no_light_reaches_is_not_marked() -> None:
    for seed in range(30):
        image, labels = draw_clumps(np.random.default_rng(seed), SIDE)
        marked = image[labels > 0]
        assert marked.size == 0 or marked.max() > 0.05 * image.max()


def test_body_rim_halo_and_lumen_are_where_they_belong() -> None:
    middle = SIDE // 2
    body, hollow, outlined, shining = absorb(), absorb(lumen=1), absorb(body=0, rim=1), absorb(body=0, halo=0.2)
    assert body[middle, middle] > 0.3
    assert body[middle, 2] == pytest.approx(0, abs=1e-3)
    assert hollow[middle, middle] < 0.1 * body[middle, middle]
    assert hollow[middle, middle + 28] > 0.6 * body[middle, middle + 28]
    assert outlined[middle, middle + 28] > 0.8
    assert abs(outlined[middle, middle]) < 0.01
    assert shining.min() == pytest.approx(-0.2, rel=0.1)
    assert shining[disc(60) > 0].min() == pytest.approx(0, abs=1e-3)


def test_a_bright_look_lets_more_light_through() -> None:
    assert absorb(body=-0.5)[SIDE // 2, SIDE // 2] < -0.3


def test_a_stain_takes_its_colours_and_patches_keep_theirs() -> None:
    stain, rest = np.array((0.2, 1, 1), np.float32), np.array((1, 1, 1), np.float32)
    absorbed = np.ones((SIDE, SIDE), np.float32)
    evenly = Colours(stain, rest, 0, grey=False).dye(np.random.default_rng(0), absorbed, FLAT)
    assert (evenly[0] < 0.5 * evenly[1]).all()
    half = Colours(stain, rest, 1, grey=False).dye(np.random.default_rng(0), absorbed, FLAT)
    np.testing.assert_allclose(half, (evenly + 1) / 2, rtol=1e-5)
    np.testing.assert_array_equal(Colours(rest, rest, 0, grey=True).dye(np.random.default_rng(0), absorbed, FLAT), 1)
