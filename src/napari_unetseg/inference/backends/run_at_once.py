"""Batches of windows for backends that compute in the calling thread."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import Backend, WindowSource


class _Done:
    """A batch that is computed, in memory that is lent until `close`."""

    computed_at_once = True

    def __init__(self, probabilities: NDArray[np.float32], lent: ExitStack) -> None:
        self._probabilities = probabilities
        self._lent = lent

    def result(self) -> NDArray[np.float32]:
        """Return the probabilities."""
        return self._probabilities

    def close(self) -> None:
        """Give back what is lent."""
        self._lent.close()


def run_at_once(
    backend: Backend,
    channels: int,
    windows: Sequence[WindowSource],
    cancel: CancelFlag | None,
    out: NDArray[np.float32] | None,
) -> _Done:
    """Read windows and compute them; see `Backend.start`."""
    shape = len(windows), channels, len(windows[0].rows), len(windows[0].columns)
    with ExitStack() as lent:
        batch, probabilities = lent.enter_context(backend.buffers(shape))
        for window, place in zip(windows, batch, strict=True):
            window.read(place)
        result = backend.run(batch, cancel, probabilities if out is None else out)
        return _Done(result, lent.pop_all())
