"""Pictures of what a model knows, and its answers to them, which it is to keep while it learns something new.

Of the images that a model was trained on its package has none. Those drawn here stand for them: it has to go on
answering as it did (learning without forgetting, Li and Hoiem, ECCV 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg import samples
from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.augment import draw_crops
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.drawn_looks import draw_look
from napari_unetseg.training.scores import average_precision, dice_score, iou_matrix
from napari_unetseg.training.seen import answer, answer_maps, for_network, in_unit_range
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.zoo.card import ModelCard

PICTURES = (
    samples.nuclei_with_truth,
    samples.tissue_with_truth,
    samples.cells_with_truth,
    samples.spheroids_with_truth,
    samples.hand_with_truth,
)
"""Pictures of all that bundled models know."""

POOL = 48, 96
"""Crops of these pictures, and pictures of roundish objects of many looks, that stand for all that a model knows."""

EXAM, EXAM_SIDE, EXAM_SEED = (8, 24), 192, 99
"""Numbers and side of others by which it is seen whether a model still knows what it knew."""

KNOWN = 0.6
"""Dice from which a model knows what is in a picture."""

VARIED = Augmentation(
    scale=(0.6, 1.8),
    on_object=0.5,
    invert=0.15,
    grey=0.15,
    shuffle=0.1,
    tint=0.15,
    balance=0.15,
    gain=0.4,
    offset=0.1,
    gamma=0.8,
    elastic=2.0,
    shade=0.3,
    blur=1.2,
    noise=0.06,
)
"""How its crops vary: as widely as bundled models were trained."""


def known_pictures(network: SegmentationNetwork, card: ModelCard, device: torch.device) -> list[Sample]:
    """Return the drawn pictures that a model segments well; all of them if there are none."""
    scored = [(_sample(card, *picture()), picture) for picture in PICTURES]
    known = []
    for sample, _ in scored:
        maps = answer_maps(network, for_network(sample.pixels.float(), card), card, device)
        found = decode(maps, card.heads, card.parameters)
        if dice_score(found > 0, sample.labels > 0) >= KNOWN:
            known.append(sample)
    return known or [sample for sample, _ in scored]


def make_pool(
    network: SegmentationNetwork,
    card: ModelCard,
    pictures: Sequence[Sample],
    side: int,
    seed: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Draw crops of pictures that a network knows, and others that it may know, and let it answer.

    Returns
    -------
    pixels, answers
        float32 (N, 3, side, side), intensities as augmentation has them, and probabilities (N, heads, side, side).
    """
    crops = _draw(pictures, POOL, side, seed)
    answers = [answer(network, for_network(part, card), card, device).cpu() for part in torch.split(crops, 8)]
    return crops, torch.cat(answers)


def _draw(pictures: Sequence[Sample], counts: tuple[int, int], side: int, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    store = CropStore(pictures, torch.device("cpu"))
    crops, _ = draw_crops(store, np.arange(counts[0]) % len(pictures), side, VARIED, rng)
    return torch.cat([crops, *(torch.from_numpy(draw_look(rng, side))[None] for _ in range(counts[1]))])


@dataclass(frozen=True, eq=False)
class Exam:
    """Pictures that are not learnt from, and what the old network finds in them.

    Attributes
    ----------
    pixels
        float32 (N, C, side, side), as the network takes them.
    labels
        int32 (side, side) of each.
    """

    pixels: Tensor
    labels: Sequence[NDArray[np.int32]]


def make_exam(network: SegmentationNetwork, card: ModelCard, pictures: Sequence[Sample], device: torch.device) -> Exam:
    """Draw such pictures, too, and let a network find its objects; of those in which it finds any."""
    pixels = for_network(_draw(pictures, EXAM, EXAM_SIDE, EXAM_SEED), card)
    labels = _found(network, pixels, card, device)
    there = [place for place, found in enumerate(labels) if found.any()] or list(range(len(labels)))
    return Exam(pixels[there], [labels[place] for place in there])


def agreement(network: SegmentationNetwork, exam: Exam, card: ModelCard, device: torch.device) -> float:
    """Return how well what a network finds agrees with what the old one found: 0 to 1, AP@0.5 or Dice."""
    scores = []
    for now, before in zip(_found(network, exam.pixels, card, device), exam.labels, strict=True):
        if card.decoder == "threshold":
            scores.append(dice_score(now > 0, before > 0))
        else:
            scores.append(average_precision(iou_matrix(now, before)))
    return float(np.mean(scores))


def _found(
    network: SegmentationNetwork, pixels: Tensor, card: ModelCard, device: torch.device
) -> list[NDArray[np.int32]]:
    maps = torch.cat([answer(network, part, card, device).cpu() for part in torch.split(pixels, 8)]).numpy()
    return [decode(one, card.heads, card.parameters) for one in maps]


def _sample(card: ModelCard, image: Image, labels: np.ndarray) -> Sample:
    pixels = in_unit_range(normalise(image, card.normalisation, card.input_channels).array, card)
    areas = np.bincount(labels.ravel())[1:]
    return Sample(
        stem=image.name,
        kind=image.name,
        pixels=torch.from_numpy(pixels).half(),
        targets=torch.zeros((5, *labels.shape), dtype=torch.float16),
        labels=labels,
        diameters=np.sqrt(4 * areas[areas > 0] / np.pi),
    )
