"""PyTorch as the runtime on the CPU."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import (
    Buffers,
    Pending,
    WindowSource,
    cancelled_error,
    computes_in_bands,
    unloaded,
)
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.fast_layers import (
    fold_batch_norm,
    replace_instance_norm,
    replace_pooling,
    round_maps,
)
from napari_unetseg.inference.backends.fused_convolution import fuses_convolutions, round_and_fuse
from napari_unetseg.inference.backends.kernel_thread import run_with_kernel_workaround
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head


class TorchBackend:
    """A network on the CPU, made fast for inference.

    It takes the network over: BatchNorm is folded into the convolutions before it, and InstanceNorm is replaced by
    what computes the same faster.

    Parameters
    ----------
    network
        In evaluation mode, float32.
    heads
        One an output channel, with the activation that the network already applies.
    device
        The CPU, and why it was chosen.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.
    precision
        ``"float32"``, or ``"bfloat16"`` for weights and maps as `round_maps` makes them.
    """

    device_memory_mb = None
    compilation = ""

    def __init__(
        self,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
        *,
        precision: str = "float32",
    ) -> None:
        self.device = device
        self.pools = pools or BufferPools()
        self.receptive_radius = network.receptive_radius
        self.grid = network.facts.grid
        self.in_bands = network.in_bands and computes_in_bands("torch", "cpu")
        self.precision = precision
        self._heads = tuple(heads)
        self._calls = threading.local()
        self._fused = precision == "bfloat16" and fuses_convolutions()
        self._network: SegmentationNetwork | None = self._prepare(network)

    def _prepare(self, network: SegmentationNetwork) -> SegmentationNetwork:
        fold_batch_norm(network.eval())
        replace_instance_norm(network)
        replace_pooling(network)
        if self._fused:
            round_and_fuse(network)
        elif self.precision == "bfloat16":
            round_maps(network, torch.bfloat16)
        for layer in network.modules():
            if not list(layer.children()):
                layer.register_forward_pre_hook(self._stop_if_cancelled)
        # PyTorch's annotations of Module.to do not know memory_format.
        moved: SegmentationNetwork = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved

    @contextmanager
    def buffers(self, shape: tuple[int, int, int, int]) -> Iterator[Buffers]:
        """Lend room for a batch (N, C, H, W) and for its probabilities until the block ends."""
        output_shape = shape[0], len(self._heads), *shape[2:]
        with (
            self.pools.input.lease(shape, channels_last=True) as windows,
            self.pools.output.lease(output_shape) as probabilities,
        ):
            yield windows.numpy(), probabilities.numpy()

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Map a batch to probabilities; see `Backend.run`."""
        network = self._loaded_network()
        result = np.empty((len(batch), len(self._heads), *batch.shape[2:]), np.float32) if out is None else out
        run_with_kernel_workaround(lambda: self._run(network, batch, cancel, result))
        return result

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: CancelFlag | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Pending:
        """Compute windows at once; see `Backend.start`."""
        if self._fused and all(_shows_one_plane(window) for window in windows):
            channels = 1
        return run_at_once(self, channels, windows, cancel, out)

    def _run(
        self,
        network: SegmentationNetwork,
        batch: NDArray[np.float32],
        cancel: CancelFlag | None,
        out: NDArray[np.float32],
    ) -> None:
        self._calls.cancel = cancel
        try:
            with torch.inference_mode():
                for pixels, place in self._alike(torch.from_numpy(batch), torch.from_numpy(out)):
                    self._compute(network, pixels, place)
        finally:
            self._calls.cancel = None

    def _alike(self, batch: Tensor, out: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Divide a batch of grey and coloured images, so that each is computed as it is by itself."""
        if self._fused and len(batch) > 1 and len({_is_grey(image) for image in batch}) > 1:
            yield from zip(torch.split(batch, 1), torch.split(out, 1), strict=True)
        else:
            yield batch, out

    def _compute(self, network: SegmentationNetwork, pixels: Tensor, out: Tensor) -> None:
        top = 0
        shown = _without_copies(pixels) if self._fused else pixels
        for logits in network.bands(shown.contiguous(memory_format=torch.channels_last)):
            bottom = top + logits.shape[-2]
            to_probabilities(logits, self._heads, out[..., top:bottom, :])
            top = bottom

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
        """Free what is kept for the next run, a GPU's memory too; the network stays."""
        self.pools.release()
        return_freed_memory()
        # The CPU may have taken over from a GPU.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        self._network = None
        self.release_memory()

    def _stop_if_cancelled(self, _layer: nn.Module, _inputs: Any) -> None:
        # The flag is kept by thread, because hooks belong to the network and calls to their threads.
        cancel: CancelFlag | None = self._calls.cancel
        if cancel is not None and cancel():
            raise cancelled_error()


def _shows_one_plane(window: WindowSource) -> bool:
    raw = window.raw
    return raw is not None and len(raw.planes) == len(raw.ranges) == 1


def _without_copies(batch: Tensor) -> Tensor:
    """Return one channel (N, 1, H, W) of grey images; else what was given."""
    return batch[:, :1] if all(_is_grey(image) for image in batch) else batch


def _is_grey(image: Tensor) -> bool:
    """Whether all channels of an image (C, H, W) are the same."""
    return all(torch.equal(image[0], channel) for channel in image[1:])
