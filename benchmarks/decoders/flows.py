"""Flows read as flows: each pixel follows them, and pixels that end together are an object (Cellpose's idea)."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

DOUBLINGS = 8
"""Each makes twice as many moves of those before, so there are 256. The last are short, as flows are near a core."""

STRIDE = 1.5
"""Pixels that a flow of length 1 carries in a move."""


def decode_flows(
    foreground: NDArray[np.float32], flow: NDArray[np.float32], threshold: float, radius: float
) -> NDArray[np.int32]:
    """Label the foreground, int32 (Y, X), by where its pixels end.

    Parameters
    ----------
    flow
        (2, Y, X), y and x, of length 0 to 1.
    radius
        Standard deviation, in pixels, to which the ends are blurred before they are told apart.
    """
    rows, columns = np.nonzero(foreground >= threshold)
    labels = np.zeros(foreground.shape, np.int32)
    if not rows.size:
        return labels
    at = tuple(np.rint(follow(flow)[:, rows, columns]).astype(np.intp))
    labels[rows, columns] = group_ends(at, foreground.shape, radius)[at]
    return labels


def follow(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move each pixel along the flow and return where it ends, (2, Y, X), y and x.

    Where two moves lead is where the first leads from where the first led; so with four, and so on.
    """
    height, width = flow.shape[1:]
    # grid_sample counts from -1 to 1, x first.
    scale = torch.tensor([max(width - 1, 1), max(height - 1, 1)])[:, None, None] / 2
    lines = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
    places = torch.stack(lines) / scale - 1
    carried = torch.from_numpy(flow[::-1].copy()) * STRIDE / scale
    for _ in range(DOUBLINGS):
        at = (places + carried).clamp(-1, 1)
        further = functional.grid_sample(
            carried[None], at.permute(1, 2, 0)[None], padding_mode="border", align_corners=True
        )
        carried = at - places + further[0]
    ends: NDArray[np.float32] = (((places + carried).clamp(-1, 1) + 1) * scale).numpy()[::-1]
    return ends


def group_ends(at: tuple[NDArray[np.intp], ...], shape: tuple[int, ...], radius: float) -> NDArray[np.int32]:
    """Divide the image into basins of the density of ends, int32 (Y, X), one a place where many end."""
    density = np.zeros(shape)
    np.add.at(density, at, 1)
    density = ndimage.gaussian_filter(density, radius, truncate=3)
    # A peak is a place than which none is higher within three radii.
    reach = 2 * int(np.ceil(3 * radius)) + 1
    peaks, _ = ndimage.label((density == ndimage.maximum_filter(density, reach)) & (density > 0), np.ones((3, 3)))
    nearest = ndimage.distance_transform_edt(peaks == 0, return_distances=False, return_indices=True)
    basins: NDArray[np.int32] = peaks[tuple(nearest)].astype(np.int32)
    return basins
