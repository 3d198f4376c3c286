import math

import torch

from napari_unetseg.training.losses import segmentation_loss
from napari_unetseg.training.targets import HeadName

HEADS: tuple[HeadName, ...] = ("foreground", "distance")


def targets(crowding: float = 0) -> torch.Tensor:
    foreground = torch.zeros(2, 8, 8)
    foreground[:, 2:6, 2:6] = 1
    return torch.stack([foreground, 0.5 * foreground, torch.full((2, 8, 8), crowding)], dim=1)


def test_the_right_answer_is_the_least() -> None:
    truth = targets()
    right = torch.logit(truth[:, :2].clamp(1e-4, 1 - 1e-4))
    least = segmentation_loss(right, truth, HEADS)
    for wrong in (right + 0.5, right - 0.5, -right, torch.zeros_like(right)):
        assert segmentation_loss(wrong, truth, HEADS) > least


def test_the_gradient_leads_to_the_soft_target() -> None:
    truth = targets()
    logits = torch.zeros(2, 2, 8, 8).requires_grad_()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(segmentation_loss(logits, truth, HEADS), logits)
        logits = (logits - 50 * gradient).detach().requires_grad_()
    torch.testing.assert_close(logits[:, 1].sigmoid(), truth[:, 1], atol=0.05, rtol=0)
    assert torch.equal(logits[:, 0] > 0, truth[:, 0] > 0.5)


def test_crowded_pixels_count_six_times() -> None:
    logits = torch.zeros(2, 2, 8, 8)
    # Only the cross-entropies are weighted: ln 2 a pixel from the foreground and twice that from the distance.
    more = segmentation_loss(logits, targets(crowding=1), HEADS) - segmentation_loss(logits, targets(), HEADS)
    torch.testing.assert_close(more, torch.tensor(5 * 3 * math.log(2)))


def test_an_empty_crop_gives_a_finite_loss() -> None:
    assert segmentation_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4), HEADS).isfinite()


def test_what_is_not_a_number_teaches_nothing() -> None:
    truth = targets()
    truth[:, 0, :4] = torch.nan
    truth[:, 1, :6] = torch.nan
    logits = torch.zeros(2, 2, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(segmentation_loss(logits, truth, HEADS), logits)
    assert gradient.isfinite().all()
    assert not gradient[:, 0, :4].any()
    assert not gradient[:, 1, :6].any()
    assert gradient[:, 0, 4:].all()


def test_the_loss_is_that_of_what_is_annotated_alone() -> None:
    truth, logits = targets(), torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    partly = truth.clone()
    partly[:, :, 4:] = torch.nan
    found = segmentation_loss(logits, partly, HEADS)
    torch.testing.assert_close(found, segmentation_loss(logits[:, :, :4], truth[:, :, :4], HEADS))


def test_a_crop_in_which_nobody_looked_gives_no_gradient() -> None:
    logits = torch.ones(1, 2, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(segmentation_loss(logits, torch.full((1, 3, 4, 4), torch.nan), HEADS), logits)
    assert not gradient.any()
