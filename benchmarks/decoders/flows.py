"""Flows read as flows: each pixel follows them, and pixels that end together are an object.

The idea of Cellpose (Stringer et al. 2021). As there, flows lead around corners to one place in each object. Those that
the product teaches beside other heads lead uphill in the depth, which in a long object has more than one peak.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from torch.nn import functional

DOUBLINGS = 7
"""Each makes twice as many moves of those before, so there are 128."""

LEAK = 0.01
"""Heat that a pixel loses itself, for each part that it gives to a neighbour; without, there is no balance."""

LEAST_ENDS = 1.0
"""Density of ends, a pixel, below which there is no object: at edges that objects share, some pixels go astray."""


def lead_to_middle(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Give each pixel of an object the direction to its middle, float32 (2, Y, X), y and x, unit vectors.

    The middle is heated, and heat spreads within the object alone until it changes no more: uphill in its logarithm
    every way ends in the middle.
    """
    inside = labels > 0
    flow = np.zeros((2, *labels.shape), np.float32)
    if not inside.any():
        return flow
    warmth = np.zeros(labels.shape)
    warmth[inside] = np.log(np.maximum(spread_heat(labels, inside), 1e-300))
    for axis in (0, 1):
        before, after = slice_pair(axis)
        rise = np.where(labels[before] == labels[after], warmth[after] - warmth[before], 0)
        flow[axis][before] += rise
        flow[axis][after] += rise
    unit: NDArray[np.float32] = flow / np.maximum(np.linalg.norm(flow, axis=0), 1e-6)
    return unit


def slice_pair(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Give the places of an image that have a next one along an axis, and these next ones."""
    before, after = [slice(None), slice(None)], [slice(None), slice(None)]
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)


def spread_heat(labels: NDArray[np.int32], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Work out how warm each pixel inside an object is, (N,), when the middles are heated."""
    number = np.cumsum(inside.ravel()).reshape(labels.shape) - 1
    ends = []
    for before, after in (slice_pair(0), slice_pair(1)):
        same = inside[before] & (labels[before] == labels[after])
        ends.append(np.stack([number[before][same], number[after][same]]))
    one, other = np.concatenate(ends, axis=1)
    size = int(inside.sum())
    half = sparse.coo_array((np.ones(one.size), (one, other)), shape=(size, size)).tocsr()
    links = half + half.T
    balance = (sparse.diags_array(links.sum(axis=1) + LEAK) - links).tocsc()
    heat = np.zeros(size)
    heat[number[find_middles(labels)]] = 1
    warmth: NDArray[np.float64] = spsolve(balance, heat, permc_spec="MMD_AT_PLUS_A")
    return warmth


def find_middles(labels: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the pixel of each object that is nearest to the mean of its pixels: rows and columns."""
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns]
    counts = np.maximum(np.bincount(own), 1)
    away = np.stack([axis - (np.bincount(own, weights=axis) / counts)[own] for axis in (rows, columns)])
    order = np.lexsort((np.square(away).sum(axis=0), own))
    nearest = order[np.unique(own[order], return_index=True)[1]]
    return rows[nearest], columns[nearest]


def decode_flows(
    foreground: NDArray[np.float32], flow: NDArray[np.float32], threshold: float, radius: float
) -> NDArray[np.int32]:
    """Label the foreground, int32 (Y, X), by where its pixels end.

    Parameters
    ----------
    flow
        (2, Y, X), y and x, of length 1 where the network is sure.
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
    carried = torch.from_numpy(flow[::-1].copy()) / scale
    for _ in range(DOUBLINGS):
        at = (places + carried).clamp(-1, 1)
        further = functional.grid_sample(
            carried[None], at.permute(1, 2, 0)[None], padding_mode="border", align_corners=True
        )
        carried = at - places + further[0]
    ends: NDArray[np.float32] = (((places + carried).clamp(-1, 1) + 1) * scale).numpy()[::-1]
    return ends


def group_ends(at: tuple[NDArray[np.intp], ...], shape: tuple[int, ...], radius: float) -> NDArray[np.int32]:
    """Give a number to each place where many pixels end, int32 (Y, X)."""
    density = np.zeros(shape)
    np.add.at(density, at, 1)
    groups, _ = ndimage.label(ndimage.gaussian_filter(density, radius, truncate=2) > LEAST_ENDS)
    return groups.astype(np.int32)
