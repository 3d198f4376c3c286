"""Layers of a network replaced by faster ones that compute the same."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unetseg.inference.backends.instance_norm import StripInstanceNorm


def fold_batch_norm(network: nn.Module) -> None:
    """Fold each BatchNorm that follows a convolution in a Sequential into its weights, in place.

    The network computes the same up to rounding, in one pass over memory less a layer.
    """
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for (_, layer), (name, following) in pairwise(list(block.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                fused = fuse_conv_bn_eval(layer, following)
                layer.weight, layer.bias = fused.weight, fused.bias
                setattr(block, name, nn.Identity())


def replace_instance_norm(network: nn.Module) -> None:
    """Replace each InstanceNorm by one for maps whose channels lie side by side, in place."""
    for block in list(network.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats:
                setattr(block, name, StripInstanceNorm(layer))


def round_to_bfloat16(network: nn.Module) -> None:
    """Round weights and maps to bfloat16, in place, but for the two ends.

    The first convolution reads the image in float32: bfloat16 has eight significant bits, and rounding the image makes
    up half of the error and more, while a layer of so few channels takes no time worth saving. What comes out of the
    last convolution becomes float32, for what the network or the engine does with it: sigmoids and resizing.
    BatchNorm must have been folded before, so that it is the product that is rounded.
    """
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    first, last = names[0], names[-1]
    reader = network.get_submodule(first)
    network.set_submodule(first, nn.Identity())
    network.bfloat16()
    network.set_submodule(first, _Cast(reader, torch.bfloat16))
    network.set_submodule(last, _Cast(network.get_submodule(last), torch.float32))


class _Cast(nn.Module):
    """A layer, and another type for what comes out of it."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y.to(self.dtype)
