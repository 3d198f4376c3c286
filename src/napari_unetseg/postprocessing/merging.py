"""Which hills of a landscape are one object."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from napari_unetseg.postprocessing.basins import Basins, Floats, Ints

# Peaks are looked for at these heights, relative to the highest of their component. Coarser steps
# miss shallow dips, finer ones cost time; a peak below the last one never stands for an object.
PEAK_HEIGHTS = tuple(0.9**step for step in range(1, 18))


def divide(basins: Basins, split: float) -> Ints:
    """Tell which hills belong to one object.

    Parameters
    ----------
    basins
        Those of a whole image.
    split
        See `napari_unetseg.postprocessing.decoding.decode`.

    Returns
    -------
    (N,)
        Number of each hill's object, from 0 without gaps, in no particular order.
    """
    count = len(basins.peak)
    component = connected(count, basins.saddles.one, basins.saddles.other)
    heights, saddles = _relative(basins, component)
    return _flood(basins, _seeds(basins, heights, saddles, split))


def connected(count: int, one: Ints, other: Ints) -> Ints:
    """Give each node of a graph the number of its connected part, (count,)."""
    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), (count, count))
    parts: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return parts


def _relative(basins: Basins, component: Ints) -> tuple[Floats, Floats]:
    """Divide heights of hills and passes by the highest of their component."""
    highest = np.zeros(int(component.max(initial=-1)) + 1, np.float32)
    np.maximum.at(highest, component, basins.height)
    highest = np.maximum(highest, np.finfo(np.float32).tiny)
    return basins.height / highest[component], basins.saddles.height / highest[component[basins.saddles.one]]


def _seeds(basins: Basins, heights: Floats, saddles: Floats, split: float) -> NDArray[np.bool_]:
    """Say which hills are the seeds of objects, bool (N,).

    A region above ``sqrt(split) * height`` that reaches `height` holds one object unless higher steps
    have found some inside it already. Its highest hill is the seed.
    """
    tall = np.flatnonzero(heights >= PEAK_HEIGHTS[-1])
    tall = tall[np.lexsort((basins.peak[tall], -heights[tall]))]
    seed = np.zeros(len(heights), bool)
    region = np.arange(len(heights))
    regions = len(heights)
    order = np.argsort(-saddles, kind="stable")
    falling = -saddles[order].astype(np.float64)
    joined = 0
    for height in PEAK_HEIGHTS:
        level = np.sqrt(split) * height
        reached = int(np.searchsorted(falling, -level))
        new = order[joined:reached]
        if len(new):
            part = connected(regions, region[basins.saddles.one[new]], region[basins.saddles.other[new]])
            region, regions, joined = part[region], int(part.max()) + 1, reached
        candidates = tall[(heights[tall] >= height) & (heights[tall] > level)]
        taken = np.zeros(regions, bool)
        taken[region[seed]] = True
        candidates = candidates[~taken[region[candidates]]]
        # The first of a region is its highest.
        seed[candidates[np.unique(region[candidates], return_index=True)[1]]] = True
    return seed


def _flood(basins: Basins, seed: NDArray[np.bool_]) -> Ints:
    """Flood all hills from the seeds, over the highest passes first; what no seed reaches stays together.

    This is the tree of the highest passes of a graph in which an ocean borders on every seed; the trees that are left
    without the ocean are the objects.
    """
    count, sources = len(seed), np.flatnonzero(seed)
    one = np.append(basins.saddles.one, sources)
    other = np.append(basins.saddles.other, np.full(len(sources), count))
    # Ranks instead of heights: no two are equal, so there is one such tree only.
    rank = np.append(np.arange(1.0, len(basins.saddles.one) + 1), np.full(len(sources), 0.5))
    tree = minimum_spanning_tree(csr_matrix((rank, (one, other)), (count + 1, count + 1)), overwrite=True).tocoo()
    kept = tree.data > 0.75
    return connected(count, tree.row[kept].astype(np.int64), tree.col[kept].astype(np.int64))
