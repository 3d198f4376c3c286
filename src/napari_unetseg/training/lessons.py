"""What is to be learnt from regions: crops at the size at which the model will see them, and scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.corrected_images import NOT_ANNOTATED
from napari_unetseg.training.corrected_regions import Region, typical_diameter_of, whole_objects
from napari_unetseg.training.dataset import Sample, object_diameters
from napari_unetseg.training.fine_tune import Lesson
from napari_unetseg.training.scores import average_precision, dice_score, iou_matrix
from napari_unetseg.training.seen import answer_maps, in_unit_range
from napari_unetseg.training.targets import training_targets
from napari_unetseg.zoo.card import ModelCard

FEW_OBJECTS = 5
"""Of fewer objects the foregrounds are compared: one more or less that is matched would decide all."""

CROP, LARGE_CROP = 192, 320
"""Sides of the crops in pixels, of usual objects and of those wider than half of it."""

SMALL_PERCENTILE = 5
"""Per cent of the corrected objects that may be smaller than twice the least size."""

SPLITS = (0.3, 0.5, 0.6)
THRESHOLD_CHANGES = (0.0, -0.1, 0.1)
WORTH_IT = 0.01
"""What is tried in place of a card's split and added to its threshold, and by how much the score has to rise."""

ROOM = 1.25
"""How much larger or smaller than the corrected objects a card lets objects be before it rescales an image."""


def card_for(card: ModelCard, regions: Sequence[Region]) -> ModelCard:
    """Return the card of a model that learned from regions: the sizes that it sees well are theirs, too.

    Objects larger than the model saw well are learnt as they are, and no image is shrunk for them any more. Smaller
    ones are learnt as they are and enlarged, as an image of them is still enlarged. Objects as small as the smaller
    ones that were corrected are kept.
    """
    diameter = typical_diameter_of(regions)
    if diameter is None:
        return card
    areas = np.concatenate([np.bincount(whole_objects(region.labels).ravel())[1:] for region in regions])
    smallest = np.percentile(areas[areas > 0], SMALL_PERCENTILE) / 2 if areas.any() else np.inf
    changes: dict[str, Any] = {}
    if smallest < card.parameters.min_size:
        changes["parameters"] = card.parameters.model_copy(update={"min_size": int(smallest)})
    if card.object_sizes is not None and diameter > card.object_sizes[1]:
        changes["object_sizes"] = (card.object_sizes[0], round(ROOM * diameter, 1))
    return card.model_copy(update=changes)


def scored_by(regions: Sequence[Region], card: ModelCard) -> str:
    """Return the score that decides: ``"ap50"``, or ``"dice"`` of few objects or where none are told apart."""
    objects = sum(np.unique(region.labels[region.labels > 0]).size for region in regions)
    return "dice" if objects < FEW_OBJECTS or card.decoder == "threshold" else "ap50"


def crop_side(regions: Sequence[Region]) -> int:
    """Return the side of crops in pixels that suits the objects of regions."""
    diameter = typical_diameter_of(regions)
    return CROP if diameter is None or diameter < CROP / 2 else LARGE_CROP


def make_lesson(regions: Sequence[Region], known: tuple[Tensor, Tensor], card: ModelCard) -> Lesson:
    """Work out all that fine-tuning needs of regions.

    Parameters
    ----------
    known
        Crops and what the old network says of them, see `make_pool`.
    """
    diameter = typical_diameter_of(regions)
    views = list(regions)
    shares = [region.annotated**0.5 for region in regions]
    if diameter is not None and card.object_sizes is not None and card.object_size and diameter < card.object_sizes[0]:
        views += [magnified(region, card.object_size / diameter) for region in regions]
        shares += [2 * share for share in shares]
    samples = [sample_of(region, card) for region in views]
    return Lesson(samples, tuple(np.array(shares) / sum(shares)), known, known[0].shape[-1])


def sample_of(region: Region, card: ModelCard) -> Sample:
    """Return a region as crops are drawn from it."""
    return Sample(
        stem=region.image,
        kind=region.image,
        pixels=torch.from_numpy(in_unit_range(region.pixels, card)).half(),
        targets=torch.from_numpy(training_targets(region.labels)).half(),
        labels=np.maximum(region.labels, 0),
        diameters=object_diameters(whole_objects(region.labels)),
    )


def magnified(region: Region, factor: float) -> Region:
    """Return a region enlarged."""
    size = [max(1, round(side * factor)) for side in region.labels.shape]
    pixels = functional.interpolate(torch.from_numpy(region.pixels)[None], size, mode="bilinear", antialias=True)[0]
    labels = functional.interpolate(torch.from_numpy(region.labels)[None, None].double(), size, mode="nearest-exact")
    return Region(region.image, pixels.numpy(), labels[0, 0].numpy().astype(np.int32))


def score_regions(
    network: SegmentationNetwork, regions: Sequence[Region], card: ModelCard, device: torch.device
) -> dict[str, float]:
    """Return the mean AP@0.5 and Dice of what a model finds in the annotated pixels of regions."""
    maps = [answer_maps(network, torch.from_numpy(region.pixels), card, device) for region in regions]
    return _score(maps, regions, card, card.parameters)


def tuned_parameters(
    network: SegmentationNetwork, regions: Sequence[Region], card: ModelCard, device: torch.device, metric: str
) -> DecodeParameters:
    """Return the threshold and the split, near those of the card, by which a model scores best on regions.

    Those of the card unless others are better by `WORTH_IT`.
    """
    maps = [answer_maps(network, torch.from_numpy(region.pixels), card, device) for region in regions]
    own = card.parameters
    best, wanted = own, _score(maps, regions, card, own)[metric] + WORTH_IT
    splits = [own.split] if metric == "dice" or not own.split else [own.split, *SPLITS]
    for split in splits:
        for change in THRESHOLD_CHANGES:
            threshold = round(min(max(own.threshold + change, 0.1), 0.9), 2)
            tried = own.model_copy(update={"split": split, "threshold": threshold})
            found = _score(maps, regions, card, tried)[metric]
            if found > wanted:
                best, wanted = tried, found
    return best


def _score(
    maps: Sequence[NDArray[np.float32]], regions: Sequence[Region], card: ModelCard, parameters: DecodeParameters
) -> dict[str, float]:
    scores = []
    for probability, region in zip(maps, regions, strict=True):
        found = decode(probability, card.heads, parameters)
        known = region.labels > NOT_ANNOTATED
        there, true = np.where(known, found, 0), np.where(known, region.labels, 0)
        scores.append((average_precision(iou_matrix(there, true)), dice_score(there > 0, true > 0)))
    ap50, dice = np.mean(scores, axis=0)
    return {"ap50": float(ap50), "dice": float(dice)}
