"""How Inductor, PyTorch's compiler, is asked to compile a network, and where that can be.

A network is traced with `torch.export` and compiled as a graph. `torch.compile` would do it too, but asks at every call
whether its code still holds, compiles in the thread of that call where it does not, and keeps what it compiled by the
class of a network rather than by the network.
"""

import copy
import importlib.util
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor

from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork

Computation = Callable[[Tensor], Tensor]
"""Maps what a network maps, for the shape that it was compiled for."""

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_WORKERS = "TORCHINDUCTOR_COMPILE_THREADS"
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
    os.environ.setdefault(_CACHE, str(user_cache_path("napari-unetseg", appauthor=False) / "inductor"))
    # Read where Inductor is imported, which is here.
    os.environ.setdefault(_WORKERS, str(min(_MOST_WORKERS, os.cpu_count() or 1)))
    import torch._inductor

    with torch.no_grad():
        exported = torch.export.export(_with_same_weights(network), (example,), strict=False)
        compiled: Any = torch._inductor.compile(exported.module(), [example])

    def compute(x: Tensor) -> Tensor:
        found = compiled(x)
        logits: Tensor = found[0] if isinstance(found, (list, tuple)) else found
        return logits

    return compute


def _with_same_weights(network: SegmentationNetwork) -> SegmentationNetwork:
    """Return a copy that shares the weights and has no hooks: while it is traced, others stand in for its weights."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    for module in network.modules():
        memo[id(module._forward_pre_hooks)] = OrderedDict()
        memo[id(module._forward_hooks)] = OrderedDict()
    return copy.deepcopy(network, memo)
