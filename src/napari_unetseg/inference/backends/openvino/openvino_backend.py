"""OpenVINO as the runtime, on the CPU."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import ModelError, is_out_of_memory
from napari_unetseg.inference.backends import cancelled_error, unloaded
from napari_unetseg.inference.backends.activation import to_probabilities
from napari_unetseg.inference.backends.array_backend import ArrayBackend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.openvino.library import load_openvino, openvino_core
from napari_unetseg.inference.backends.openvino.network_conversion import read
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.processor import computes_bfloat16
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest, Model

_POLL_MS = 20


class OpenVinoBackend(ArrayBackend):
    """A network in OpenVINO's form, run by OpenVINO on the processor.

    It is compiled once for windows of every size: a size that is new to it costs little, and the time of a run is the
    same as if it had been compiled for that size alone.

    Parameters
    ----------
    file
        What `cached_model` or the quantisation made of `network`.
    network
        Taken over: its weights are let go, and it only answers what sizes it accepts.
    heads
        One an output channel, with the activation that the network already applies.
    device
        The one that was asked for. On another than the CPU, `device` of the backend says that it is not used.
    pools
        Buffers that runs use again; None for pools of its own with the default limits.
    precision
        One of `PRECISIONS`. ``"int8"`` says that the file is quantised; the layers that are not run in bfloat16 where
        the processor has instructions for it.

    Raises
    ------
    UnetsegError
        If OpenVINO is not installed.
    ModelError
        If it cannot use the file.
    """

    def __init__(
        self,
        file: Path,
        network: SegmentationNetwork,
        heads: Sequence[Head],
        device: Device,
        pools: BufferPools | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(network, heads, _device_in_use(device), pools, precision)
        self._lock = Lock()
        self._model: Model | None = read(file)
        self._compiled: CompiledModel | None = None
        self._loaded()

    def _compute(self, batch: NDArray[np.float32], cancel: CancelFlag | None, out: Tensor) -> None:
        # Requests read this memory as it is, and do not keep it alive.
        pixels = np.ascontiguousarray(batch)
        while True:
            compiled = self._loaded()
            # A request of its own for each call, so that threads do not meet.
            request = compiled.create_infer_request()
            request.set_input_tensor(load_openvino().Tensor(pixels, shared_memory=True))
            self._finish(request, compiled, cancel)
            # One that another call has spoilt meanwhile may have answered wrongly.
            if compiled is self._compiled or self._model is None:
                break
        to_probabilities(torch.from_numpy(request.get_output_tensor().data), self._heads, out)

    def _loaded(self) -> "CompiledModel":
        """Return the compiled network; it is compiled if it is new or was spoilt."""
        with self._lock:
            if self._model is None:
                raise unloaded()
            if self._compiled is None:
                self._compiled = _compile(self._model, self.precision)
            return self._compiled

    def _finish(self, request: "InferRequest", compiled: "CompiledModel", cancel: CancelFlag | None) -> None:
        if cancel is not None and cancel():
            raise cancelled_error()
        try:
            request.start_async()
            while not request.wait_for(_POLL_MS):
                if cancel is not None and cancel():
                    self._spoil(compiled)
                    _stop(request)
                    raise cancelled_error()
            request.wait()
        except RuntimeError as error:
            if is_out_of_memory(error) or "alloc" in str(error):
                raise MemoryError(str(error)) from error
            raise

    def _spoil(self, compiled: "CompiledModel") -> None:
        """Use this one no more: when stopped half-way, it keeps sizes of that run for the next ones."""
        with self._lock:
            if self._compiled is compiled:
                self._compiled = None

    def release_memory(self) -> None:
        """Free what is kept for the next run; the network stays."""
        super().release_memory()
        compiled = self._compiled
        if compiled is not None:
            compiled.release_memory()

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; `run` raises afterwards."""
        with self._lock:
            self._model = self._compiled = None
        self.release_memory()


def _compile(model: "Model", precision: str) -> "CompiledModel":
    in_bfloat16 = precision == "bfloat16" or (precision == "int8" and computes_bfloat16())
    # Without the hint OpenVINO would choose bfloat16 by itself. Its threads are as many as PyTorch's here.
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if in_bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        return openvino_core().compile_model(model, "CPU", config)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            Sentence("OpenVINO cannot compile this network ({reason}). Use the backend torch.", reason=error)
        ) from error


def _stop(request: "InferRequest") -> None:
    """Stop a request, and wait until it has: it reads memory of the caller's."""
    request.cancel()
    try:
        request.wait()
    except RuntimeError:
        # That it was cancelled; or it was just finished, and there is no error.
        return


def _device_in_use(requested: Device) -> Device:
    if requested.kind == "cpu":
        return requested
    fault = f"OpenVINO runs on the processor here, not on the {requested.kind.upper()} device."
    return Device("cpu", fault, warning=f"{fault} Choose the backend torch to use the device.")
