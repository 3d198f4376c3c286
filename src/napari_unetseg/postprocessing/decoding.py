"""From probability maps to a label image."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled, is_out_of_memory
from napari_unetseg.postprocessing.basins import Basins, find_basins, join_blocks, merge_parts
from napari_unetseg.postprocessing.blocks import Block, blocks
from napari_unetseg.postprocessing.confidence import mean_of_objects
from napari_unetseg.postprocessing.holes import fill_holes
from napari_unetseg.postprocessing.landscape import elevation
from napari_unetseg.postprocessing.merging import join_fragments, merge_basins
from napari_unetseg.postprocessing.numbering import number_in_place, ranks, renumber
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.side_by_side import side_by_side
from napari_unetseg.postprocessing.smoothing import smooth
from napari_unetseg.probability_maps import drop_cached_pages

BLOCK_SIDE = 704
"""Largest side in pixels of the blocks in which a landscape is processed. The result does not depend on it. Smaller
ones spend more on the margins around them; of larger ones too little stays in a core's cache, and each core needs more
memory (some 100 bytes for each of their pixels)."""

BLOCKS_AT_ONCE = usable_cores()
"""Blocks that are processed at the same time, each in a thread: NumPy releases the interpreter lock meanwhile."""

SMALL_BLOCK_SIDE = 256
"""Side of the blocks with which it is tried again where memory ran out, one at a time and in no thread of its own."""


_Found = TypeVar("_Found")


class _BlockPlan(NamedTuple):
    """Side of the blocks, and how many are processed at the same time."""

    side: int
    at_once: int


def decode(
    probability: NDArray[np.float32],
    heads: tuple[str, ...],
    parameters: DecodeParameters,
    cancel: CancelFlag | None = None,
) -> NDArray[np.int32]:
    """Read objects off a model's output.

    Pixels of foreground probability >= ``threshold`` belong to objects. They fall into components
    (4-connected: pixels that only meet at a corner do not touch), and a component is divided where
    its elevation has several peaks with a low enough saddle point between them:

    * with a ``"distance"`` head the elevation is the predicted distance to the object's edge,
    * with a ``"boundary"`` head it is foreground * (1 - boundary),
    * otherwise it is the distance to the nearest background pixel.

    A saddle point divides if it is lower than sqrt(``split``) times the lower of the two peaks. So 0 divides
    nothing; 0.5 divides where it is lower than 0.71 of either peak (without a second head:
    where the neck is narrower than 0.71 of the smaller part); 1 divides at every dip that the
    smoothing (gaussian, sigma 1 pixel) and the steps in which heights are compared (factor 0.9)
    leave. Peaks lower than 0.17 of the highest of their component do not count. The line of
    division is the watershed.

    A part smaller than 0.3 of the typical size needs a saddle point lower in proportion to its size, or it is
    joined to the larger neighbour over its highest one; so the slivers go that lie between crowded
    objects, and a small object with a clear border stays. The typical size is such that objects of this
    size or more cover half of what all objects of the image cover.

    What follows, in this order, looks at objects:

    1. with ``smoothing``, outlines are evened out, see `napari_unetseg.postprocessing.smoothing.smooth`;
    2. objects of fewer than ``min_size`` pixels are dropped;
    3. with ``fill_holes``, background that one object alone encloses becomes part of it; other objects inside
       it stay;
    4. objects whose mean foreground probability, as `measure_confidence` gives it, is below ``min_confidence``
       are dropped. So the limit acts on the number that a table of the objects shows.

    Parameters
    ----------
    probability
        float32 (heads, Y, X) with values 0..1. NaN counts as background.
    heads
        What each plane means; ``"foreground"`` must be among them.
    parameters
        Threshold, split, smoothing, minimum size, hole filling, minimum confidence.
    cancel
        Polled before each block of a large image but the first.

    Returns
    -------
    NDArray[np.int32]
        (Y, X); 0 is background, objects count from 1 without gaps, in the raster order of their
        first pixel.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    MemoryError
        If there is not even memory enough to process small blocks one after the other, or an error of a library that
        means the same (see `is_out_of_memory`).
    """
    return _within_memory(
        lambda plan: _decode(probability, heads, parameters, cancel, plan).sure(parameters.min_confidence)
    )


class FoundObjects:
    """The objects of a plane, before those of too low a confidence are dropped.

    Parameters
    ----------
    labels
        int32 (Y, X), as `decode` gives them with a ``min_confidence`` of 0.
    foreground
        (Y, X), the foreground probability.
    """

    def __init__(self, labels: NDArray[np.int32], foreground: NDArray[np.float32]) -> None:
        self._labels = labels
        self._foreground = foreground

    def areas(self, min_confidence: float) -> NDArray[np.intp]:
        """Return the number of pixels of each object that is not dropped."""
        sizes, _ = self._sizes_and_means
        return sizes[self._kept(min_confidence)] if min_confidence else sizes

    def sure(self, min_confidence: float) -> NDArray[np.int32]:
        """Drop objects of too low a mean probability, in place; the others keep their order."""
        if not min_confidence or (kept := self._kept(min_confidence)).all():
            return self._labels
        numbers = np.zeros(len(kept) + 1, dtype=np.int32)
        numbers[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
        return renumber(self._labels, numbers)

    def _kept(self, min_confidence: float) -> NDArray[np.bool_]:
        """Mark the objects that are not dropped. A mean that is not known is too low."""
        _, means = self._sizes_and_means
        return means >= np.float32(min_confidence)

    @cached_property
    def _sizes_and_means(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        return mean_of_objects(self._labels, self._foreground)


def find_objects(
    probability: NDArray[np.float32],
    heads: tuple[str, ...],
    parameters: DecodeParameters,
    cancel: CancelFlag | None = None,
) -> FoundObjects:
    """Do what `decode` does but for its last step, for which several limits can be tried then."""
    return _within_memory(lambda plan: _decode(probability, heads, parameters, cancel, plan))


def _within_memory(work: Callable[[_BlockPlan], _Found]) -> _Found:
    """Work on large blocks side by side; where memory runs out, on small ones one after the other."""
    try:
        return work(_BlockPlan(BLOCK_SIDE, BLOCKS_AT_ONCE))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return work(_BlockPlan(SMALL_BLOCK_SIDE, 1))


def _decode(
    probability: NDArray[np.float32],
    heads: tuple[str, ...],
    parameters: DecodeParameters,
    cancel: CancelFlag | None,
    plan: _BlockPlan,
) -> FoundObjects:
    planes = dict(zip(heads, probability, strict=True))
    least = 0 if parameters.smoothing else parameters.min_size
    if parameters.split > 0:
        labels = _divided(planes, parameters.threshold, parameters.split, least, cancel, plan)
    else:
        labels = _undivided(planes["foreground"], parameters.threshold, least)
    if parameters.smoothing:
        labels = smooth(labels, parameters.smoothing)
        labels = number_in_place(labels, parameters.min_size)
    if parameters.fill_holes:
        labels = fill_holes(labels, plan.at_once)
    return FoundObjects(labels, planes["foreground"])


def _undivided(foreground: NDArray[np.float32], threshold: float, min_size: int) -> NDArray[np.int32]:
    """Give numbers to the 4-connected regions of enough pixels."""
    mask = foreground >= threshold
    drop_cached_pages(foreground)
    return number_in_place(ndimage.label(mask)[0].astype(np.int32, copy=False), min_size)


def _divided(
    planes: dict[str, NDArray[np.float32]],
    threshold: float,
    split: float,
    min_size: int,
    cancel: CancelFlag | None,
    plan: _BlockPlan,
) -> NDArray[np.int32]:
    """Divide the regions into watershed basins, merge these into objects, and number those of enough pixels.

    Besides the label image, which holds the numbers of the basins first, nothing of the image's size is in memory.
    """
    labels = np.empty(planes["foreground"].shape, np.int32)
    parts = list(blocks(labels.shape, plan.side))
    found = list(_basins_by_block(planes, threshold, labels, parts, cancel, plan))
    basins, meaning = join_blocks(parts, found, planes["foreground"].shape[1], lambda row, column: labels[row, column])
    owner = join_fragments(basins, merge_basins(basins, split), split)
    objects = int(owner.max(initial=-1)) + 1
    sizes, first = merge_parts(owner, objects, basins.size, basins.first)
    # The background, which is -1 among the basins, comes last.
    numbers = np.append(ranks(sizes, first, min_size)[owner], np.int32(0))

    def renumber_block(at: int) -> None:
        renumber(labels[parts[at]], numbers[meaning[at]])

    for _ in side_by_side(renumber_block, range(len(parts)), plan.at_once):
        pass
    return labels


def _basins_by_block(
    planes: dict[str, NDArray[np.float32]],
    threshold: float,
    labels: NDArray[np.int32],
    parts: Sequence[Block],
    cancel: CancelFlag | None,
    plan: _BlockPlan,
) -> Iterator[Basins]:
    """Find the basins of the blocks of an image, and yield them in their order."""

    def find(block: Block) -> Basins:
        basins, labels[block] = find_basins(elevation(planes, threshold, block), block, labels.shape)
        return basins

    def unless_cancelled() -> Iterator[Block]:
        for at, block in enumerate(parts):
            if at and cancel is not None and cancel():
                raise Cancelled("Cancelled while objects were read off the image.")
            yield block

    for done, basins in enumerate(side_by_side(find, unless_cancelled(), plan.at_once), start=1):
        yield basins
        if done % plan.at_once == 0 or done == len(parts):
            for plane in planes.values():
                drop_cached_pages(plane)
