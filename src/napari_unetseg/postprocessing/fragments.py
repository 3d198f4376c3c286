"""Slivers that a division leaves between crowded objects: told from small objects, and joined to their neighbours."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.basins import Basins, Ints, Saddles, gather
from napari_unetseg.postprocessing.merging import connected
from napari_unetseg.postprocessing.numbering import covering_size

FRAGMENT = 0.3
"""Part of the typical size from which an object stands for itself.

The best of 0.1 to 0.35 in steps of 0.05 by AP@0.5, for nuclei (a boundary head) as for cells (a distance head).
"""


def join_fragments(basins: Basins, owner: Ints, split: float) -> Ints:
    """Join objects much smaller than the others to a neighbour, unless the pass between them is very low.

    An object below `FRAGMENT` times the typical size needs a pass that is lower in proportion to its size, or
    it is joined to what lies beyond its highest pass, if that is larger.

    Parameters
    ----------
    basins
        Those of a whole image.
    owner
        (N,), number of each hill's object, from 0 without gaps.
    split
        See `napari_unetseg.postprocessing.decoding.decode`.

    Returns
    -------
    (N,)
        As `owner`, with as many objects or fewer.
    """
    count = int(owner.max(initial=-1)) + 1
    sizes, _ = gather(owner, count, basins.size, basins.first)
    share = sizes / max(FRAGMENT * covering_size(sizes), 1)
    peaks = np.full(count, -np.inf, np.float32)
    np.maximum.at(peaks, owner, basins.height)
    fragments, neighbours, saddles = _highest_passes(basins.saddles, owner)
    larger = sizes[neighbours] > sizes[fragments]
    larger |= (sizes[neighbours] == sizes[fragments]) & (neighbours < fragments)
    lower_peak = np.minimum(peaks[fragments], peaks[neighbours])
    is_high = saddles >= np.sqrt(split) * share[fragments] * lower_peak
    joined = larger & is_high & (share[fragments] < 1)
    return connected(count, fragments[joined], neighbours[joined])[owner]


def _highest_passes(saddles: Saddles, owner: Ints) -> tuple[Ints, Ints, NDArray[np.float32]]:
    """List the objects that have neighbours, with the neighbour beyond the highest pass, and that pass's height."""
    between = Saddles(owner[saddles.one], owner[saddles.other], saddles.height, saddles.place).highest()
    # Every pass is seen from both sides; passes come from the highest down, so an object's first is its highest.
    here = np.stack([between.one, between.other], axis=1).ravel()
    there = np.stack([between.other, between.one], axis=1).ravel()
    objects, first = np.unique(here, return_index=True)
    return objects, there[first], between.height[first // 2]
