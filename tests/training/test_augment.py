from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.training.augment import (
    blur,
    compress,
    draw_bend,
    draw_centre,
    draw_crop,
    draw_noise,
    draw_object_pixel,
    draw_sample,
    draw_scale,
    draw_shade,
    draw_view,
    find_window,
    relight,
    resample,
    turn_flows,
)
from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.targets import training_targets
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.zoo.card import Percentile

CALM = {"invert": 0, "grey": 0, "shuffle": 0, "tint": 0, "gain": 0, "offset": 0, "gamma": 0, "blur": 0.3, "noise": 0}


@pytest.fixture
def samples(dataset: Path) -> list[Sample]:
    return load_samples(find_pairs(dataset), Percentile())


@pytest.mark.parametrize("seed", range(8))
def test_image_and_mask_stay_aligned(samples: list[Sample], seed: int) -> None:
    # An image that is its own foreground must still be after every geometric change.
    options = Augmentation(rotate=1, **CALM)
    rng = np.random.default_rng(seed)
    layers = torch.cat([samples[0].targets[:1], samples[0].targets]).float()
    view = resample(layers, draw_view(samples[0], 32, options, rng), 32)
    torch.testing.assert_close(view[0], view[1])
    assert (view[2] <= view[1] + 1e-5).all()  # no distance outside the foreground


def test_the_identity_view_is_the_image() -> None:
    layers = torch.rand(2, 24, 24)
    view = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    torch.testing.assert_close(resample(layers, view, 24), layers, atol=1e-5, rtol=0)


def test_a_shifted_view_is_a_crop() -> None:
    layers = torch.rand(1, 30, 20)
    # From the centre (15, 10) by 3 right and 5 up; the crop is 8 wide.
    view = torch.tensor([[1.0, 0, 3], [0, 1, -5]])
    torch.testing.assert_close(resample(layers, view, 8), layers[:, 6:14, 9:17], atol=1e-5, rtol=0)


def test_a_quarter_turn_is_exact() -> None:
    layers = torch.rand(1, 16, 16)
    view = torch.tensor([[0.0, -1, 0], [1, 0, 0]])
    torch.testing.assert_close(resample(layers, view, 16), torch.rot90(layers, 1, (1, 2)), atol=1e-5, rtol=0)


def test_a_view_larger_than_the_image_mirrors_it() -> None:
    layers = torch.rand(1, 16, 16)
    view = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    seen = resample(layers, view, 32)
    torch.testing.assert_close(seen[:, 8:24, 8:24], layers, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, 8:24, 7], layers[:, :, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_window_is_all_that_a_view_needs(samples: list[Sample], seed: int) -> None:
    # 64 pixels seen by crops of 16 that are magnified, shrunk, turned and bent, some over the border.
    rng = np.random.default_rng(seed)
    options = Augmentation(scale=(0.5, 4), rotate=1, smallest_object=0)
    view, bend = draw_view(samples[0], 16, options, rng), draw_bend(16, 1.5, rng)
    rows, columns, moved = find_window(view, 16, (64, 64), float(bend.abs().max()))
    layers = torch.rand(2, 64, 64)
    expected = resample(layers, view, 16, bend)
    torch.testing.assert_close(resample(layers[:, rows, columns], moved, 16, bend), expected, atol=1e-4, rtol=0)


def test_the_window_is_no_larger_than_needed() -> None:
    view = torch.tensor([[0.0, -1, 3], [1, 0, -5]])
    rows, columns, moved = find_window(view, 8, (60, 40), 0)
    assert (rows, columns) == (slice(19, 31), slice(17, 29))
    assert torch.equal(moved, torch.tensor([[0.0, -1, 0], [1, 0, 0]]))
    over, whole, _ = find_window(torch.tensor([[1.0, 0, 0], [0, 1, 28]]), 8, (60, 40), 0)
    assert (over, whole) == (slice(0, 60), slice(14, 26))


def test_small_objects_are_not_shrunk_away(samples: list[Sample]) -> None:
    options = Augmentation(scale=(0.1, 1), smallest_object=8)
    least = 8 / np.median(samples[0].diameters)
    for seed in range(50):
        view = draw_view(samples[0], 32, options, np.random.default_rng(seed))
        scale = 1 / torch.linalg.norm(view[:, 0])
        assert least - 1e-3 <= scale <= 1 + 1e-3


def test_a_crop_has_three_channels_and_all_targets(samples: list[Sample]) -> None:
    for sample in (samples[0], samples[-1]):
        pixels, targets = draw_crop(sample, 32, Augmentation(), np.random.default_rng(0))
        assert pixels.shape == (3, 32, 32)
        assert targets.shape == (5, 32, 32)
        assert pixels.isfinite().all()
        assert targets[:3].min() >= 0
        assert targets.min() >= -1
        assert targets.max() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_a_flow_points_to_the_core_from_every_side(seed: int) -> None:
    labels = np.zeros((32, 32), np.int32)
    labels[4:12, 4:16] = 1
    labels[12:28, 8:16] = 2
    targets = torch.from_numpy(training_targets(labels))
    view = torch.eye(2, 3)
    if seed & 1:
        view = view[[1, 0]]
    view = view * torch.tensor([[-1.0 if seed & 2 else 1.0], [-1.0 if seed & 4 else 1.0]])
    seen = resample(torch.cat([targets, torch.from_numpy(labels)[None].float()]), view, 32)
    expected = training_targets(seen[-1].round().numpy().astype(np.int32))
    torch.testing.assert_close(turn_flows(seen[:-1], view), torch.from_numpy(expected))


def test_the_same_seed_gives_the_same_crop(samples: list[Sample]) -> None:
    first, again, other = (draw_crop(samples[-1], 32, Augmentation(), np.random.default_rng(s))[0] for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_crop_shows_the_objects_of_its_donor(samples: list[Sample]) -> None:
    empty = replace(samples[0], targets=torch.zeros_like(samples[0].targets))
    options = Augmentation(**CALM)
    _, targets = draw_crop(empty, 32, options, np.random.default_rng(3), samples[2])
    rng = np.random.default_rng(3)
    draw_sample(empty, 32, options, rng)
    assert targets.any()
    assert torch.equal(targets, draw_sample(samples[2], 32, options, rng)[1])


def test_inversion_swaps_dark_and_bright() -> None:
    pixels = torch.rand(3, 8, 8)
    inverted = relight(pixels, Augmentation(**{**CALM, "invert": 1}), np.random.default_rng(1))
    plain = relight(pixels, Augmentation(**CALM), np.random.default_rng(1))
    torch.testing.assert_close(inverted + plain, torch.ones(3, 8, 8))


def test_one_channel_becomes_three_equal_ones() -> None:
    grey = torch.rand(1, 8, 8)
    seen = relight(grey, Augmentation(**CALM), np.random.default_rng(1))
    assert seen.shape == (3, 8, 8)
    torch.testing.assert_close(seen, grey.expand(3, -1, -1))
    # Three equal channels are the same picture.
    for seed in range(20):
        three, one = (relight(p, Augmentation(), np.random.default_rng(seed)) for p in (grey.expand(3, -1, -1), grey))
        assert torch.equal(three, one)


def test_a_tint_colours_a_grey_picture() -> None:
    grey = torch.rand(1, 8, 8)
    seen = relight(grey, Augmentation(**{**CALM, "tint": 1}), np.random.default_rng(1))
    ratios = seen / grey
    torch.testing.assert_close(ratios, ratios[:, :1, :1].expand_as(ratios))
    assert ratios.max() == pytest.approx(1)
    assert len(ratios[:, 0, 0].unique()) == 3


def test_dropped_colour_may_be_another_instead() -> None:
    options = Augmentation(**{**CALM, "grey": 1, "recolour": 1})
    red, green, blue = relight(torch.rand(3, 8, 8) + 0.1, options, np.random.default_rng(1))
    for channel in (green, blue):
        ratio = channel / red
        assert ratio.std() < 1e-5 * ratio.mean()
        assert abs(ratio.mean() - 1) > 1e-3


def test_grey_drops_the_colour() -> None:
    seen = relight(torch.rand(3, 8, 8), Augmentation(**{**CALM, "grey": 1}), np.random.default_rng(1))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_blur_keeps_the_mean_and_flattens() -> None:
    point = torch.zeros(3, 33, 33)
    point[:, 16, 16] = 1
    seen = blur(point, 2.0)
    torch.testing.assert_close(seen.sum(dim=(1, 2)), torch.ones(3))
    assert seen.max() == seen[0, 16, 16]
    assert seen.max() < 0.05


def test_a_bend_moves_pixels_smoothly_through_any_view() -> None:
    layers = torch.rand(1, 64, 64)
    shift = torch.zeros(32, 32, 2)
    shift[..., 0] = 3  # three pixels of the crop to the right
    turned = torch.tensor([[0.0, -0.5, 2], [0.5, 0, 1]])  # magnified twice and turned by a quarter
    moved, still = resample(layers, turned, 32, shift), resample(layers, turned, 32)
    torch.testing.assert_close(moved[:, :, :-3], still[:, :, 3:], atol=1e-5, rtol=0)


def test_a_drawn_bend_is_smooth_and_as_wide_as_asked() -> None:
    bends = torch.stack([draw_bend(96, 4, np.random.default_rng(seed)) for seed in range(20)])
    assert bends.shape == (20, 96, 96, 2)
    assert 2 < bends.std() < 5
    assert bends.diff(dim=1).abs().max() < 2


def test_shade_is_a_smooth_light_within_its_depth() -> None:
    light = draw_shade(64, 0.3, np.random.default_rng(0))
    assert 0.7 <= light.min() < light.max() <= 1.3
    assert light.diff(dim=0).abs().max() < 0.3 / 16


def test_compression_changes_pixels_little_and_cuts_the_range() -> None:
    ramp = torch.linspace(-0.5, 1.5, 32).expand(3, 32, 32)
    compressed = compress(ramp, 90)
    assert 0 <= compressed.min() < compressed.max() <= 1
    torch.testing.assert_close(compressed, ramp.clamp(0, 1), atol=0.05, rtol=0)
    assert not torch.equal(compressed, ramp.clamp(0, 1))


def test_the_median_object_gets_the_diameter_asked_for(samples: list[Sample]) -> None:
    median = float(np.median(samples[0].diameters))
    drawn = [draw_scale(samples[0], Augmentation(diameter=(30, 60)), np.random.default_rng(s)) for s in range(200)]
    assert 30 <= min(drawn) * median < 33
    assert 55 < max(drawn) * median <= 60


def test_crops_laid_on_objects_show_one_and_stay_inside(samples: list[Sample]) -> None:
    sample = replace(samples[0], labels=np.zeros((60, 80), np.int32))
    sample.labels[50, 70] = 1
    for seed in range(100):
        x, y = draw_centre(sample, 30, Augmentation(on_object=1), np.random.default_rng(seed))
        assert abs(x) <= 25
        assert abs(y) <= 15
        assert abs(70 - 40 - x) < 15
        assert abs(50 - 30 - y) < 15


@pytest.mark.parametrize("shape", [(4, 5), (200, 300)])
def test_pixels_of_objects_are_drawn_alike(shape: tuple[int, int]) -> None:
    # In the large image the three are so rare that they are not among the first tried.
    labels = np.zeros(shape, np.int32)
    places = [(0, 1), (2, 0), (3, 4)]
    for number, place in enumerate(places, start=1):
        labels[place] = number
    drawn = Counter(draw_object_pixel(labels, np.random.default_rng(seed)) for seed in range(300))
    assert drawn.keys() == set(places)
    assert min(drawn.values()) > 70


def test_no_pixel_is_drawn_where_there_is_no_object() -> None:
    assert draw_object_pixel(np.zeros((9, 9), np.int32), np.random.default_rng(0)) is None


def test_grains_are_wider_than_pixels_where_a_recipe_asks_for_them():
    def likeness(grain):
        noise = draw_noise(1, 64, grain, np.random.default_rng(3))[0].numpy()
        return np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]

    assert abs(likeness(1)) < 0.1
    assert likeness(4) > 0.4
