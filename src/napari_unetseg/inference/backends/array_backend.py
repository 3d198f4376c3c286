"""What runtimes have in common that read and write NumPy arrays, and a network from a file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import Buffers, Pending, WindowSource
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head


class ArrayBackend(ABC):
    """A backend whose runtime reads and writes arrays; what it computes with is the deriving class's.

    Parameters
    ----------
    network
        Taken over: its weights are let go, and it only answers what sizes it accepts.
    heads
        One an output channel, with the activation that the network already applies.
    device
        Where the runtime computes.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.
    precision
        One of `PRECISIONS`.
    """

    compilation = ""
    in_bands = False
    """Whether it computes an image in bands, with little memory a pixel."""

    def __init__(
        self,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
        precision: str = "float32",
    ) -> None:
        self._facts = network.facts
        self._let_go(network)
        self.receptive_radius = self._facts.receptive_radius
        self.grid = self._facts.grid
        self.precision = precision
        self.pools = pools or BufferPools()
        self.device = device
        self._heads = tuple(heads)

    @property
    def device_memory_mb(self) -> float | None:
        """None: no memory of a GPU is counted."""
        return None

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded."""
        return self._facts.accepted_size(height, width)

    def _let_go(self, network: SegmentationNetwork) -> None:
        """Free the network's weights, which are in the runtime's own form."""
        network.to("meta")

    @contextmanager
    def buffers(self, shape: tuple[int, int, int, int]) -> Iterator[Buffers]:
        """Lend room for a batch (N, C, H, W) and for its probabilities until the block ends."""
        output_shape = shape[0], len(self._heads), *shape[2:]
        with self.pools.input.lease(shape) as windows, self.pools.output.lease(output_shape) as probabilities:
            yield windows.numpy(), probabilities.numpy()

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Map a batch to probabilities; see `Backend.run`."""
        result = np.empty((len(batch), len(self._heads), *batch.shape[2:]), np.float32) if out is None else out
        self._compute(batch, cancel, torch.from_numpy(result))
        return result

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: CancelFlag | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Pending:
        """Compute windows at once; see `Backend.start`."""
        return run_at_once(self, channels, windows, cancel, out)

    @abstractmethod
    def _compute(self, batch: NDArray[np.float32], cancel: CancelFlag | None, out: Tensor) -> None:
        """Write the probabilities of a batch."""

    def release_memory(self) -> None:
        """Free what is kept for the next run; the network stays."""
        self.pools.release()

    @abstractmethod
    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
