import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unetseg.training import synthetic_scenes
from napari_unetseg.training.synthetic_scenes import (
    DIAMETERS,
    KIND,
    SpheroidAppearance,
    draw_places,
    draw_scene,
    draw_scenes,
    draw_spheroids,
    make_scenes,
)
from napari_unetseg.zoo.card import Percentile

CLEAR = SpheroidAppearance(
    body=1, grain=0, grain_size=0.2, rim=0, rim_width=0.3, halo=0, halo_width=1, core=0, core_depth=0.5
)


def round_depth(side: int, size: float) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    return (size / 2 - np.hypot(y - side // 2, x - side // 2)).astype(np.float32)


def test_scenes_depend_on_seed_and_number_alone() -> None:
    three, two, others = (list(draw_scenes(count, seed)) for count, seed in ((3, 4), (2, 4), (2, 5)))
    for (image, labels), (again, labels_again) in zip(three, two, strict=False):
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(labels, labels_again)
    assert not np.array_equal(three[0][0], three[1][0])
    assert not np.array_equal(three[0][0], others[0][0])


@pytest.mark.parametrize("seed", range(12))
def test_spheroids_are_numbered_whole_and_apart(seed: int) -> None:
    image, labels = draw_spheroids(np.random.default_rng(seed), 128)
    assert image.shape == labels.shape == (128, 128)
    assert image.dtype == np.float32
    assert labels.dtype == np.int32
    assert np.isfinite(image).all()
    assert sorted(set(np.unique(labels)) - {0}) == list(range(1, labels.max() + 1))
    # Each is one piece without holes, and no two touch.
    assert ndimage.label(labels, np.ones((3, 3)))[1] == labels.max()
    for label in range(1, labels.max() + 1):
        np.testing.assert_array_equal(labels == label, ndimage.binary_fill_holes(labels == label))


def test_a_third_of_the_scenes_are_of_spheroids(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for name in ("draw_spheroids", "draw_clumps"):
        monkeypatch.setattr(synthetic_scenes, name, lambda rng, side, name=name: drawn.append(name))
    for seed in range(300):
        draw_scene(np.random.default_rng(seed))
    assert 70 <= drawn.count("draw_spheroids") <= 140
    assert set(drawn) == {"draw_spheroids", "draw_clumps"}


def test_the_mask_lies_where_light_is_lost() -> None:
    # A spheroid that absorbs at its rim is darker there than what lies around it, in most scenes by far.
    darker = []
    for image, labels in (draw_spheroids(np.random.default_rng(seed)) for seed in range(40)):
        if labels.any():
            inside = (labels > 0) & (ndimage.minimum_filter(labels, 9) == 0)
            outside = (labels == 0) & (ndimage.maximum_filter(labels, 15) > 0)
            darker.append(np.median(image[inside]) < np.median(image[outside]))
    assert len(darker) > 30
    assert np.mean(darker) > 0.85


def test_most_scenes_have_one_spheroid_and_some_none() -> None:
    counts = np.bincount([len(draw_places(np.random.default_rng(seed), 256, 60)) for seed in range(500)])
    assert 15 <= counts[0] <= 45
    assert counts[1] == counts.max()
    assert counts[2:].sum() > 150


def test_a_ball_absorbs_by_its_thickness() -> None:
    depth = round_depth(65, 50)
    passed = CLEAR.transmit(np.random.default_rng(0), depth, 50, 1, 4)
    assert passed[32, 32] == pytest.approx(np.exp(-1))
    # Half way out the chord is sqrt(3)/2 of the diameter.
    assert passed[32, 32 + 12] == pytest.approx(np.exp(-np.sqrt(1 - (12 / 25) ** 2)), rel=1e-5)
    assert (passed[depth < 0] == 1).all()
    thinner = CLEAR.transmit(np.random.default_rng(0), depth, 50, 0.5, 4)
    assert thinner[32, 32] == pytest.approx(np.exp(-0.5))


def test_rim_core_and_halo_are_where_they_belong() -> None:
    depth = round_depth(65, 50)

    def transmit(**changes: float) -> np.ndarray:
        look = SpheroidAppearance(**{**vars(CLEAR), "body": 0, **changes})
        return look.transmit(np.random.default_rng(0), depth, 50, 1, 4)

    rim, core, halo = transmit(rim=1), transmit(core=1), transmit(halo=0.2)
    assert rim[32, 32] > 0.99
    assert rim[32, 32 + 24] < 0.8
    assert core[32, 32] < 0.4
    assert core[32, 32 + 23] > 0.9
    assert halo[32, 32] == pytest.approx(1)
    assert halo[32, 32 + 29] == pytest.approx(1.2, rel=0.01)


def test_scenes_become_samples_of_their_kind() -> None:
    samples = make_scenes(2, 3, Percentile())
    assert [sample.stem for sample in samples] == ["scene0000", "scene0001"]
    for sample, (image, labels) in zip(samples, draw_scenes(2, 3), strict=True):
        assert sample.kind == KIND
        np.testing.assert_array_equal(sample.labels, labels)
        assert torch.equal(sample.targets[0] > 0, torch.from_numpy(labels > 0))
        assert sample.pixels.shape == ((3 if image.ndim == 3 else 1), *labels.shape)
    assert make_scenes(0, 3, Percentile()) == []


def test_diameters_cover_their_range() -> None:
    drawn = [draw_spheroids(np.random.default_rng(seed))[1] for seed in range(30)]
    areas = [np.bincount(labels[labels > 0]).max() for labels in drawn if labels.any()]
    largest = np.sqrt(4 * np.array(areas) / np.pi)
    assert largest.min() < 1.5 * DIAMETERS[0]
    assert largest.max() > 0.7 * DIAMETERS[1]
