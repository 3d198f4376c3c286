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
from napari_unetseg.errors import ModelError, UnetsegError, is_out_of_memory
from napari_unetseg.inference.backends import cancelled_error, unloaded
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.array_backend import ArrayBackend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MISSING_EXTRA = 'ONNX is not installed here. Install it: pip install "napari-unetseg[onnx]".'

_POLL_SECONDS = 0.05
_FATAL = 4  # ONNX Runtime writes to stderr what is as grave as this, and raises the rest


class OnnxBackend(ArrayBackend):
    """A network in an ONNX file, run by ONNX Runtime.

    Parameters
    ----------
    file
        What `export_onnx` made of `network`.
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
        file: Path,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
    ) -> None:
        super().__init__(network, heads, device, pools)
        self._session: InferenceSession | None = open_session(file, cuda=device.kind == "cuda")
        self.device = _device_in_use(self._session, device)

    def _compute(self, batch: NDArray[np.float32], cancel: CancelFlag | None, out: Tensor) -> None:
        if self._session is None:
            raise unloaded()
        output = run_session(self._session, batch, cancel)
        to_probabilities(torch.from_numpy(output), self._heads, out)

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        self._session = None
        self.release_memory()


def open_session(file: Path, *, cuda: bool = False) -> "InferenceSession":
    """Load an ONNX file.

    Raises
    ------
    UnetsegError
        If ONNX Runtime is not installed.
    ModelError
        If it cannot read the file; the message names it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnetsegError(MISSING_EXTRA) from error
    providers: list[Any] = ["CPUExecutionProvider"]
    if cuda and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    # By itself it starts a thread for each core of the machine, and ties it to that. As many as PyTorch's here.
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as error:  # its errors share no other class
        if is_out_of_memory(error):
            raise
        raise ModelError(
            Sentence(
                "{file}: ONNX Runtime cannot read it ({reason}). Delete it and export it again.",
                file=file,
                reason=error,
            )
        ) from error


def run_session(
    session: "InferenceSession", batch: NDArray[np.float32], cancel: CancelFlag | None = None
) -> NDArray[np.float32]:
    """Map (N, C, H, W) to the network's own output.

    Raises
    ------
    Cancelled
        If `cancel` was seen to be True.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL
    # Windows differ in size from image to image, and the arena would keep the largest for good.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    feed = {session.get_inputs()[0].name: batch}
    if cancel is None:
        return _only(session.run(None, feed, options))
    if cancel():
        raise cancelled_error()
    # The runtime computes in a thread beside this one, so that the flag is polled from its own.
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(session.run, None, feed, options)
        while wait([running], _POLL_SECONDS).not_done:
            if cancel():
                options.terminate = True
                raise cancelled_error()
        return _only(running.result())


def _only(outputs: Sequence[Any]) -> NDArray[np.float32]:
    output: NDArray[np.float32] = outputs[0]
    return output


def _device_in_use(session: "InferenceSession", requested: Device) -> Device:
    if requested.kind == "cpu" or (requested.kind == "cuda" and "CUDAExecutionProvider" in session.get_providers()):
        return requested
    fault = f"ONNX Runtime as it is installed here cannot use the {requested.kind.upper()} device."
    return Device("cpu", fault, warning=f"{fault} The network runs on the CPU instead, which is slower.")
