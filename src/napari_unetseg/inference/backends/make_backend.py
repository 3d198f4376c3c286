"""Puts a network behind the runtime that was chosen for it."""

from collections.abc import Sequence

import torch

from napari_unetseg.cores import usable_cores
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.gpu.gpu_backend import GpuBackend
from napari_unetseg.inference.backends.malloc import keep_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.selection import ExecutionPlan
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.backends.torchscript_backend import TorchScriptBackend
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.foreign import OnnxGraph, TorchScriptProgram
from napari_unetseg.zoo.card import Head, ModelCard


def keep_to_cores() -> None:
    """Let PyTorch compute in no more threads than there are cores for this process now; the other runtimes follow it.

    By itself it counts those that there were when it was imported, and knows nothing of a container's share.
    """
    if torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())


def make_backend(
    plan: ExecutionPlan,
    network: SegmentationNetwork,
    card: ModelCard,
    device: Device,
    pools: BufferPools | None = None,
    *,
    keeps_memory: bool = False,
    compiles: bool = True,
) -> Backend:
    """Put a network behind the runtime of that plan, in its precision; it takes the network over.

    Parameters
    ----------
    plan, device
        How and where the network is computed.
    network
        In evaluation mode, float32.
    card
        Its model's.
    pools
        Buffers that runs use again; None for pools of the backend's own.
    keeps_memory
        The setting `unet.memory.keep_freed_memory`: where PyTorch computes on the CPU, this process keeps freed memory.

    compiles
        The setting `unet.model.compile`: on a graphics card, PyTorch may compile the network.

    Raises
    ------
    UnetsegError
        If the runtime is not installed, or the network cannot be brought into its form.
    """
    keep_to_cores()
    if isinstance(network, TorchScriptProgram):
        return TorchScriptBackend(network, card.outputs, device, pools)
    if plan.backend == "torch":
        if keeps_memory and device.kind == "cpu":
            keep_freed_memory()
        return torch_backend(network, card.outputs, device, pools, precision=plan.precision, compiles=compiles)
    if plan.backend == "openvino":
        return _openvino_backend(plan, network, card, device, pools)
    return _onnx_backend(network, card, device, pools)


def _onnx_backend(network: SegmentationNetwork, card: ModelCard, device: Device, pools: BufferPools | None) -> Backend:
    from napari_unetseg.inference.backends.onnx_backend import OnnxBackend
    from napari_unetseg.inference.backends.onnx_export import cached_onnx

    file = None if isinstance(network, OnnxGraph) else cached_onnx(network, card)
    return OnnxBackend(file, network, card.outputs, device, pools)


def torch_backend(
    network: SegmentationNetwork,
    heads: Sequence[Head],
    device: Device,
    pools: BufferPools | None = None,
    *,
    precision: str = "float32",
    compiles: bool = True,
) -> TorchBackend | GpuBackend:
    """Let PyTorch compute a network on a device; see `TorchBackend` and `GpuBackend`."""
    if device.kind == "cpu":
        return TorchBackend(network, heads, device, pools, precision=precision)
    return GpuBackend(network, heads, device, pools, precision=precision, compiles=compiles)


def _openvino_backend(
    plan: ExecutionPlan, network: SegmentationNetwork, card: ModelCard, device: Device, pools: BufferPools | None
) -> Backend:
    from napari_unetseg.inference.backends.openvino.int8_store import quantised_model
    from napari_unetseg.inference.backends.openvino.network_conversion import cached_model
    from napari_unetseg.inference.backends.openvino.openvino_backend import OpenVinoBackend
    from napari_unetseg.inference.backends.openvino.probe import check_openvino

    check_openvino()
    file = quantised_model(card) if plan.precision == "int8" else cached_model(network, card)
    return OpenVinoBackend(file, network, card.outputs, device, pools, plan.precision)
