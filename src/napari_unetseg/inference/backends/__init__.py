"""Runtimes that can compute a network; each sits behind the same few names."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CancelFlag = Callable[[], bool]
"""Called often, from the computing thread; True asks for the computation to stop."""


class Backend(Protocol):
    """A loaded network on a device.

    Several threads may call `run` at the same time.
    """

    @property
    def receptive_radius(self) -> int:
        """Pixels beyond an output pixel, on either side, that its layers can see."""

    @property
    def grid(self) -> int:
        """2^depth: windows must begin on multiples of it."""

    @property
    def exact_tiles(self) -> bool:
        """Whether tiles can agree with the whole image."""

    @property
    def precision(self) -> str:
        """Arithmetic of the network, such as ``"float32"``."""

    @property
    def device_memory_mb(self) -> float | None:
        """GPU memory that this process holds, in MiB; None on the CPU."""

    def run(self, batch: NDArray[np.float32], cancel: CancelFlag | None = None) -> NDArray[np.float32]:
        """Map (N, C, H, W) to probabilities (N, heads, H, W).

        Raises
        ------
        Cancelled
            As soon as `cancel` was seen to be True.
        """

    def unload(self) -> None:
        """Free the memory of the network; nothing can be run afterwards."""
