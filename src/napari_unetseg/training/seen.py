"""What a network of any kind is shown, and what it answers, while it learns."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.training.loop import mixed_precision
from napari_unetseg.zoo.card import Linear, MeanStd, ModelCard, ZScore

_NEARLY_CERTAIN = 1e-4
"""A network that answers with probabilities is never surer than by this."""

_WHITE = 255.0
"""What is bright where values are seen as they are stored."""

_DEVIATIONS = (1 / 3,), (1 / 6,)
"""Where images are seen in deviations from their mean: dark is 2 below it, bright 4 above, as of few bright objects."""


def in_unit_range(pixels: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
    """Return normalised pixels (C, Y, X) as augmentation expects them, dark 0 and bright 1."""
    mean_and_std = _mean_and_std(card)
    if mean_and_std is None:
        return pixels
    mean, std = (np.array(values, np.float32)[:, None, None] for values in mean_and_std)
    unit: NDArray[np.float32] = pixels * std + mean
    return unit


def for_network(pixels: Tensor, card: ModelCard) -> Tensor:
    """Return pixels ((N,) C, Y, X) that `in_unit_range` or augmentation gave as the network takes them."""
    channels = card.input_channels
    planes = pixels[..., :channels, :, :]
    if planes.shape[-3] != channels:
        planes = planes.expand(*planes.shape[:-3], channels, *planes.shape[-2:])
    mean_and_std = _mean_and_std(card)
    if mean_and_std is not None:
        mean, std = (planes.new_tensor(values)[:, None, None] for values in mean_and_std)
        planes = (planes - mean) / std
    if not isinstance(card.normalisation, MeanStd) and card.normalisation.clip is not None:
        planes = planes.clamp(*card.normalisation.clip)
    return planes


def _mean_and_std(card: ModelCard) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return what is taken off and divided by once intensities lie within about 0 to 1; None where nothing is."""
    if isinstance(card.normalisation, MeanStd):
        return card.normalisation.mean, card.normalisation.std
    if isinstance(card.normalisation, Linear):
        white = [_WHITE * gain for gain in card.normalisation.gain]
        mean = tuple(-offset / scale for offset, scale in zip(card.normalisation.offset, white, strict=True))
        return mean, tuple(1 / scale for scale in white)
    return _DEVIATIONS if isinstance(card.normalisation, ZScore) else None


def logits(network: SegmentationNetwork, pixels: Tensor, card: ModelCard, device: torch.device) -> Tensor:
    """Return what a network answers to a batch, float32 (N, heads, Y, X), before any sigmoid."""
    height, width = pixels.shape[-2:]
    rows, columns = network.accepted_size(height, width)
    whole = functional.pad(pixels, (0, columns - width, 0, rows - height), mode="replicate")
    with mixed_precision(device):
        computed = network(whole.to(device, memory_format=torch.channels_last))
    output: Tensor = computed.float()[..., :height, :width]
    ready = [number for number, head in enumerate(card.outputs) if head.activation == "sigmoid"]
    if not ready:
        return output
    planes = [plane.logit(_NEARLY_CERTAIN) if n in ready else plane for n, plane in enumerate(output.unbind(1))]
    return torch.stack(planes, 1)


@torch.no_grad()
def answer(network: SegmentationNetwork, pixels: Tensor, card: ModelCard, device: torch.device) -> Tensor:
    """Return the probabilities that a network answers to a batch, float32 (N, heads, Y, X)."""
    probabilities: Tensor = logits(network, pixels, card, device).sigmoid()
    return probabilities


def answer_maps(
    network: SegmentationNetwork, pixels: Tensor, card: ModelCard, device: torch.device
) -> NDArray[np.float32]:
    """Return the probabilities of one image (C, Y, X) as segmentation has them: if need be by a second run.

    Returns
    -------
    ndarray
        float32 (heads, Y, X).
    """
    maps: NDArray[np.float32] = answer(network, pixels[None], card, device)[0].cpu().numpy()
    diameter = diameter_to_rescale_by(maps, card)
    if diameter is None or card.object_size is None:
        return maps
    shape, factor = pixels.shape[-2:], card.object_size / diameter
    size = [max(1, round(side * factor)) for side in shape]
    rescaled = functional.interpolate(pixels[None], size, mode="bilinear", antialias=True)
    back: NDArray[np.float32] = (
        functional.interpolate(answer(network, rescaled, card, device), shape, mode="bilinear")[0].cpu().numpy()
    )
    return back
