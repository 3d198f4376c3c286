"""Arrays that are not in memory, and are read where somebody needs them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyArray:
    """An array that stays where it is while it is indexed and turned, and is read by `numpy.asarray`.

    Indexing by whole numbers, slices of any step, ``...`` and None gives another lazy array. What is read in the end is
    one box of the source, as small as can be; of steps above 1 it is read in pieces, so that no more than one is in
    memory.

    Parameters
    ----------
    read
        Gives the pixels of a box of the source, from a slice of step 1 for each axis. Any thread may call it.
    shape, dtype
        Of the source.
    chunks
        In which the source is stored: what is read in pieces is read along them.
    """

    def __init__(
        self,
        read: Callable[[tuple[slice, ...]], NDArray[Any]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        raise NotImplementedError
