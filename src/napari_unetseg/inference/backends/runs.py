"""Rows or columns of a window as runs of neighbours, which are slices and need no list of places."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
"""Which row, or column, of an image stands at each place of a window."""


def runs(indices: Indices) -> Iterator[tuple[int, int]]:
    """Divide indices into runs of neighbours, rising or falling; yields the first and the last of each.

    An image that is mirrored at its border has one run for each side of the mirror.
    """
    steps = np.diff(indices)
    start = 0
    while start < len(indices):
        step = steps[start] if start < len(steps) and abs(steps[start]) == 1 else 0
        ends = np.flatnonzero(steps[start:] != step) if step else np.zeros(1, np.intp)
        end = start + int(ends[0]) if len(ends) else len(indices) - 1
        yield int(indices[start]), int(indices[end])
        start = end + 1
