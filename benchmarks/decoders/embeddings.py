"""Embeddings in the plane: each pixel points at its object's middle, and says how near others have to point.

Spatial embedding with a learnt bandwidth (Neven et al. 2019), and the pull of the discriminative loss (De Brabandere et
al. 2017): without it, in trainings of minutes, pixels point nowhere and the bandwidth alone draws discs.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

OBJECTS = 24
"""Objects of a crop, drawn at random, that teach in a step."""

PULL_UNIT = 8.0
"""Pixels between where a pixel points and the middle that cost as much as a wrong object."""

MARGIN = 8
"""Pixels around an object, besides half of its extent, that have to point elsewhere."""


def embedding_loss(
    seed: Tensor, offset: Tensor, log_width: Tensor, labels: NDArray[np.int32], rng: np.random.Generator
) -> Tensor:
    """Lovász hinge of each object, the pull to its middle, agreement on the width, and squared error of the seed.

    Parameters
    ----------
    seed
        Logits (Y, X): how well a pixel points at the middle.
    offset
        (2, Y, X), y and x, in pixels.
    log_width
        (Y, X), the logarithm of the bandwidth in pixels.
    """
    height, width = labels.shape
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")) + offset
    aim = torch.zeros_like(seed)
    boxes = [(number, box) for number, box in enumerate(ndimage.find_objects(labels), 1) if box is not None]
    some = rng.permutation(len(boxes))[:OBJECTS]
    total, known = offset.new_zeros(()), torch.from_numpy(labels == 0)
    for number, box in (boxes[index] for index in some):
        around = tuple(slice(max(0, s.start - grow(s)), s.stop + grow(s)) for s in box)
        mask = torch.from_numpy(labels[around] == number)
        ys, xs = mask.nonzero(as_tuple=True)
        middle = torch.stack([ys.float().mean() + around[0].start, xs.float().mean() + around[1].start])
        widths = log_width[around][mask]
        typical = widths.mean()
        near = closeness(places[(slice(None), *around)], middle, typical)
        pull = (places[(slice(None), *around)][:, mask] - middle[:, None]).abs().mean() / PULL_UNIT
        total = total + lovasz_hinge(2 * near - 1, mask) + pull + (widths - typical.detach()).square().mean()
        aim[around][mask] = near.detach()[mask]
        known[around] |= mask
    error = (seed.sigmoid() - aim).square() * known
    return total / max(len(some), 1) + (1 + 9 * (aim > 0)).mul(error).mean()


def grow(side: slice) -> int:
    """Tell by how many pixels an object's box is widened on one side."""
    extent: int = side.stop - side.start
    return MARGIN + extent // 2


def closeness(places: Tensor, middle: Tensor, log_width: Tensor) -> Tensor:
    """Tell how near (2, ...) points lie to a middle, 1 there and 0 far away."""
    far = (places - middle.reshape(2, *[1] * (places.ndim - 1))).square().sum(dim=0)
    return torch.exp(-far / (2 * torch.exp(2 * log_width)))


def lovasz_hinge(logits: Tensor, mask: Tensor) -> Tensor:
    """Smooth the loss of intersection over union (Berman et al. 2018)."""
    truth = mask.flatten().float()
    errors, order = (1 - logits.flatten() * (2 * truth - 1)).sort(descending=True)
    truth = truth[order]
    inside = truth.sum()
    lost = 1 - (inside - truth.cumsum(0)) / (inside + (1 - truth).cumsum(0))
    return torch.relu(errors).dot(torch.diff(lost, prepend=lost.new_zeros(1)))


def decode_embeddings(
    inside: NDArray[np.bool_],
    seed: NDArray[np.float32],
    offset: NDArray[np.float32],
    width: NDArray[np.float32],
    least_seed: float,
) -> NDArray[np.int32]:
    """Take the best seed, give it all pixels that point near where it points, and go on with what is left.

    Parameters
    ----------
    inside
        (Y, X), what belongs to objects at all.
    width
        (Y, X), bandwidth in pixels.
    least_seed
        Below it a pixel begins no object.
    """
    labels = np.zeros(inside.shape, np.int32)
    pointed = np.indices(inside.shape, np.float32) + offset
    reach = int(np.ceil(np.abs(offset[:, inside]).max())) if inside.any() else 0
    rows, columns = np.nonzero(inside & (seed >= least_seed))
    order = np.argsort(-seed[rows, columns], kind="stable")
    unused, count = inside.copy(), 0
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if not unused[row, column]:
            continue
        middle, radius = pointed[:, row, column], float(width[row, column]) * np.sqrt(2 * np.log(2))
        window = tuple(
            slice(max(0, int(place - reach - radius)), max(0, int(place + reach + radius) + 2)) for place in middle
        )
        far = (pointed[0][window] - middle[0]) ** 2 + (pointed[1][window] - middle[1]) ** 2
        near = (far < radius**2) & inside[window]
        free = near & (labels[window] == 0)
        unused[row, column] = False
        unused[window] &= ~near
        if 2 * np.count_nonzero(free) > np.count_nonzero(near):
            count += 1
            labels[window][free] = count
    return labels
