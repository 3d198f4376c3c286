import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from napari_unetseg.training.paste import REACH, paste
from napari_unetseg.training.targets import training_targets


def square(side: int, *corners: tuple[int, int]) -> Tensor:
    """Targets of squares of 10 pixels."""
    labels = np.zeros((side, side), np.int32)
    for label, (top, left) in enumerate(corners, start=1):
        labels[top : top + 10, left : left + 10] = label
    return torch.from_numpy(training_targets(labels))


def picture(targets: Tensor, background: float, contrast: float) -> Tensor:
    return (background + contrast * targets[0])[None]


def test_an_object_is_pasted_where_there_is_room() -> None:
    targets, donor = square(64, (5, 5)), square(64, (40, 40))
    pixels, pasted = paste(picture(targets, 0.5, 0.3), targets, picture(donor, 0.2, 0.6), donor)
    assert torch.equal(pasted, targets + donor)
    # On the object: its own contrast on the background that was there.
    torch.testing.assert_close(pixels[0, 40:50, 40:50], torch.full((10, 10), 0.5 + 0.6))
    # The donor's level background took on the level around, so nothing else changed.
    elsewhere = donor[0] == 0
    torch.testing.assert_close(pixels[0][elsewhere], picture(targets, 0.5, 0.3)[0][elsewhere])


def test_the_level_is_that_of_each_object_and_channel() -> None:
    targets, donor = square(64), square(64, (5, 5), (5, 45))
    ramp = torch.stack([torch.linspace(0, 1, 64).expand(64, 64), torch.full((64, 64), 0.3)])
    pixels, _ = paste(ramp, targets, torch.zeros(2, 64, 64), donor)
    for left in (5, 45):
        middle = float(ramp[0, 0, left : left + 10].mean())
        torch.testing.assert_close(pixels[0, 5:15, left : left + 10], torch.full((10, 10), middle))
    torch.testing.assert_close(pixels[1], ramp[1])


def test_the_edge_is_feathered_within_reach() -> None:
    targets, donor = square(64), square(64, (30, 30))
    stripes = (torch.arange(64) % 2).float().expand(64, 64)[None]
    pixels, _ = paste(torch.full((1, 64, 64), 0.5), targets, stripes, donor)
    contrast = (pixels[0, 35] - 0.5).abs()
    assert (contrast[30:40] > 0.49).all()
    assert (contrast[25 - REACH : 30 - REACH] == 0).all()
    outward = contrast[30 - REACH : 31]
    assert (outward.diff() >= 0).all()
    assert 0 < outward[REACH // 2] < 0.5


def test_what_would_meet_an_object_stays_out() -> None:
    targets, donor = square(64, (5, 5)), square(64, (10, 10))
    pixels = picture(targets, 0.5, 0.3)
    result = paste(pixels, targets, picture(donor, 0.2, 0.6), donor)
    assert torch.equal(result[0], pixels)
    assert torch.equal(result[1], targets)


@pytest.mark.parametrize(("between", "goes_in"), [(2 * REACH - 1, False), (2 * REACH, True)])
def test_objects_keep_their_distance(between: int, goes_in: bool) -> None:
    targets, donor = square(64, (20, 5)), square(64, (20, 15 + between))
    _, pasted = paste(picture(targets, 0.5, 0.3), targets, picture(donor, 0.2, 0.6), donor)
    assert torch.equal(pasted, targets + donor if goes_in else targets)


def test_touching_objects_go_together() -> None:
    # The second of the touching pair would have room, but its neighbour has none.
    targets, donor = square(64, (20, 5)), square(64, (20, 14), (20, 24))
    _, pasted = paste(picture(targets, 0.5, 0.3), targets, picture(donor, 0.2, 0.6), donor)
    assert torch.equal(pasted, targets)
    # With room for both the crowded pixels between them come along.
    alone = square(64)
    _, pasted = paste(picture(alone, 0.5, 0.3), alone, picture(donor, 0.2, 0.6), donor)
    assert torch.equal(pasted, donor)
    assert pasted[2].any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_targets_are_those_of_one_of_the_two_and_never_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, donor = (square(64, *rng.integers(0, 54, (rng.integers(1, 4), 2)).tolist()) for _ in range(2))
    pixels, donor_pixels = picture(targets, 0.5, 0.3), picture(donor, 0.2, 0.6)
    result, pasted = paste(pixels, targets, donor_pixels, donor)
    new = (pasted[0] > 0) & (targets[0] == 0)
    assert torch.equal(pasted[:, new], donor[:, new])
    assert (pasted[0] >= targets[0]).all()  # nothing that was there is covered
    # Beyond the reach of what came in, all is as it was.
    far = torch.from_numpy(~ndimage.binary_dilation(new.numpy(), np.ones((2 * REACH + 1,) * 2)))
    assert torch.equal(pasted[:, far], targets[:, far])
    assert torch.equal(result[:, far], pixels[:, far])
    # Objects come whole: a pixel that came in brought all that is connected to it.
    donor_objects, _ = ndimage.label(donor[0].numpy() > 0)
    came = np.unique(donor_objects[new.numpy()])
    assert new.numpy()[np.isin(donor_objects, came)].all()


def test_the_inputs_are_left_alone() -> None:
    targets, donor = square(64, (5, 5)), square(64, (40, 40))
    given_ = [picture(targets, 0.5, 0.3), targets, picture(donor, 0.2, 0.6), donor]
    before = [tensor.clone() for tensor in given_]
    paste(*given_)
    assert all(map(torch.equal, given_, before))
