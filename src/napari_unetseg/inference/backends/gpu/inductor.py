"""How Inductor, PyTorch's compiler, is asked to compile a network, and where that can be.

A network is traced to a graph, which has no more to it than what is computed. `torch.compile` would do that too, but
asks at every call whether its code still holds, compiles in the thread of that call where it does not, and keeps what
it compiled by the class of a network rather than by the network. `torch.export` turns oneDNN off in all threads while
it traces.
"""

import copy
import importlib.util
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from napari_unetseg.cores import usable_cores
from napari_unetseg.inference.backends.gpu.gpu_layers import FusedInstanceNorm
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork

Computation = Callable[[Tensor], Tensor]
"""Maps what a network maps, for the shape that it was compiled for."""

_MOST_WORKERS = 4  # each is a process with a PyTorch of its own

_OLDEST_CARDS = 7, 0  # of which Triton compiles for


def why_not_compiled(torch_name: str) -> Sentence | None:
    """Say why networks on a device are not compiled; None where they may be.

    Parameters
    ----------
    torch_name
        The device as PyTorch names it, such as ``"cuda:1"``.
    """
    if torch.device(torch_name).type != "cuda":
        return Sentence("That is done for NVIDIA GPUs alone.")
    if importlib.util.find_spec("triton") is None:
        return Sentence("Triton is not installed.")
    if torch.cuda.get_device_capability(torch_name) < _OLDEST_CARDS:
        return Sentence("This GPU is too old for it.")
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return Sentence("There is no C compiler (gcc or clang).")
    return None


def compile_network(network: SegmentationNetwork, example: Tensor) -> Computation:
    """Compile a network for inputs of one shape, type and layout; takes seconds to a minute.

    Other threads may compute the network meanwhile: it is traced as a copy that has its weights. What was compiled is
    kept in the user's cache folder, or where the user wants PyTorch to keep it, so that other processes find it.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    example
        Such an input.
    """
    _prepare_environment()
    import torch._inductor
    from torch.fx.experimental.proxy_tensor import make_fx

    traced = _with_same_weights(network)
    for layer in traced.modules():
        if isinstance(layer, FusedInstanceNorm):
            layer.to_be_compiled = True
    tensors = dict(chain(network.named_parameters(), network.named_buffers()))

    def compute(x: Tensor, *weights: Tensor) -> Tensor:
        logits: Tensor = functional_call(traced, dict(zip(tensors, weights, strict=True)), (x,))
        return logits

    weights = [tensor.detach() for tensor in tensors.values()]
    with torch.no_grad():
        graph = make_fx(compute, tracing_mode="fake")(example, *weights)
        compiled: Any = torch._inductor.compile(graph, [example, *weights])

    def run(x: Tensor) -> Tensor:
        found = compiled(x, *weights)
        logits: Tensor = found[0] if isinstance(found, (list, tuple)) else found
        return logits

    return run


def _prepare_environment() -> None:
    """Say where Inductor keeps what it compiled, and in how many processes it computes, unless that is said already."""
    from platformdirs import user_cache_path

    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(user_cache_path("napari-unetseg", appauthor=False) / "inductor")
    )
    # Read when Inductor is imported.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(min(_MOST_WORKERS, usable_cores())))


def _with_same_weights(network: SegmentationNetwork) -> SegmentationNetwork:
    """Return a copy that shares the weights and has no hooks: while it is traced, others stand in for its weights."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    for module in network.modules():
        memo[id(module._forward_pre_hooks)] = OrderedDict()
        memo[id(module._forward_hooks)] = OrderedDict()
    return copy.deepcopy(network, memo)
