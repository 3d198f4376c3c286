"""How an image is divided for a network that takes only the sizes that its card states.

Such a network is computed as another program wrote it. Its card says how wide the border is in which its answer is not
to be trusted; windows overlap by twice as much, and each pixel is taken from the window in which it lies farthest
inside. All windows have a size that the network takes: the last one of a row reaches beyond the image, which is
mirrored there.
"""

from itertools import product

from napari_unetseg.inference.tiling.exact import Tile, round_up
from napari_unetseg.networks.facts import ForeignFacts


def plan_stated(shape: tuple[int, int], facts: ForeignFacts, side: int) -> tuple[list[Tile], tuple[int, int]]:
    """Divide an image into windows with a halo, row by row.

    Parameters
    ----------
    shape
        Height and width of the image.
    facts
        Of the network; its halo is above 0.
    side
        Longest side of a window, one that the network takes and that is longer than two halos.

    Returns
    -------
    list of Tile, and tuple of int
        The windows, whose `write` parts cover each pixel exactly once, and the height and width up to which the image
        has to be padded.
    """
    rows, columns = (_plan_axis(length, facts, side) for length in shape)
    tiles = [
        Tile((row[0], column[0]), (row[1], column[1]), (row[2], column[2])) for row, column in product(rows, columns)
    ]
    return tiles, (rows[-1][0].stop, columns[-1][0].stop)


def _plan_axis(length: int, facts: ForeignFacts, side: int) -> list[tuple[slice, slice, slice]]:
    """Return what each window reads, keeps and writes along one axis."""
    whole = facts.accepted_side(length)
    if whole <= side:
        return [(slice(0, whole), slice(0, length), slice(0, length))]
    kept = side - 2 * facts.halo
    stride = kept // facts.step * facts.step or kept
    count = -(-(length - side) // stride) + 1
    # As much overlap as the same number of windows allows, so that little of the last one lies beyond the image.
    stride = min(round_up(-(-(length - side) // (count - 1)), facts.step), stride)
    starts = [index * stride for index in range(count)]
    edges = [0, *(start + (side - stride) // 2 for start in starts[1:]), length]
    return [
        (slice(start, start + side), slice(first - start, last - start), slice(first, last))
        for start, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
    ]
