"""Cut and paste: objects of one view, put where another view has none."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

REACH = 4
"""Pixels around its objects that a paste takes along; the feathered edge lies in them.

Between pasted and present objects lie at least twice as many, so that in crops magnified up to twice
neither crowds the other (`napari_unetseg.training.targets.crowding`).
"""


def paste(pixels: Tensor, targets: Tensor, donor_pixels: Tensor, donor_targets: Tensor) -> tuple[Tensor, Tensor]:
    """Put the objects of a donor's view, where there is room for them, into another view of the same size.

    Objects nearer to each other than twice `REACH` go together or not at all; those whose surroundings
    meet the surroundings of an object that is there already stay out. What is pasted takes on the level
    of the background that it covers.

    Parameters
    ----------
    pixels, donor_pixels
        float32 (C, Y, X), C being the same for both.
    targets, donor_targets
        float32 (T, Y, X), see `napari_unetseg.training.targets.TARGETS`; the first is the foreground.

    Returns
    -------
    pixels, targets
        New tensors. Targets are the donor's on pasted objects and around them, and elsewhere those given.
    """
    objects = donor_targets[0] > 0
    zones, count = ndimage.label(_widen(objects, REACH).numpy(), np.ones((3, 3)))
    fits = np.ones(count + 1, bool)
    fits[np.unique(zones[_widen(targets[0] > 0, REACH).numpy()])] = False
    fits[0] = False
    if not fits.any():
        return pixels, targets
    pasted = torch.from_numpy(fits[zones])
    level = _level(pixels - donor_pixels, ~objects.numpy(), zones, count)
    # Widened by half the reach and averaged over the rest: 1 on the objects, 0 at the end of their zone.
    share = _mean_around(_widen(objects, REACH // 2).float(), REACH - REACH // 2) * pasted
    return torch.lerp(pixels, donor_pixels + level, share), torch.where(pasted, donor_targets, targets)


def _level(difference: Tensor, background: NDArray[np.bool_], zones: NDArray[np.integer], count: int) -> Tensor:
    """Mean difference over the background of each zone, float32 (C, Y, X), constant within a zone."""
    ring = zones[background]
    pixels = np.maximum(np.bincount(ring, minlength=count + 1), 1)
    means = [np.bincount(ring, plane[background], count + 1) / pixels for plane in difference.numpy()]
    return torch.from_numpy(np.stack(means).astype(np.float32)[:, zones])


def _widen(mask: Tensor, reach: int) -> Tensor:
    return functional.max_pool2d(mask[None].float(), 2 * reach + 1, stride=1, padding=reach)[0] > 0


def _mean_around(plane: Tensor, reach: int) -> Tensor:
    around = functional.pad(plane[None, None], (reach, reach, reach, reach), mode="replicate")
    return functional.avg_pool2d(around, 2 * reach + 1, stride=1)[0, 0]
