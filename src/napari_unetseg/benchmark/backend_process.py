"""A process of its own that runs a model in one configuration on the CPU, a few times, and times each run.

What one configuration changes in its process, such as how memory is allocated, must not touch another; and a runtime
that crashes must not take the comparison with it. See `napari_unetseg.benchmark.backend_comparison`, which starts it.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError, one_line

if TYPE_CHECKING:
    from napari_unetseg.inference.backends.selection import ExecutionPlan
    from napari_unetseg.zoo.registry import ModelPackage

PLAIN = "plain"
"""PyTorch's own forward, as it would be without this package."""
PLAIN_ALLOCATOR = "plain-allocator"
"""The same, in a process that keeps the memory of large tensors."""

KEEP, RETURN = "keep", "return"
"""What the process is to do with freed memory."""

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From (1, C, H, W) to probabilities (1, heads, H, W)."""


def probe(
    model: str, configuration: str, image: str, side: int, runs: int, mask: str, *, keeps_memory: bool = True
) -> dict[str, Any]:
    """Run a window of an image once to warm up, then several times.

    Parameters
    ----------
    model
        Where `find_model` finds the model.
    configuration
        `PLAIN`, `PLAIN_ALLOCATOR`, or a backend and a precision with a colon between them.
    image
        A file that `read_image` reads.
    side
        Of the window, in pixels.
    runs
        How many are timed.
    mask
        Where the foreground is written, bool (side, side), as ``.npy``.
    keeps_memory
        The setting `unet.memory.keep_freed_memory`; the plain configurations are what they are.

    Returns
    -------
    dict
        ``seconds``, one a run; or ``impossible``, a sentence that says why this configuration is not possible here.
    """
    from napari_unetseg.zoo.registry import find_model

    package = find_model(Path(model))
    try:
        forward, accepted = _prepare(package, configuration, keeps_memory=keeps_memory)
    except UnetsegError as error:
        return {"impossible": one_line(error)}
    batch = _window(image, package, side, accepted)
    probabilities = forward(batch)
    foreground = probabilities[0, package.card.heads.index("foreground"), :side, :side]
    np.save(mask, foreground >= package.card.parameters.threshold)
    seconds = []
    for _ in range(runs):
        clock = time.perf_counter()
        forward(batch)
        seconds.append(time.perf_counter() - clock)
    return {"seconds": seconds}


def _prepare(
    package: "ModelPackage", configuration: str, *, keeps_memory: bool
) -> tuple[Forward, Callable[[int, int], tuple[int, int]]]:
    """Load a model; return what runs it, and what says to which size a window is padded."""
    from napari_unetseg.zoo.network_loading import load_network

    network = load_network(package)
    if configuration in (PLAIN, PLAIN_ALLOCATOR):
        if configuration == PLAIN_ALLOCATOR:
            _keep_memory()
        return _plain(network, package), network.accepted_size
    from napari_unetseg.inference.backends.device import Device
    from napari_unetseg.inference.backends.make_backend import make_backend

    cpu = Device("cpu", "It is measured.")
    backend = make_backend(_possible(configuration, package), network, package.card, cpu, keeps_memory=keeps_memory)
    return backend.run, backend.accepted_size


def _plain(network: Any, package: "ModelPackage") -> Forward:
    import torch

    from napari_unetseg.inference.backends.activation import to_probabilities

    network.eval()

    def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.empty((len(batch), len(package.card.outputs), *batch.shape[2:]), np.float32)
        with torch.inference_mode():
            to_probabilities(network(torch.from_numpy(batch)), package.card.outputs, torch.from_numpy(result))
        return result

    return forward


def _keep_memory() -> None:
    from napari_unetseg.inference.backends.malloc import keep_freed_memory

    if not keep_freed_memory():
        raise UnetsegError("only glibc, the C library of most Linux systems, can be asked to keep freed memory.")


def _possible(configuration: str, package: "ModelPackage") -> "ExecutionPlan":
    """Return the configuration as a plan, if this machine can compute it.

    Raises
    ------
    UnetsegError
        Where the precision would be replaced by another one; the message is the reason.
    """
    from napari_unetseg.inference.backends.selection import BackendRequest, plan_execution

    backend, precision = configuration.split(":")
    chosen = plan_execution(BackendRequest(backend, precision), package.card, "cpu")
    if (chosen.backend, chosen.precision) != (backend, precision):
        raise UnetsegError(chosen.reason)
    return chosen


def _window(
    file: str, package: "ModelPackage", side: int, accepted: Callable[[int, int], tuple[int, int]]
) -> NDArray[np.float32]:
    """Cut a window out of an image, which is mirrored where it is smaller; float32 (1, C, H, W)."""
    from napari_unetseg.inference.normalisation import normalise
    from napari_unetseg.inference.tiling.exact import mirrored
    from napari_unetseg.io import read_image

    card = package.card
    pixels = normalise(read_image(file), card.normalisation, card.input_channels)
    rows, columns = (
        mirrored(length, max(length, side))[:side][mirrored(side, padded)]
        for length, padded in zip(pixels.planes.shape[1:], accepted(side, side), strict=True)
    )
    return np.ascontiguousarray(pixels.read(rows, columns)[np.newaxis])


if __name__ == "__main__":
    _model, _configuration, _image, _side, _runs, _mask, _freed = sys.argv[1:]
    _result = probe(_model, _configuration, _image, int(_side), int(_runs), _mask, keeps_memory=_freed == KEEP)
    sys.stdout.write(json.dumps(_result) + "\n")
