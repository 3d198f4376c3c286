"""ONNX Runtime as the runtime, on the CPU, or on CUDA where its package for it is installed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.inference.backends import cancelled_error, unloaded
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.array_backend import ArrayBackend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.foreign import OnnxGraph
from napari_unetseg.networks.onnx_session import FATAL, open_session
from napari_unetseg.zoo.card import Head

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_POLL_SECONDS = 0.05


class OnnxBackend(ArrayBackend):
    """A network in an ONNX file, run by ONNX Runtime.

    Parameters
    ----------
    file
        What `export_onnx` made of `network`; None where that is an `OnnxGraph`.
    network
        Taken over: its weights are let go, and it only answers what sizes it accepts.
    heads
        One an output channel, with the activation that the network already applies.
    device
        Where to run. Where ONNX Runtime cannot use it, the CPU steps in, and `device` of the backend
        says so.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.

    Raises
    ------
    UnetsegError
        If ONNX Runtime is not installed.
    ModelError
        If it cannot read the file.
    """

    def __init__(
        self,
        file: Path | None,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
    ) -> None:
        super().__init__(network, heads, device, pools)
        self._graph = network if isinstance(network, OnnxGraph) else None
        cuda = device.kind == "cuda"
        self._session: InferenceSession | None = None
        if self._graph is not None:
            self._session = self._graph.open(cuda=cuda)
            self._graph.let_go()
        elif file is not None:
            self._session = open_session(file, cuda=cuda)
        self.device = _device_in_use(self._session, device)

    def _compute(self, batch: NDArray[np.float32], cancel: CancelFlag | None, out: Tensor) -> None:
        if self._session is None:
            raise unloaded()
        if self._graph is None:
            to_probabilities(torch.from_numpy(run_session(self._session, batch, cancel)), self._heads, out)
        else:
            self._compute_graph(self._graph, self._session, torch.from_numpy(batch), cancel, out)

    def _compute_graph(
        self, graph: OnnxGraph, session: "InferenceSession", batch: Tensor, cancel: CancelFlag | None, out: Tensor
    ) -> None:
        parts = graph.parts(batch)
        for part, place in zip(parts, torch.split(out, len(parts[0])), strict=True):
            try:
                output = torch.from_numpy(_run(session, *graph.feed(session, graph.shown(part)), cancel))
            except Cancelled:
                raise
            except Exception as error:  # its errors share no other class
                graph.raise_failure(error, part)
            to_probabilities(graph.picked(output, part), self._heads, place)
        out.clamp_(0, 1)  # which an answer that is called a probability may miss

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        self._session = None
        self.release_memory()


def run_session(
    session: "InferenceSession", batch: NDArray[np.float32], cancel: CancelFlag | None = None
) -> NDArray[np.float32]:
    """Map (N, C, H, W) to the network's own output.

    Raises
    ------
    Cancelled
        If `cancel` was seen to be True.
    """
    return _run(session, None, {session.get_inputs()[0].name: batch}, cancel)


def _run(
    session: "InferenceSession", wanted: list[str] | None, feed: dict[str, Any], cancel: CancelFlag | None
) -> NDArray[np.float32]:
    """Return the first of the wanted answers to what a network is fed; None: of all."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = FATAL
    # Windows differ in size from image to image, and the arena would keep the largest for good.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    if cancel is None:
        return _first(session.run(wanted, feed, options))
    if cancel():
        raise cancelled_error()
    # The runtime computes in a thread beside this one, so that the flag is polled from its own.
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(session.run, wanted, feed, options)
        while wait([running], _POLL_SECONDS).not_done:
            if cancel():
                options.terminate = True
                raise cancelled_error()
        return _first(running.result())


def _first(outputs: Sequence[Any]) -> NDArray[np.float32]:
    output: NDArray[np.float32] = outputs[0]
    return output


def _device_in_use(session: "InferenceSession | None", requested: Device) -> Device:
    providers = session.get_providers() if session is not None else ()
    if requested.kind == "cpu" or (requested.kind == "cuda" and "CUDAExecutionProvider" in providers):
        return requested
    fault = f"ONNX Runtime as it is installed here cannot use the {requested.kind.upper()} device."
    return Device("cpu", fault, warning=f"{fault} The network runs on the CPU instead, which is slower.")
