"""Layers of a network replaced by faster ones that compute the same."""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


def regroup_instance_norm(network: nn.Module) -> None:
    """Replace each InstanceNorm by a GroupNorm of one channel a group, in place.

    It is the same function, but keeps maps whose channels lie side by side as they are, where InstanceNorm copies
    them there and back.
    """
    for block in list(network.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats:
                setattr(block, name, _grouped(layer))


def _grouped(layer: nn.InstanceNorm2d) -> nn.GroupNorm:
    channels = layer.num_features
    norm = nn.GroupNorm(channels, channels, eps=layer.eps, affine=layer.affine)
    if layer.affine:
        norm.weight, norm.bias = layer.weight, layer.bias
    return norm.train(layer.training)
