"""PyTorch as the runtime on a graphics card: CUDA, or Apple's MPS."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import Buffers, Pending, WindowSource, cancelled_error, unloaded
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.fast_layers import fold_batch_norm, round_to_bfloat16
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head


class GpuBackend:
    """A network on a graphics card, made fast for inference.

    It takes the network over: BatchNorm is folded into the convolutions before it, and the network moves to the card.

    Parameters
    ----------
    network
        In evaluation mode, float32.
    heads
        One an output channel, with the activation that the network already applies.
    device
        The card.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.
    precision
        ``"float32"``, or ``"bfloat16"`` for weights and maps as `round_to_bfloat16` makes them.
    torch_name
        The device as PyTorch names it; None for that of `device`.
    """

    in_bands = False

    def __init__(
        self,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
        *,
        precision: str = "float32",
        torch_name: str | None = None,
    ) -> None:
        self.device = device
        self.pools = pools or BufferPools()
        self.receptive_radius = network.receptive_radius
        self.grid = 2**network.depth
        self._torch_device = torch.device(torch_name or device.torch_name)
        self.precision = "tf32" if precision == "float32" and _rounds_to_tf32(self._torch_device) else precision
        self._heads = tuple(heads)
        self._network: SegmentationNetwork | None = self._prepare(network)

    def _prepare(self, network: SegmentationNetwork) -> SegmentationNetwork:
        fold_batch_norm(network.eval())
        if self.precision == "bfloat16":
            round_to_bfloat16(network)
        # PyTorch's annotations of Module.to do not know memory_format.
        moved: SegmentationNetwork = network.to(self._torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved

    @property
    def device_memory_mb(self) -> float | None:
        """GPU memory that tensors of this process hold, in MiB."""
        if self._torch_device.type == "cuda":
            return torch.cuda.memory_allocated(self._torch_device) / 2**20
        if self._torch_device.type == "mps":
            return torch.mps.current_allocated_memory() / 2**20
        return None

    @contextmanager
    def buffers(self, shape: tuple[int, int, int, int]) -> Iterator[Buffers]:
        """Lend room for a batch (N, C, H, W) and for its probabilities until the block ends."""
        pinned = self._torch_device.type == "cuda"
        output_shape = shape[0], len(self._heads), *shape[2:]
        with (
            self.pools.input.lease(shape, channels_last=True, pinned=pinned) as windows,
            self.pools.output.lease(output_shape, pinned=pinned) as probabilities,
        ):
            yield windows.numpy(), probabilities.numpy()

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Map a batch to probabilities; see `Backend.run`."""
        network = self._loaded_network()
        result = np.empty((len(batch), len(self._heads), *batch.shape[2:]), np.float32) if out is None else out
        if cancel is not None and cancel():
            raise cancelled_error()
        name = str(self._torch_device)
        with (
            torch.inference_mode(),
            self.pools.input.lease(batch.shape, device=name, channels_last=True) as windows,
            self.pools.output.lease(result.shape, device=name) as probabilities,
        ):
            windows.copy_(torch.from_numpy(batch), non_blocking=True)
            to_probabilities(network(windows), self._heads, probabilities)
            # This copy waits for the device, so that all buffers are at rest when they go back.
            torch.from_numpy(result).copy_(probabilities)
        return result

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: CancelFlag | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Pending:
        """Begin with windows of one shape; see `Backend.start`."""
        return run_at_once(self, channels, windows, cancel, out)

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded.

        Raises
        ------
        ModelError
            If the network was unloaded.
        """
        return self._loaded_network().accepted_size(height, width)

    def _loaded_network(self) -> SegmentationNetwork:
        if self._network is None:
            raise unloaded()
        return self._network

    def release_memory(self) -> None:
        """Free what is kept for the next run, the card's memory too; the network stays."""
        self.pools.release()
        return_freed_memory()
        if self._torch_device.type == "cuda":
            with torch.cuda.device(self._torch_device):
                torch.cuda.empty_cache()
        elif self._torch_device.type == "mps":
            torch.mps.empty_cache()

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        self._network = None
        self.release_memory()


def _rounds_to_tf32(device: torch.device) -> bool:
    """Whether convolutions on a card round their inputs to ten bits, as PyTorch lets Ampere and later do."""
    if device.type != "cuda":
        return False
    return torch.backends.cudnn.allow_tf32 and torch.cuda.get_device_capability(device) >= (8, 0)
