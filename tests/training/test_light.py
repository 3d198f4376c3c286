from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_unetseg.training.light import (
    Effect,
    draw_camera,
    draw_colours,
    draw_contrast,
    draw_light,
    draw_optics,
    draw_tissue,
    relight,
)
from napari_unetseg.training.training_recipe import Augmentation

CALM = {"invert": 0, "grey": 0, "shuffle": 0, "tint": 0, "gain": 0, "offset": 0, "gamma": 0, "blur": 0.3, "noise": 0}
COLOURED = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
GREY = COLOURED[:, :1].expand(-1, 3, -1, -1)


def options(**changes: float) -> Augmentation:
    return Augmentation.model_validate({**CALM, **changes})


def colours(pixels: Tensor, *, colourless: bool = False, **changes: float) -> Tensor:
    return relight(pixels, draw_colours(np.full(len(pixels), colourless), options(**changes), np.random.default_rng(1)))


def test_without_options_nothing_changes() -> None:
    assert torch.equal(colours(COLOURED), COLOURED)
    for draw in (draw_contrast, draw_camera):
        torch.testing.assert_close(relight(COLOURED, draw(40, options(), np.random.default_rng(1))), COLOURED)


def test_inversion_swaps_dark_and_bright() -> None:
    for pixels, colourless in ((COLOURED, False), (GREY, True)):
        inverted, plain = (colours(pixels, colourless=colourless, invert=chance) for chance in (1, 0))
        torch.testing.assert_close(inverted, 1 - plain)


def test_a_tint_colours_grey_pictures_alone() -> None:
    ratios = colours(GREY, colourless=True, tint=1) / GREY
    torch.testing.assert_close(ratios, ratios[:, :, :1, :1].expand_as(ratios))
    torch.testing.assert_close(ratios[:, :, 0, 0].amax(dim=1), torch.ones(40))
    assert (ratios[:, :, 0, 0].amin(dim=1) < 0.99).all()
    assert torch.equal(colours(COLOURED, tint=1), COLOURED)


def test_colour_is_dropped_or_is_another_instead() -> None:
    grey = colours(COLOURED, grey=1)
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert (grey >= COLOURED.amin(dim=1, keepdim=True) - 1e-6).all()
    single = colours(COLOURED, grey=1, recolour=1)
    ratios = single[:, 1:] / single[:, :1]
    torch.testing.assert_close(ratios, ratios[:, :, :1, :1].expand_as(ratios))
    assert ((ratios[:, :, 0, 0] - 1).abs().amax(dim=1) > 1e-3).all()


def test_channels_change_places() -> None:
    shuffled = colours(COLOURED, shuffle=1)
    assert torch.equal(shuffled.sort(dim=1).values, COLOURED.sort(dim=1).values)
    assert 25 < sum(not torch.equal(*pair) for pair in zip(shuffled, COLOURED, strict=True)) < 40


def test_white_balance_is_of_coloured_pictures() -> None:
    ratios = (colours(COLOURED, balance=0.5) / COLOURED)[:, :, 0, 0]
    assert 1 / 1.5 <= ratios.min() < 0.75
    assert 1.4 < ratios.max() <= 1.5 + 1e-5
    assert torch.equal(colours(GREY, colourless=True, balance=0.5), GREY)


def test_dyes_change_in_coloured_pictures_alone() -> None:
    changed = (colours(COLOURED, stain=0.5) != COLOURED).flatten(1).any(dim=1)
    assert 10 < changed.sum() < 30
    assert torch.equal(colours(GREY, colourless=True, stain=1), GREY)


@pytest.mark.parametrize(
    ("draw", "option", "value"),
    [
        (draw_contrast, "local_contrast", 0.5),
        (draw_contrast, "shade", 0.5),
        (draw_contrast, "haze", 0.5),
        (draw_optics, "sharpen", 0.5),
        (draw_camera, "photons", 0.5),
        (draw_camera, "levels", 0.5),
        (draw_camera, "jpeg", 0.5),
        (draw_camera, "noise", 0.5),
    ],
)
def test_an_effect_happens_to_the_crops_drawn_for_it_alone(
    draw: Callable[..., list[Effect]], option: str, value: float
) -> None:
    plain, other = (relight(COLOURED, draw(40, options(**o), np.random.default_rng(2))) for o in ({}, {option: value}))
    changed = ((other - plain).abs() > 1e-6).flatten(1).any(dim=1)
    assert 2 < changed.sum() < 32


def test_light_is_the_same_again_and_leaves_what_it_was_given_alone() -> None:
    before = COLOURED.clone()
    everything = Augmentation(
        jpeg=0.5,
        shade=0.3,
        haze=0.2,
        photons=0.5,
        levels=0.3,
        sharpen=0.5,
        grain=3,
        stain=0.5,
        dye=0.5,
        local_contrast=0.5,
    )

    def look(seed: int) -> Tensor:
        return relight(
            COLOURED, draw_light(np.arange(40) % 2 > 0, np.arange(40) % 3 > 0, everything, np.random.default_rng(seed))
        )

    seen = look(0)
    assert torch.equal(seen, look(0))
    assert not torch.equal(seen, look(1))
    assert seen.isfinite().all()
    assert torch.equal(COLOURED, before)


def test_bright_nuclei_shown_as_tissue_are_dark_and_coloured_on_a_light_ground() -> None:
    pixels = torch.zeros(6, 3, 64, 64)
    pixels[:, :, 16:48, 16:48] = 1
    tissue = relight(pixels, [draw_tissue(np.arange(6), np.random.default_rng(2))])
    inside, ground = tissue[:, :, 20:44, 20:44].mean(dim=(2, 3)), tissue[:, :, :12].mean(dim=(2, 3))
    assert (inside.mean(dim=1) < ground.mean(dim=1)).all()
    assert tissue.min() >= 0
    assert tissue.max() <= 1
    assert ((tissue[:, 0] - tissue[:, 1]).abs().amax(dim=(1, 2)) > 0.05).all()


def test_only_bright_objects_without_colour_become_tissue() -> None:
    everything = options(dye=1)
    pixels = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(3, 3, 32, 32)
    colourless, glowing = np.array([True, True, False]), np.array([True, False, False])
    effects = draw_light(colourless, glowing, everything, np.random.default_rng(0))
    seen = relight(pixels, effects)
    assert not torch.allclose(seen[0, 0], seen[0, 1])
    torch.testing.assert_close(seen[1, 0], seen[1, 1])
