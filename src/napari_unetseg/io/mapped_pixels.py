"""Pixels that lie in a file as they are, one after the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.lazy_array import LazyArray


def mapped_pixels(open_mapped: "Callable[[], np.memmap[Any, Any]]") -> LazyArray:
    """Return pixels of a file that is mapped while a part of it is read, and no longer.

    So what was read of it does not count as the memory of this process.

    Parameters
    ----------
    open_mapped
        Maps all of the file's pixels.
    """
    whole = open_mapped()

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        return np.array(open_mapped()[box])

    # Row by row, as most files have them.
    chunks = (*(1,) * (whole.ndim - 1), whole.shape[-1]) if whole.ndim else ()
    return LazyArray(read, whole.shape, whole.dtype.newbyteorder("="), chunks)
