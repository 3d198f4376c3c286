"""PyTorch as the runtime on a graphics card: CUDA, or Apple's MPS."""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import partial

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import (
    Buffers,
    Pending,
    WindowSource,
    cancelled_error,
    unloaded,
)
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.fast_layers import fold_batch_norm, round_maps
from napari_unetseg.inference.backends.gpu.compilation import CompiledNetwork
from napari_unetseg.inference.backends.gpu.gpu_layers import fuse_instance_norm
from napari_unetseg.inference.backends.gpu.graphics_card import graphics_card
from napari_unetseg.inference.backends.gpu.launched_batch import LaunchedBatch
from napari_unetseg.inference.backends.gpu.transfers import Mark
from napari_unetseg.inference.backends.gpu.uploaded_images import UploadedImages
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head

_log = logging.getLogger(__name__)

_ROUNDED = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types of maps in the precisions that round them."""


class GpuBackend:
    """A network on a graphics card, made fast for inference.

    It takes the network over: BatchNorm is folded into the convolutions before it, InstanceNorm and the ReLU after it
    become one layer, and the network moves to the card, where it is compiled in the background.
    Images go up as they were read and become windows there, while the batch before is computed and the one before that
    comes down; all that is launched on a card is launched by one thread.

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
        ``"float32"``, or ``"bfloat16"`` or ``"float16"`` for weights and maps as `round_maps` makes them. float16 ends
        at 65504: where an answer is not finite, it is computed again in float32.
    torch_name
        The device as PyTorch names it; None for that of `device`.
    compiles
        Whether the network may be compiled.
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
        compiles: bool = True,
    ) -> None:
        self.device = device
        self.pools = pools or BufferPools()
        self.receptive_radius = network.receptive_radius
        self.grid = network.facts.grid
        self._card = graphics_card(torch_name or device.torch_name)
        self.precision = "tf32" if precision == "float32" and _rounds_to_tf32(self._card.device) else precision
        self._heads = tuple(heads)
        self._images = UploadedImages(self._card, self.pools, _total_memory(self._card.device))
        fold_batch_norm(network.eval())
        # In float32, for answers that float16 does not hold.
        self._exact = deepcopy(network) if precision == "float16" else None
        self._exact_is_here = False
        # By the thread that launches: an Apple GPU takes work from one thread at a time.
        self._network: SegmentationNetwork | None = self._card.launch(
            partial(self._prepare, network, precision)
        ).result()
        self._compiled: CompiledNetwork | None = CompiledNetwork(
            self._network, str(self._card.device), enabled=compiles
        )

    def _prepare(self, network: SegmentationNetwork, precision: str) -> SegmentationNetwork:
        fuse_instance_norm(network)
        if precision in _ROUNDED:
            round_maps(network, _ROUNDED[precision])
        # PyTorch's annotations of Module.to do not know memory_format.
        moved: SegmentationNetwork = network.to(self._card.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # It went there by the stream of this thread, which the one that computes does not follow.
        self._card.transfers.rest()
        return moved

    @property
    def compilation(self) -> Sentence:
        """Say whether compiled code computes the network, or why not."""
        return self._compiled.compilation if self._compiled is not None else Sentence("The network was unloaded.")

    @property
    def device_memory_mb(self) -> float | None:
        """GPU memory that tensors of this process hold, in MiB."""
        if self._card.device.type == "cuda":
            return torch.cuda.memory_allocated(self._card.device) / 2**20
        if self._card.device.type == "mps":
            return torch.mps.current_allocated_memory() / 2**20
        return None

    @contextmanager
    def buffers(self, shape: tuple[int, int, int, int]) -> Iterator[Buffers]:
        """Lend room for a batch (N, C, H, W) and for its probabilities until the block ends."""
        pinned = self._card.transfers.pinned
        with (
            self.pools.input.lease(shape, channels_last=True, pinned=pinned) as windows,
            self.pools.output.lease(self._answer_shape(shape), pinned=pinned) as probabilities,
        ):
            yield windows.numpy(), probabilities.numpy()

    def _answer_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[0], len(self._heads), *shape[2:]

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Map a batch to probabilities; see `Backend.run`."""
        result = np.empty(self._answer_shape(batch.shape), np.float32) if out is None else out
        with ExitStack() as lent:
            host = dict(enumerate(torch.from_numpy(batch)))
            pending = self._launch(batch.shape, host, {}, cancel, result, lent.pop_all())
            lent.callback(pending.close)
            return pending.result()

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: CancelFlag | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Pending:
        """Begin with windows of one shape, and return before they are computed; see `Backend.start`."""
        self._loaded_network()
        with ExitStack() as lent:
            raw = {
                index: window
                for index, window in enumerate(windows)
                if window.raw is not None and self._images.stage(window.raw, lent)
            }
            host = self._read(channels, {i: window for i, window in enumerate(windows) if i not in raw}, lent)
            shape = len(windows), channels, len(windows[0].rows), len(windows[0].columns)
            return self._launch(shape, host, raw, cancel, out, lent.pop_all())

    def _read(self, channels: int, windows: Mapping[int, WindowSource], lent: ExitStack) -> dict[int, Tensor]:
        """Read on the host what the card cannot, into pinned memory."""
        if not windows:
            return {}
        first = next(iter(windows.values()))
        shape = len(windows), channels, len(first.rows), len(first.columns)
        pinned = self._card.transfers.pinned
        room = lent.enter_context(self.pools.input.lease(shape, channels_last=True, pinned=pinned))
        for window, place in zip(windows.values(), room, strict=True):
            window.read(place.numpy())
        return dict(zip(windows, room, strict=True))

    def _launch(
        self,
        shape: tuple[int, ...],
        host: Mapping[int, Tensor],
        raw: Mapping[int, WindowSource],
        cancel: CancelFlag | None,
        out: NDArray[np.float32] | None,
        lent: ExitStack,
    ) -> "LaunchedBatch":
        """Hand a batch to the thread that launches; what is lent is given back when the batch is at rest."""
        try:
            network = self._compiled
            if network is None:
                raise unloaded()
            if cancel is not None and cancel():
                raise cancelled_error()
            pinned = self._card.transfers.pinned
            answer = lent.enter_context(self.pools.output.lease(self._answer_shape(shape), pinned=pinned))
            finite = None
            if self._exact is not None:
                finite = lent.enter_context(self.pools.output.lease((1,), torch.bool, pinned=pinned))
            launched = self._card.launch(partial(self._compute, network, shape, host, raw, answer, finite, lent))
        except BaseException:
            lent.close()
            raise

        def launch_again() -> Future[Mark]:
            return self._card.launch(lambda: self._compute(self._exact_network(), shape, host, raw, answer, None, lent))

        return LaunchedBatch(self._card, launched, answer, finite, launch_again, cancel, out, lent)

    def _exact_network(self) -> SegmentationNetwork:
        if self._exact is None:
            raise unloaded()
        if self._exact_is_here:
            return self._exact
        _log.warning("float16 did not hold an answer of the network, which is computed in float32 then.")
        self._exact, self._exact_is_here = self._prepare(self._exact, "float32"), True
        return self._exact

    @torch.inference_mode()
    def _compute(
        self,
        network: Callable[[Tensor], Tensor],
        shape: tuple[int, ...],
        host: Mapping[int, Tensor],
        raw: Mapping[int, WindowSource],
        answer: Tensor,
        finite: Tensor | None,
        lent: ExitStack,
    ) -> Mark:
        """Launch all that a batch needs; return when its answer, and whether it is finite, will have come down."""
        transfers, name = self._card.transfers, str(self._card.device)
        uploads = {index: self._images.upload(window.raw) for index, window in raw.items() if window.raw is not None}
        lent.callback(uploads.clear)  # as nobody else may hold them until the batch is at rest
        with transfers.uploading():
            batch = lent.enter_context(self.pools.input.lease(shape, device=name, channels_last=True))
            for index, pixels in host.items():
                transfers.copy(pixels, batch[index])
            arrived = transfers.mark()
        with transfers.computing():
            transfers.follow(arrived)
            for index, window in raw.items():
                image, there = uploads[index]
                transfers.follow(there)
                image.window(window.rows, window.columns, batch[index])
            logits = network(batch)
            probabilities = lent.enter_context(self.pools.output.lease(tuple(answer.shape), device=name))
            to_probabilities(logits, self._heads, probabilities)
            is_finite = None
            if finite is not None:
                is_finite = lent.enter_context(self.pools.output.lease((1,), torch.bool, device=name))
                is_finite.copy_(logits.isfinite().all())
            computed = transfers.mark()
        with transfers.downloading():
            transfers.follow(computed)
            transfers.copy(probabilities, answer)
            if finite is not None and is_finite is not None:
                transfers.copy(is_finite, finite)
            return transfers.mark()

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
        """Free what is kept for the next run, the card's memory and pinned memory too; the network stays."""
        self._images.let_go()
        self.pools.release()
        return_freed_memory()
        if self._card.device.type == "cuda":
            with torch.cuda.device(self._card.device):
                torch.cuda.empty_cache()
            # The host's pinned memory, which PyTorch keeps otherwise until the process ends; not every version can.
            getattr(torch.accelerator, "empty_host_cache", lambda: None)()
        elif self._card.device.type == "mps":
            torch.mps.empty_cache()

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        self._network = self._exact = None
        if self._compiled is not None:
            self._compiled.close()
            self._compiled = None
            gc.collect()  # what was traced to be compiled holds the weights in circles
        self.release_memory()


def _rounds_to_tf32(device: torch.device) -> bool:
    """Whether convolutions on a card round their inputs to ten bits, as PyTorch lets Ampere and later do."""
    if device.type != "cuda":
        return False
    try:
        allowed = torch.backends.cudnn.allow_tf32
    except RuntimeError:  # where somebody has decided for convolutions alone
        allowed = torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
    return allowed and torch.cuda.get_device_capability(device) >= (8, 0)


def _total_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)
