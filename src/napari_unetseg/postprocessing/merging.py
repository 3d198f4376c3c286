"""Which hills of a landscape are one object."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from napari_unetseg.postprocessing.basins import Floats, Hills, Ints

# Peaks are looked for at these heights, relative to the highest of their component. Coarser steps
# miss shallow dips, finer ones cost time; a peak below the last one never stands for an object.
PEAK_HEIGHTS = tuple(0.9**step for step in range(1, 18))


def divide(hills: Hills, split: float) -> Ints:
    """Tell which hills belong to one object.

    Parameters
    ----------
    hills
        Those of a whole image.
    split
        See `napari_unetseg.postprocessing.decoding.decode`.

    Returns
    -------
    (N,)
        Number of each hill's object, from 0 without gaps, in no particular order.
    """
    count = len(hills.peak)
    component = connected(count, hills.passes.one, hills.passes.other)
    heights, passes = _relative(hills, component)
    return _flood(hills, _seeds(hills, heights, passes, split))


def connected(count: int, one: Ints, other: Ints) -> Ints:
    """Give each node of a graph the number of its connected part, (count,)."""
    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), (count, count))
    parts: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return parts


def _relative(hills: Hills, component: Ints) -> tuple[Floats, Floats]:
    """Divide heights of hills and passes by the highest of their component."""
    highest = np.zeros(int(component.max(initial=-1)) + 1, np.float32)
    np.maximum.at(highest, component, hills.height)
    highest = np.maximum(highest, np.finfo(np.float32).tiny)
    return hills.height / highest[component], hills.passes.height / highest[component[hills.passes.one]]


def _seeds(hills: Hills, heights: Floats, passes: Floats, split: float) -> NDArray[np.bool_]:
    """Say which hills are the seeds of objects, bool (N,).

    A region above ``sqrt(split) * height`` that reaches `height` holds one object unless higher steps
    have found some inside it already. Its highest hill is the seed.
    """
    tall = np.flatnonzero(heights >= PEAK_HEIGHTS[-1])
    tall = tall[np.lexsort((hills.peak[tall], -heights[tall]))]
    seed = np.zeros(len(heights), bool)
    region = np.arange(len(heights))
    regions = len(heights)
    order = np.argsort(-passes, kind="stable")
    falling = -passes[order].astype(np.float64)
    joined = 0
    for height in PEAK_HEIGHTS:
        level = np.sqrt(split) * height
        reached = int(np.searchsorted(falling, -level))
        new = order[joined:reached]
        if len(new):
            part = connected(regions, region[hills.passes.one[new]], region[hills.passes.other[new]])
            region, regions, joined = part[region], int(part.max()) + 1, reached
        candidates = tall[(heights[tall] >= height) & (heights[tall] > level)]
        taken = np.zeros(regions, bool)
        taken[region[seed]] = True
        candidates = candidates[~taken[region[candidates]]]
        # The first of a region is its highest.
        seed[candidates[np.unique(region[candidates], return_index=True)[1]]] = True
    return seed


def _flood(hills: Hills, seed: NDArray[np.bool_]) -> Ints:
    """Flood all hills from the seeds, over the highest passes first; what no seed reaches stays together.

    This is the tree of the highest passes of a graph in which an ocean borders on every seed; the trees that are left
    without the ocean are the objects.
    """
    count, sources = len(seed), np.flatnonzero(seed)
    one = np.append(hills.passes.one, sources)
    other = np.append(hills.passes.other, np.full(len(sources), count))
    # Ranks instead of heights: no two are equal, so there is one such tree only.
    rank = np.append(np.arange(1.0, len(hills.passes.one) + 1), np.full(len(sources), 0.5))
    tree = minimum_spanning_tree(csr_matrix((rank, (one, other)), (count + 1, count + 1)), overwrite=True).tocoo()
    kept = tree.data > 0.75
    return connected(count, tree.row[kept].astype(np.int64), tree.col[kept].astype(np.int64))
