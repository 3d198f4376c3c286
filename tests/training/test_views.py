from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.targets import FLOWS, TARGETS, training_targets
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.training.views import Views, draw_centres, draw_scales, draw_views, find_windows, resample
from napari_unetseg.zoo.card import Percentile

CPU = torch.device("cpu")
TURNS = [np.array(turn, float) for turn in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]])]


@pytest.fixture
def samples(dataset: Path) -> list[Sample]:
    return load_samples(find_pairs(dataset), Percentile())


def picture(labels: np.ndarray, pixels: Tensor | None = None) -> Sample:
    pixels = torch.rand(3, *labels.shape).half() if pixels is None else pixels.half()
    targets = torch.from_numpy(training_targets(labels)).half()
    return Sample("p", "k", pixels, targets, labels, np.array([10.0]))


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width), np.int32)


def view(sample: Sample, linear: np.ndarray | Sequence[Sequence[float]], shift: tuple[float, float] = (0, 0)) -> Views:
    height, width = sample.labels.shape
    return Views(np.array([0]), np.array([linear], float), np.array([[width / 2 + shift[0], height / 2 + shift[1]]]))


def see(sample: Sample, views: Views, side: int) -> tuple[Tensor, Tensor]:
    pixels, targets = resample(CropStore([sample], CPU), views, side)
    return pixels[0], targets[0]


def test_the_identity_view_is_the_image() -> None:
    sample = picture(blank(24, 24))
    torch.testing.assert_close(see(sample, view(sample, TURNS[0]), 24)[0], sample.pixels.float(), atol=1e-5, rtol=0)


def test_a_shifted_view_is_a_crop() -> None:
    sample = picture(blank(30, 20))
    # From the centre (15, 10) by 3 right and 5 up; the crop is 8 wide.
    seen, _ = see(sample, view(sample, TURNS[0], (3, -5)), 8)
    torch.testing.assert_close(seen, sample.pixels[:, 6:14, 9:17].float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("turn", range(4))
def test_targets_follow_pixels_through_turns_and_flips(turn: int, flip: int) -> None:
    labels = blank(32, 32)
    labels[4:12, 4:16] = 1
    labels[12:28, 8:16] = 2
    sample = picture(labels, torch.from_numpy(labels)[None].float())
    pixels, targets = see(sample, view(sample, TURNS[turn] @ np.diag([flip, 1])), 32)
    expected = torch.rot90(torch.from_numpy(labels), turn, (0, 1))
    expected = expected if flip == 1 else expected.flip(1)
    torch.testing.assert_close(pixels, expected.float().expand(3, -1, -1), atol=1e-4, rtol=0)
    # Worked out anew, flows point to the core, too.
    anew = torch.from_numpy(training_targets(expected.contiguous().numpy()))
    torch.testing.assert_close(targets, anew, atol=2e-3, rtol=0)


def test_a_view_larger_than_the_image_mirrors_it_and_its_flows() -> None:
    labels = blank(16, 16)
    labels[2:7, 0:6] = 1
    sample = picture(labels)
    pixels, targets = see(sample, view(sample, TURNS[0]), 48)
    mirrored = np.pad(labels, 16, mode="symmetric")
    expected = np.pad(sample.pixels.float().numpy(), ((0, 0), (16, 16), (16, 16)), mode="symmetric")
    torch.testing.assert_close(pixels, torch.from_numpy(expected), atol=1e-4, rtol=0)
    assert np.array_equal(targets[0].numpy() > 0.5, mirrored > 0)
    there = sample.targets[FLOWS].float()
    left = targets[FLOWS, 16:32, 0:16]
    torch.testing.assert_close(left, there.flip(2) * torch.tensor([1.0, -1.0])[:, None, None], atol=1e-4, rtol=0)
    above = targets[FLOWS, 0:16, 16:32]
    torch.testing.assert_close(above, there.flip(1) * torch.tensor([-1.0, 1.0])[:, None, None], atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_flows_point_to_the_core_after_any_view(seed: int) -> None:
    labels = blank(64, 64)
    y, x = np.mgrid[:64, :64]
    labels[(y - 30) ** 2 + (x - 35) ** 2 < 100] = 1
    sample = picture(labels, torch.from_numpy(labels)[None].float())
    store = CropStore([sample], CPU)
    options = Augmentation(rotate=1, stretch=0.2, shear=0.15, scale=(0.8, 1.6))
    views = draw_views(store, np.array([0]), 64, options, np.random.default_rng(seed))
    views = replace(views, centres=np.array([[35.5, 30.5]]))  # so that the disc's middle is the crop's
    pixels, targets = see(sample, views, 64)
    inside = pixels[0] > 0.99
    y, x = (torch.from_numpy(axis).float() - 31.5 for axis in np.mgrid[:64, :64])
    flow_y, flow_x = targets[FLOWS]
    length = torch.hypot(flow_y, flow_x)
    far = inside & (length > 0.3)
    cosine = -(flow_y * y + flow_x * x) / (length * torch.hypot(y, x)).clamp(min=1e-6)
    assert far.sum() > 50
    # A stretched disc's flows need not meet in one point, but all lead inwards.
    assert cosine[far].min() > 0.7
    assert cosine[far].mean() > 0.95
    assert length.max() <= 1.001


def test_what_is_not_annotated_stays_so() -> None:
    labels = blank(32, 32)
    labels[:, 16:] = -1
    labels[4:10, 2:9] = 1
    sample = picture(labels)
    for linear in (TURNS[1], np.eye(2) * 0.7, np.eye(2) * 2.2):
        _, targets = see(sample, view(sample, linear), 32)
        unknown = targets[0].isnan()
        assert 0.2 < unknown.float().mean() < 0.8
        assert (targets[list(range(1, len(TARGETS)))][:, unknown]).isnan().all()


@pytest.mark.parametrize("seed", range(12))
def test_the_window_is_all_that_a_view_needs(seed: int) -> None:
    # 64 pixels seen by crops of 16 that are magnified, shrunk, turned and bent, some over the border.
    rng = np.random.default_rng(seed)
    sample = picture(blank(64, 64))
    options = Augmentation(scale=(0.7, 4), rotate=1, elastic=1.5, smallest_object=0, shear=0.1, stretch=0.2)
    views = draw_views(CropStore([sample], CPU), np.array([0]), 16, options, rng)
    views = replace(views, centres=rng.uniform(0, 64, (1, 2)))
    around = np.pad(sample.pixels.numpy(), ((0, 0), (64, 64), (64, 64)), mode="symmetric")
    large = picture(blank(192, 192), torch.from_numpy(around))
    expected, _ = see(large, replace(views, centres=views.centres + 64), 16)
    torch.testing.assert_close(see(sample, views, 16)[0], expected, atol=1e-4, rtol=0)


def test_the_window_is_no_larger_than_needed() -> None:
    def window(shift: tuple[float, float]) -> list[list[int]]:
        sample = picture(blank(60, 40))
        starts, stops, _ = find_windows(view(sample, TURNS[1], shift), np.array([[40, 60]]), 8, np.array([2]))
        return [starts[0].tolist(), stops[0].tolist()]

    assert window((3, -5)) == [[17, 19], [29, 31]]
    # Beyond the lower edge 4 pixels are mirrored.
    assert window((0, 28)) == [[14, 52], [26, 60]]


def test_an_image_shrunk_is_averaged() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 64, 64)
    sample = picture(blank(64, 64), stripes)
    pixels, _ = see(sample, view(sample, np.eye(2) * 2), 32)
    torch.testing.assert_close(pixels, torch.full((3, 32, 32), 0.5))


def test_a_bend_moves_pixels_through_any_view() -> None:
    sample = picture(blank(64, 64))
    turned = view(sample, [[0.0, -0.5], [0.5, 0]], (2, 1))  # magnified twice and turned by a quarter
    shift = np.zeros((1, 2, 4, 4))
    shift[:, 0] = 3  # three pixels of the crop to the right
    (moved, _), (still, _) = (see(sample, views, 32) for views in (replace(turned, bends=shift), turned))
    torch.testing.assert_close(moved[:, :, :-3], still[:, :, 3:], atol=1e-4, rtol=0)


def test_drawn_views_turn_magnify_and_stay_inside(samples: list[Sample]) -> None:
    store = CropStore(samples, CPU)
    chosen = np.arange(200) % 8
    views = draw_views(store, chosen, 16, Augmentation(rotate=0, scale=(1, 1)), np.random.default_rng(0))
    turns = {tuple(linear.ravel().round(9) + 0) for linear in views.linear}
    assert len(turns) == 8  # quarter turns, flipped and not
    assert (views.centres >= 8).all()
    assert (views.centres <= 56).all()
    assert views.bends is None
    options = Augmentation(stretch=0.3, shear=0.2, scale=(0.5, 0.5), smallest_object=0)
    slanted = draw_views(store, chosen, 16, options, np.random.default_rng(0)).linear
    np.testing.assert_allclose(np.abs(np.linalg.det(slanted)), 4)
    ratios = np.linalg.svd(slanted, compute_uv=False)
    assert 1.2 < (ratios[:, 0] / ratios[:, 1]).max() < 1.7


def test_magnifications_keep_objects_within_what_is_asked_for() -> None:
    rng = np.random.default_rng(0)

    def draw(median: float, **options: object) -> np.ndarray:
        return draw_scales(np.full(300, median), Augmentation.model_validate(options), rng) * median

    drawn = draw(20, diameter=(30, 60))
    assert 30 <= drawn.min() < 33
    assert 55 < drawn.max() <= 60
    mixed = draw(20, diameter=(90, 100), aim=0.3)
    assert 50 < (mixed >= 90).sum() < 130
    assert (mixed <= 40).sum() == (mixed < 90).sum()
    small = draw(10, scale=(0.1, 1), smallest_object=8)
    assert small.min() >= 8 - 1e-9
    assert small.max() <= 10
    large = draw(50, scale=(0.5, 2), largest_object=60)
    assert large.min() >= 25
    assert 55 < large.max() <= 60 + 1e-9
    assert draw(200, scale=(0.5, 2), largest_object=60).max() == pytest.approx(100)
    nothing = draw_scales(np.full(300, np.nan), Augmentation(diameter=(30, 60), largest_object=9), rng)
    assert 0.5 <= nothing.min() < 0.55
    assert 1.8 < nothing.max() <= 2


def test_crops_laid_on_objects_show_one_and_stay_inside(samples: list[Sample]) -> None:
    sample = replace(samples[0], labels=np.zeros((60, 80), np.int32))
    sample.labels[50, 70] = 1
    empty = replace(sample, labels=np.zeros((60, 80), np.int32))
    chosen, extents = np.repeat([0, 1], 100), np.full(200, 30.0)
    store = CropStore([sample, empty], CPU)
    centres = draw_centres(store, chosen, extents, Augmentation(on_object=1), np.random.default_rng(0))
    assert (centres >= 15).all()
    assert (centres <= (65, 45)).all()
    assert (np.abs(centres[:100] - (70, 50)) < 15).all()
    assert centres[100:, 0].std() > 10


def test_drawn_bends_are_as_wide_as_asked(samples: list[Sample]) -> None:
    store = CropStore(samples, CPU)
    views = draw_views(store, np.zeros(40, int), 96, Augmentation(elastic=4), np.random.default_rng(0))
    assert views.bends is not None
    assert 3.5 < views.bends.std() < 4.5
    ramp = torch.arange(256.0).expand(1, 256, 256) / 100
    sample = picture(blank(256, 256), ramp)
    plain = np.array([np.eye(2)] * 40)
    bent = replace(views, linear=plain, centres=np.full((40, 2), 128.0))
    seen, _ = resample(CropStore([sample], CPU), bent, 96)
    moved = (seen[:, 0] - ramp[0, :96, 80:176]) * 100
    assert 2 < moved.std() < 5
    assert moved.diff(dim=1).abs().max() < 2
