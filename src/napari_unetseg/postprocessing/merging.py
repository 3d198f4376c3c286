"""Which watershed basins are one object.

Basins are merged in two steps. `merge_basins` chooses the peaks that stand for objects and floods the landscape from
them; on the graph of basins this is a minimum spanning forest rooted in the chosen peaks (Meyer, "Minimum spanning
forests for morphological segmentation", in Mathematical Morphology and Its Applications to Image Processing, 1994).
`join_fragments` then joins the slivers that a division leaves between crowded objects to their neighbours.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from napari_unetseg.postprocessing.basins import Basins, Heights, IntArray, Saddles, merge_parts
from napari_unetseg.postprocessing.numbering import area_weighted_size

# Peaks are looked for at these heights, relative to the highest of their component. Coarser steps
# miss shallow dips, finer ones cost time; a peak below the last one never stands for an object.
PEAK_HEIGHTS = tuple(0.9**step for step in range(1, 18))

FRAGMENT = 0.3
"""Fraction of the typical size below which an object is a fragment.

The best of 0.1 to 0.35 in steps of 0.05 by AP@0.5, for nuclei (a boundary head) as for cells (a distance head).
"""


def merge_basins(basins: Basins, split: float) -> IntArray:
    """Find which basins belong to one object.

    Parameters
    ----------
    basins
        Of a whole image.
    split
        See `napari_unetseg.postprocessing.decoding.decode`.

    Returns
    -------
    (N,)
        Number of each basin's object, from 0 without gaps, in no particular order.
    """
    count = len(basins.peak)
    component = connected_nodes(count, basins.saddles.one, basins.saddles.other)
    heights, saddles = _relative(basins, component)
    return _flood(basins, _seeds(basins, heights, saddles, split))


def connected_nodes(count: int, one: IntArray, other: IntArray) -> IntArray:
    """Return the number of the connected component of each node of a graph, (count,).

    Components are numbered by their first node. Trees of nodes are hooked to the lowest neighbour and flattened until
    no edge leads out of one (Shiloach & Vishkin 1982). SciPy's function gives the same, but its matrices take three
    times as long for the few hundred basins of an ordinary image, for which this is called a dozen times.
    """
    root = np.arange(count, dtype=np.int64)
    while True:
        ends = root[one], root[other]
        apart = ends[0] != ends[1]
        if not apart.any():
            break
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(*ends)[apart], np.minimum(*ends)[apart])
        while not np.array_equal(above := root[root], root):
            root = above
    numbers: IntArray = np.cumsum(root == np.arange(count)) - 1
    return numbers[root]


def _relative(basins: Basins, component: IntArray) -> tuple[Heights, Heights]:
    """Divide the heights of peaks and saddle points by the highest peak of their component."""
    highest = np.zeros(int(component.max(initial=-1)) + 1, np.float32)
    np.maximum.at(highest, component, basins.height)
    highest = np.maximum(highest, np.finfo(np.float32).tiny)
    return basins.height / highest[component], basins.saddles.height / highest[component[basins.saddles.one]]


def _seeds(basins: Basins, heights: Heights, saddles: Heights, split: float) -> NDArray[np.bool_]:
    """Mark the basins whose peaks are seeds of objects, bool (N,).

    A region above ``sqrt(split) * height`` that reaches `height` holds one object unless higher steps
    have found some inside it already. Its highest basin is the seed.
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
            part = connected_nodes(regions, region[basins.saddles.one[new]], region[basins.saddles.other[new]])
            region, regions, joined = part[region], int(part.max()) + 1, reached
        candidates = tall[(heights[tall] >= height) & (heights[tall] > level)]
        taken = np.zeros(regions, bool)
        taken[region[seed]] = True
        candidates = candidates[~taken[region[candidates]]]
        # The first of a region is its highest.
        seed[candidates[np.unique(region[candidates], return_index=True)[1]]] = True
    return seed


def _flood(basins: Basins, seed: NDArray[np.bool_]) -> IntArray:
    """Flood all basins from the seeds, over the highest saddle points first; what no seed reaches stays together.

    The objects are the trees of a minimum spanning forest: a spanning tree that prefers high saddle points is built on
    the graph of basins with one more node, which is connected to every seed, and falls apart without that node.
    """
    count, sources = len(seed), np.flatnonzero(seed)
    one = np.append(basins.saddles.one, sources)
    other = np.append(basins.saddles.other, np.full(len(sources), count))
    # Ranks instead of heights: no two are equal, so there is one such tree only.
    rank = np.append(np.arange(1.0, len(basins.saddles.one) + 1), np.full(len(sources), 0.5))
    tree = minimum_spanning_tree(csr_matrix((rank, (one, other)), (count + 1, count + 1)), overwrite=True).tocoo()
    kept = tree.data > 0.75
    return connected_nodes(count, tree.row[kept].astype(np.int64), tree.col[kept].astype(np.int64))


def join_fragments(basins: Basins, owner: IntArray, split: float) -> IntArray:
    """Join objects much smaller than the others to a neighbour, unless the saddle point between them is very low.

    An object below `FRAGMENT` times the typical size stays only if its saddle points are lower in proportion to its
    size; otherwise it is joined to the neighbour beyond its highest saddle point, if that is larger.

    Parameters
    ----------
    basins
        Of a whole image.
    owner
        (N,), number of each basin's object, from 0 without gaps, as `merge_basins` returns it.
    split
        See `napari_unetseg.postprocessing.decoding.decode`.

    Returns
    -------
    (N,)
        As `owner`, with as many objects or fewer.
    """
    count = int(owner.max(initial=-1)) + 1
    sizes, _ = merge_parts(owner, count, basins.size, basins.first)
    share = sizes / max(FRAGMENT * area_weighted_size(sizes), 1)
    peaks = np.full(count, -np.inf, np.float32)
    np.maximum.at(peaks, owner, basins.height)
    fragments, neighbours, saddles = _highest_saddles(basins.saddles, owner, share < 1)
    larger = sizes[neighbours] > sizes[fragments]
    larger |= (sizes[neighbours] == sizes[fragments]) & (neighbours < fragments)
    lower_peak = np.minimum(peaks[fragments], peaks[neighbours])
    is_high = saddles >= np.sqrt(split) * share[fragments] * lower_peak
    joined = larger & is_high & (share[fragments] < 1)
    return connected_nodes(count, fragments[joined], neighbours[joined])[owner]


def _highest_saddles(
    saddles: Saddles, owner: IntArray, wanted: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, Heights]:
    """List objects that have neighbours, the neighbour beyond the highest saddle point, and that point's height.

    Those that are wanted are among them, with all that is asked; most objects are not.
    """
    one, other = owner[saddles.one], owner[saddles.other]
    asked = np.flatnonzero((wanted[one] | wanted[other]) & (one != other))
    between = Saddles(one[asked], other[asked], saddles.height[asked], saddles.edge[asked]).highest()
    # Saddle points come from the highest down, so an object's first one is its highest.
    here = np.stack([between.one, between.other], axis=1).ravel()
    there = np.stack([between.other, between.one], axis=1).ravel()
    objects, first = np.unique(here, return_index=True)
    return objects, there[first], between.height[first // 2]
