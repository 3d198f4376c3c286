"""Maps computed band by band, so that of the maps between only a few rows are in memory at once.

A row of a convolution's output depends on a few rows of its input alone. So the blocks of a level run on bands of rows,
with the rows that they reach beyond; where a band ends at the border of the map, they find there what they find in the
whole map, and the result is the same.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from napari_unetseg.networks.working_memory import BAND

BandReader = Callable[[slice], Tensor]
"""Gives some rows of a map (N, C, rows, W), which need not be in memory before."""


def bands(height: int, width: int) -> Iterator[slice]:
    """Divide the rows of a map of even height; each band has an even number of them."""
    rows = max(BAND // width // 2 * 2, 2)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def widen_rows(rows: slice, reach: int, height: int) -> slice:
    """Add the rows that are seen on either side, as far as there are any."""
    return slice(max(rows.start - reach, 0), min(rows.stop + reach, height))


def rows_of(x: Tensor) -> BandReader:
    """Give the rows of a map that is there."""
    return lambda rows: x[..., rows, :]


def compute_rows(block: Callable[[Tensor], Tensor], take: BandReader, height: int, rows: slice, reach: int) -> Tensor:
    """Return the given rows of what a block makes of a map.

    Parameters
    ----------
    block
        Maps (N, C, H, W) to (N, C', H, W), and pads with zeros.
    take, height
        The map's rows, and how many they are.
    rows
        Which rows are wanted.
    reach
        How many rows beyond one the block sees.
    """
    seen = widen_rows(rows, reach, height)
    return block(take(seen))[..., rows.start - seen.start : rows.stop - seen.start, :]


def join_bands(parts: Iterable[Tensor], height: int) -> Tensor:
    """Put bands (N, C, rows, W) together into one map (N, C, height, W), from the top; each is released at once."""
    whole: Tensor | None = None
    top = 0
    for part in parts:
        n, channels, rows, width = part.shape
        if whole is None:
            shape = (n, channels, height, width)
            whole = torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=torch.channels_last)
        whole[..., top : top + rows, :] = part
        top += rows
        del part
    assert whole is not None  # noqa: S101 - a map has a row
    return whole
