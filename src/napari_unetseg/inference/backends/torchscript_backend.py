"""TorchScript programs, on the CPU and on graphics cards."""

from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import cancelled_error, unloaded
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.array_backend import ArrayBackend
from napari_unetseg.inference.backends.device import Device, free_cached_memory
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.foreign import TorchScriptProgram
from napari_unetseg.zoo.card import Head


class TorchScriptBackend(ArrayBackend):
    """A program that another one wrote, run as it is: nothing of it is folded, rounded or compiled.

    A program cannot be stopped between its layers; a cancel is seen before each window.

    Parameters
    ----------
    network
        Taken over.
    heads
        One an output channel, with the activation that the network already applies.
    device
        Where to run.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.
    """

    def __init__(
        self,
        network: TorchScriptProgram,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
    ) -> None:
        super().__init__(network, heads, device, pools)
        self._where = torch.device(device.torch_name)
        self._network: TorchScriptProgram | None = network.to(self._where)
        # A program keeps what it has learnt of its inputs, and each thread would need memory of its own on a card.
        self._one_at_a_time = Lock()

    def _let_go(self, network: SegmentationNetwork) -> None:
        """Keep the network: it is what runs."""

    @property
    def device_memory_mb(self) -> float | None:
        """GPU memory that tensors of this process hold, in MiB."""
        if self._where.type == "cuda":
            return torch.cuda.memory_allocated(self._where) / 2**20
        return torch.mps.current_allocated_memory() / 2**20 if self._where.type == "mps" else None

    def _compute(self, batch: NDArray[np.float32], cancel: CancelFlag | None, out: Tensor) -> None:
        with self._one_at_a_time, torch.inference_mode():
            network = self._network
            if network is None:
                raise unloaded()
            # One by one where that may be cancelled, as a window is the least that can be.
            shown = torch.split(torch.from_numpy(batch), 1 if cancel is not None else len(batch))
            for part, place in zip(shown, torch.split(out, len(shown[0])), strict=True):
                if cancel is not None and cancel():
                    raise cancelled_error()
                self._answer(network, part, place)

    def _answer(self, network: TorchScriptProgram, part: Tensor, place: Tensor) -> None:
        answer = network(part.to(self._where)).cpu()
        to_probabilities(answer, self._heads, place)
        place.clamp_(0, 1)  # which an answer that is called a probability may miss

    def release_memory(self) -> None:
        """Free what is kept for the next run, a card's memory too; the network stays."""
        super().release_memory()
        return_freed_memory()
        free_cached_memory()

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        with self._one_at_a_time:
            self._network = None
        self.release_memory()
