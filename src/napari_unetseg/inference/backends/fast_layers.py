"""Layers of a network replaced by faster ones that compute the same."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIP_PIXELS = 4096
"""Pixels summed up in one go, at most. PyTorch adds the pixels of such maps one after another in float32, so that the
rounding errors of a whole map of 512 x 512 reach 1e-4 of its deviation; those of a strip stay at 1e-6."""
MIN_STRIPS = 16
"""Strips that smaller maps are cut into, if they have the rows: their errors mostly cancel."""


class StripInstanceNorm(nn.Module):
    """Normalise each channel of each image to mean 0 and deviation 1, in channels_last order.

    ``nn.InstanceNorm2d`` copies such maps to planes and back, which takes ten times as long as the sums, and
    ``nn.GroupNorm`` subtracts the square of the mean from the mean of the squares: where the mean is 30 deviations,
    it is off by 0.03 of a deviation. Here mean and variance of strips of rows, in two passes each, are joined in
    float64 (Chan, Golub & LeVeque, Am. Stat. 37, 242, 1983).

    Parameters
    ----------
    layer
        What is replaced; its weight, bias and eps are used.
    rectifies
        Whether it also does what a ReLU after it would do, while a strip is in the processor's cache.
    """

    def __init__(self, layer: nn.InstanceNorm2d, *, rectifies: bool = False) -> None:
        super().__init__()
        self.rectifies = rectifies
        self.eps = layer.eps
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps (N, C, H, W) of any floating type; the statistics are float32 or better."""
        images = [self._normalised(image) for image in torch.split(x, 1)]
        return images[0] if len(images) == 1 else torch.cat(images)

    def _normalised(self, image: Tensor) -> Tensor:
        mean, variance = map_statistics(image)
        # Rounded maps are normalised by float32 weights.
        weight, bias = (None if values is None else values.to(mean.dtype) for values in (self.weight, self.bias))
        if not self.rectifies:
            return functional.batch_norm(image, mean, variance, weight, bias, eps=self.eps)
        result = torch.empty_like(image)
        for strip, place in zip(_strips(image), _strips(result), strict=True):
            torch.clamp_min(functional.batch_norm(strip, mean, variance, weight, bias, eps=self.eps), 0, out=place)
        return result


def map_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (biased) of each channel of an image (1, C, H, W), float32 (C,); float64 of float64 maps."""
    strips = _strips(image)
    dtype = torch.promote_types(image.dtype, torch.float32)
    found = [torch.batch_norm_update_stats(strip, *_room(strip.shape[1], dtype), momentum=1.0) for strip in strips]
    pixels = torch.tensor([strip.shape[2] * strip.shape[3] for strip in strips], dtype=torch.float64)[:, None]
    shares = pixels / pixels.sum()
    means = torch.stack([mean for mean, _ in found]).double()
    variances = torch.stack([variance for _, variance in found]).double()
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean) ** 2)).sum(0)
    return mean.to(dtype), variance.to(dtype)


def _strips(image: Tensor) -> tuple[Tensor, ...]:
    height, width = image.shape[2:]
    rows = min(STRIP_PIXELS // width, height // MIN_STRIPS)
    return torch.split(image, max(1, rows), dim=2)


def _room(channels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.zeros(channels, dtype=dtype), torch.zeros(channels, dtype=dtype)


class PairwiseMaximum(nn.Module):
    """The maximum of each 2x2 pixels, for maps whose channels lie side by side.

    PyTorch's own layer notes where each maximum was, in eight bytes.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H // 2, W // 2)."""
        height, width = (side // 2 * 2 for side in x.shape[-2:])
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


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
    """Replace each InstanceNorm by one for maps whose channels lie side by side, in place.

    It does the work of a ReLU, too, that follows it in a Sequential.
    """
    for block in list(network.modules()):
        children = list(block.named_children())
        for (name, layer), (following, activation) in pairwise([*children, ("", nn.Identity())]):
            if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats:
                rectifies = isinstance(block, nn.Sequential) and isinstance(activation, nn.ReLU)
                setattr(block, name, StripInstanceNorm(layer, rectifies=rectifies))
                if rectifies:
                    setattr(block, following, nn.Identity())


def replace_pooling(network: nn.Module) -> None:
    """Replace each 2x2 maximum by one that looks for nothing else, in place."""
    for block in list(network.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == layer.stride == 2 and layer.padding == 0:
                setattr(block, name, PairwiseMaximum())


def round_maps(network: nn.Module, dtype: torch.dtype) -> None:
    """Round weights and maps to bfloat16 or float16, in place, but for the two ends.

    The first convolution reads the image in float32: bfloat16 has eight significant bits, and rounding the image makes
    up half of the error and more, while a layer of so few channels takes no time worth saving. What comes out of the
    last convolution becomes float32, for what the network or the engine does with it: sigmoids and resizing.
    BatchNorm must have been folded before, so that it is the product that is rounded.
    """
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    first, last = names[0], names[-1]
    reader = network.get_submodule(first)
    network.set_submodule(first, nn.Identity())
    network.to(dtype)
    network.set_submodule(first, CastLayer(reader, dtype))
    network.set_submodule(last, CastLayer(network.get_submodule(last), torch.float32))


class CastLayer(nn.Module):
    """A layer, and another type for what comes out of it."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map whatever the layer maps."""
        y: Tensor = self.layer(x)
        return y.to(self.dtype)
