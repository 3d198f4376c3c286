import numpy as np
import pytest
import torch
from torch import Tensor

from napari_unetseg.training import light_effects


def each(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def test_blur_keeps_the_mean_and_flattens_by_its_own_width() -> None:
    points = torch.zeros(2, 3, 33, 33)
    points[:, :, 16, 16] = 1
    narrow, wide = light_effects.smooth(points, each(0.5, 2.0))
    for seen in (narrow, wide):
        torch.testing.assert_close(seen.sum(dim=(1, 2)), torch.ones(3))
        assert seen.max() == seen[0, 16, 16]
    assert wide.max() < 0.05 < narrow.max()
    level = torch.full((2, 3, 33, 33), 0.4)
    torch.testing.assert_close(light_effects.smooth(level, each(0.5, 9.0)), level)


def test_sharpening_and_local_contrast_widen_what_differs_from_around() -> None:
    step = torch.zeros(1, 3, 32, 32)
    step[..., 16:] = 1
    sharp = light_effects.sharpen(step, each(1.0), each(1.0))[0, 0, 16]
    assert sharp[15] < 0
    assert sharp[16] > 1
    torch.testing.assert_close(sharp[[2, 29]], each(0, 1))
    flat = light_effects.change_details(step, each(6.0), each(0.5))[0, 0, 16]
    assert 0 < flat[16] - flat[15] < 0.6


def test_compression_changes_pixels_little_and_cuts_the_range() -> None:
    ramp = torch.linspace(-0.5, 1.5, 36).expand(2, 3, 36, 36)
    fine, coarse = light_effects.compress(ramp, each(95, 30))
    for seen, least in ((fine, 0.02), (coarse, 0.08)):
        assert 0 <= seen.min() < seen.max() <= 1
        torch.testing.assert_close(seen, ramp[0].clamp(0, 1), atol=least, rtol=0)
    assert (fine - ramp[0].clamp(0, 1)).abs().mean() < (coarse - ramp[0].clamp(0, 1)).abs().mean()
    # A block of one colour keeps it, up to a step of its mean.
    red = torch.tensor([0.8, 0.2, 0.1])[None, :, None, None].expand(1, 3, 16, 16)
    torch.testing.assert_close(light_effects.compress(red, each(90.0)), red, atol=0.03, rtol=0)


def test_dyes_are_told_apart() -> None:
    dyes = torch.tensor(light_effects.STAINS)
    amounts = torch.tensor([[0.5, 0.2, 0.1], [0.3, 0.4, 0.3]])
    pixels = (-(amounts @ dyes)).exp()[:, :, None, None].expand(2, 3, 8, 8)
    changes, more = torch.tensor([[1.5, 0.6, 1.0], [1.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.05, 0.0], [0.0, 0.0, 0.0]])
    expected = (-((amounts * changes + more) @ dyes)).exp()[:, :, None, None].expand(2, 3, 8, 8)
    torch.testing.assert_close(light_effects.stain(pixels, changes, more), expected)


def test_fields_of_light_are_smooth() -> None:
    corners = torch.from_numpy(np.random.default_rng(0).uniform(-0.3, 0.3, (1, 3, 3))).float()
    light = light_effects.shade(torch.ones(1, 3, 64, 64), corners)[0, 0]
    torch.testing.assert_close(light[[0, 0, -1, -1], [0, -1, 0, -1]], 1 + corners[0, [0, 0, -1, -1], [0, -1, 0, -1]])
    assert 0.7 <= light.min() < light.max() <= 1.3
    assert light.diff(dim=0).abs().max() < 0.7 / 32
    haze = light_effects.add_haze(torch.full((1, 3, 64, 64), 5.0), corners)[0, 0]
    torch.testing.assert_close(haze - 5, light - 1, atol=1e-5, rtol=0)


def test_levels_are_as_many_as_asked_for() -> None:
    seen = light_effects.round_levels(torch.rand(1, 3, 64, 64), each(8.0))
    assert len(seen.unique()) == 9


def noise(pixels: Tensor, planes: list[int], sigma: float, photons: float, grain: float, seed: int = 3) -> Tensor:
    numbers = each(sigma), each(photons), each(grain)
    noisy = light_effects.add_noise(
        pixels, torch.tensor([planes]), *numbers, fields=max(planes) + 1, seed=seed, grained=grain > 1
    )
    return (noisy - pixels)[0]


def test_noise_is_as_strong_as_asked_for_and_the_same_again() -> None:
    level = torch.full((1, 3, 64, 64), 0.5)
    own = noise(level, [0, 1, 2], 0.1, 0, 1)
    assert own.std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(np.corrcoef(own.flatten(1))[0, 1]) < 0.1
    shared = noise(level, [0, 0, 0], 0.1, 0, 1)
    assert torch.equal(shared[0], shared[2])
    assert torch.equal(own, noise(level, [0, 1, 2], 0.1, 0, 1))
    assert not torch.equal(own, noise(level, [0, 1, 2], 0.1, 0, 1, seed=4))


def test_noise_of_photons_grows_with_the_root_of_light() -> None:
    light = torch.full((1, 3, 64, 64), 0.25)
    light[..., 32:] = 1
    grown = noise(light, [0, 1, 2], 0, 0.1, 1)
    assert grown[..., 32:].std() == pytest.approx(0.1, rel=0.05)
    assert grown[..., :32].std() == pytest.approx(0.05, rel=0.05)


def test_grains_are_wider_than_pixels_where_asked_for() -> None:
    def likeness(grain: float) -> float:
        grains = noise(torch.zeros(1, 3, 64, 64), [0, 0, 0], 1, 0, grain)[0]
        return float(np.corrcoef(grains[:, 1:].flatten(), grains[:, :-1].flatten())[0, 1])

    assert abs(likeness(1)) < 0.1
    assert likeness(3.3) > 0.4
