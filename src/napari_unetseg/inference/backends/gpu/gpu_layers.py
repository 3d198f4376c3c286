"""Layers of a network replaced by what a GPU computes in fewer passes over memory."""

import logging
from contextlib import nullcontext
from threading import Lock

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unetseg.errors import is_out_of_memory

_log = logging.getLogger(__name__)

_TOLERANCE = 0.05  # of values around 1: bfloat16 has steps of 0.008 there
_trying = Lock()
_works: dict[tuple[torch.device, torch.dtype], bool] = {}


class FusedInstanceNorm(nn.Module):
    """InstanceNorm, and the ReLU after it, for maps in channels_last order.

    Where Triton works, its kernels compute it. To Inductor it is plain arithmetic, which keeps the order of the maps
    and is fused with what stands around it; a kernel would be a wall to it. Anywhere else it is PyTorch's own layer.

    Parameters
    ----------
    layer
        What is replaced; its weight, bias and eps are used.
    relu
        Whether a ReLU follows.
    in_place
        Whether the result may take the place of the map, which nothing else reads.

    Attributes
    ----------
    to_be_compiled
        Whether this is the copy that Inductor traces. PyTorch's own `torch.compiler.is_compiling` is true in all
        threads while one of them traces.
    """

    def __init__(self, layer: nn.InstanceNorm2d, *, relu: bool, in_place: bool) -> None:
        super().__init__()
        self.eps = layer.eps
        self.relu = relu
        self.in_place = in_place
        self.to_be_compiled = False
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps (N, C, H, W) of any floating type; the statistics are float32 or better."""
        if self.to_be_compiled:
            return self._for_inductor(x)
        if x.is_contiguous(memory_format=torch.channels_last) and kernels_work(x.device, x.dtype):
            return self._by_kernels(x)
        return self._by_layer(x)

    def _by_kernels(self, x: Tensor) -> Tensor:
        from napari_unetseg.inference.backends.gpu.instance_norm_kernel import normalise_maps

        out = x if self.in_place else torch.empty_like(x)
        # Triton launches on the device of the thread, not on that of the map.
        with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
            normalise_maps(x, self.weight, self.bias, self.eps, relu=self.relu, out=out)
        return out

    def _by_layer(self, x: Tensor) -> Tensor:
        normalised = functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return normalised.relu_() if self.relu else normalised

    def _for_inductor(self, x: Tensor) -> Tensor:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(values, dim=(2, 3), correction=0, keepdim=True)
        values = (values - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            values = values * self.weight[:, None, None]
        if self.bias is not None:
            values = values + self.bias[:, None, None]
        if self.relu:
            values = values.relu()
        return values.to(x.dtype)


def fuse_instance_norm(network: nn.Module) -> None:
    """Replace each InstanceNorm, with the ReLU after it, by one layer for channels_last maps, in place.

    For networks on a GPU, before or after they move there, in any precision; a hook on a replaced layer goes with it.
    """
    for block in list(network.modules()):
        children = list(block.named_children())
        for name, layer in children:
            if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats:
                before, after = _neighbours(block, name) if isinstance(block, nn.Sequential) else (None, None)
                relu = after is not None and isinstance(getattr(block, after), nn.ReLU)
                # What a convolution writes is read by the layer after it alone.
                in_place = before is not None and isinstance(getattr(block, before), nn.Conv2d)
                setattr(block, name, FusedInstanceNorm(layer, relu=relu, in_place=in_place))
                if relu and after is not None:
                    setattr(block, after, nn.Identity())


def _neighbours(block: nn.Sequential, name: str) -> tuple[str | None, str | None]:
    names = [None, *(child for child, _ in block.named_children()), None]
    place = names.index(name)
    return names[place - 1], names[place + 1]


def kernels_work(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether Triton's kernels compute what they should there; tried once in a process, and said in the log."""
    if device.type != "cuda":
        return False
    with _trying:
        if (device, dtype) not in _works:
            _works[device, dtype] = _try_kernels(device, dtype)
        return _works[device, dtype]


def _try_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    try:
        from napari_unetseg.inference.backends.gpu.instance_norm_kernel import DTYPES, normalise_maps

        if dtype not in DTYPES:
            return False
        # Several splits, sides that nothing divides, and else as in networks, for which the same code serves then.
        x = torch.linspace(-3e3, 3e3, 2 * 64 * 37 * 61, device=device).sin_().view(2, 37, 61, 64).permute(0, 3, 1, 2)
        x = (x + torch.arange(64, device=device)[:, None, None]).to(dtype)
        weight, bias = torch.ones(64, dtype=dtype, device=device), torch.zeros(64, dtype=dtype, device=device)
        out = torch.empty_like(x)
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            normalise_maps(x, weight, bias, 1e-5, relu=True, out=out)
        expected = functional.instance_norm(x.float()).relu_()
        off = float((out.float() - expected).abs().max())
    except Exception as error:
        if is_out_of_memory(error):
            raise
        _log.info("InstanceNorm is computed by PyTorch's own layers: Triton's kernels failed (%s).", _line(error))
        return False
    if not off <= _TOLERANCE:
        _log.warning("InstanceNorm is computed by PyTorch's own layers: Triton's kernels are off by %.2g.", off)
        return False
    return True


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
