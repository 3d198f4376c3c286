"""A model on a device, ready to be measured, and one timed run of it. Imports torch."""

import time
from dataclasses import dataclass

import numpy as np

from napari_unetseg.errors import out_of_memory_says
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.backends.device import Device, choose_device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan, plan_execution
from napari_unetseg.inference.out_of_memory import no_memory_to_check, no_memory_to_load
from napari_unetseg.service.machine_profile import device_name
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage


@dataclass(frozen=True)
class BenchmarkedModel:
    """What is measured.

    Attributes
    ----------
    package
        The model.
    execution_plan, backend
        How it is computed, and what runs it so.
    device_name
        Name of the device it is on.
    keeps_memory
        Whether processes that compute it with PyTorch on the CPU keep the memory that they free.
    """

    package: ModelPackage
    execution_plan: ExecutionPlan
    backend: Backend
    device_name: str
    keeps_memory: bool


def load_benchmarked_model(
    package: ModelPackage,
    device: str,
    backend_request: BackendRequest,
    *,
    fallback_to_cpu: bool = True,
    keeps_memory: bool = True,
) -> BenchmarkedModel:
    """Load a model onto a device.

    Parameters
    ----------
    package
        The model.
    device, fallback_to_cpu
        See `choose_device`.
    backend_request
        How it is to be computed.
    keeps_memory
        The setting `unet.memory.keep_freed_memory`.

    Raises
    ------
    ModelError, DeviceError, OutOfMemory
        If the model or the device cannot be used.
    """
    chosen = choose_device(device, fallback_to_cpu=fallback_to_cpu)
    execution_plan = plan_execution(backend_request, package.card, chosen.kind)
    runner = load_backend(package, execution_plan, chosen, keeps_memory=keeps_memory)
    return BenchmarkedModel(package, execution_plan, runner, device_name(runner.device.torch_name), keeps_memory)


def load_backend(
    package: ModelPackage, execution_plan: ExecutionPlan, device: Device, *, keeps_memory: bool
) -> Backend:
    """Put the network of a package behind a runtime on that device, with memory kept as the service keeps it.

    Raises
    ------
    OutOfMemory
        If it does not fit there.
    """
    with out_of_memory_says(no_memory_to_load(package.name)):
        return make_backend(execution_plan, load_network(package), package.card, device, keeps_memory=keeps_memory)


def time_run(backend: Backend, shape: tuple[int, int, int, int]) -> float:
    """Run noise of that shape (N, C, H, W) through a network and return the seconds until its answer is here."""
    with backend.buffers(shape) as (batch, out):
        batch[:] = np.random.default_rng(0).random(shape, np.float32)
        clock = time.perf_counter()
        backend.run(batch, out=out)
        return time.perf_counter() - clock


def warm_up(backend: Backend, card: ModelCard) -> None:
    """Let the runtime do what it does only once.

    Raises
    ------
    OutOfMemory
        If there is not enough for that.
    """
    height, width = backend.accepted_size(*(card.image_size or (64, 64)))
    with out_of_memory_says(no_memory_to_check(backend.device.kind)):
        time_run(backend, (1, card.input_channels, height, width))
