"""The ways to tell objects apart, each with what its network learns, how its maps are read, and what may be tuned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label
from torch import Tensor

from decoders.embeddings import decode_embeddings, embedding_loss
from decoders.flows import decode_flows, lead_to_middle
from decoders.instances import read_colours
from decoders.stars import RAYS, decode_stars, measure_rays
from napari_unetseg.postprocessing.confidence import mean_of_objects
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.holes import fill_holes
from napari_unetseg.postprocessing.numbering import number_objects
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.losses import segmentation_loss
from napari_unetseg.training.targets import FLOWS, TARGETS, HeadName, crowding, distance_target

Maps = NDArray[np.float32]
Values = Mapping[str, float]
Loss = Callable[[Tensor, Tensor, np.random.Generator], Tensor]

THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COMMON = {"min_size": (10, 20, 30, 40), "min_confidence": (0.0, 0.6, 0.7, 0.8, 0.85)}
"""What each way may choose beside its own parameters."""

RAY_UNIT, OFFSET_UNIT, WIDTH_UNIT = 8.0, 8.0, 4.0
"""Pixels that an answer of 1 means, or of 0 where the answer is a logarithm, so that all heads begin near the truth."""

RAY_PIXELS = 1024
"""Pixels of a crop's objects, drawn at random, that teach rays in a step."""


@dataclass(frozen=True)
class Way:
    """One way to tell objects apart.

    Attributes
    ----------
    channels
        Of the network's output.
    coloured
        Whether it is taught from `decoders.instances.colour_planes` instead of the product's targets.
    loss
        Of logits (N, channels, Y, X) and targets (N, 5, Y, X).
    read
        Makes maps of the logits (channels, Y, X).
    decode
        Makes labels of the maps and the parameters.
    perfect
        The maps of a network that makes no mistake.
    start, choices
        Parameters, and the values among which each is chosen, in this order.
    """

    name: str
    channels: int
    coloured: bool
    loss: Loss
    read: Callable[[Tensor], Maps]
    decode: Callable[[Maps, Values], NDArray[np.int32]]
    perfect: Callable[[NDArray[np.int32]], Maps]
    start: Values
    choices: Mapping[str, Sequence[float]]


def house(name: str, second: HeadName, of_labels: Callable[[NDArray[np.int32]], Maps]) -> Way:
    """Make a way of two heads that the product decodes."""
    heads: tuple[HeadName, ...] = ("foreground", second)
    return Way(
        name=name,
        channels=2,
        coloured=False,
        loss=lambda logits, targets, rng: segmentation_loss(logits, targets, heads),
        read=lambda logits: logits.sigmoid().numpy(),
        decode=lambda maps, values: decode(maps, heads, house_parameters(values)),
        perfect=lambda labels: np.stack([(labels > 0).astype(np.float32), of_labels(labels)]),
        start={"threshold": 0.5, "split": 0.4, "min_size": 20, "min_confidence": 0.0},
        choices={"threshold": THRESHOLDS, "split": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), **COMMON},
    )


def house_parameters(values: Values) -> DecodeParameters:
    """Make parameters of values as they are tuned here."""
    return DecodeParameters().override({**values, "min_size": int(values["min_size"])})


def finish(labels: NDArray[np.int32], foreground: Maps, values: Values) -> NDArray[np.int32]:
    """Keep each object's largest piece, drop small and doubtful ones, and fill holes, as the product does."""
    pieces = label(labels, connectivity=1).astype(np.int32)
    sizes = np.bincount(pieces.ravel())
    object_of = np.zeros(len(sizes), np.int32)
    object_of[pieces] = labels
    order = np.lexsort((-sizes, object_of))
    largest = np.zeros(len(sizes), bool)
    largest[order[np.unique(object_of[order], return_index=True)[1]]] = True
    found = number_objects(np.where(largest[pieces] & (labels > 0), pieces, np.int32(0)), int(values["min_size"]))
    if not found.any():
        return found
    found = fill_holes(found)
    kept = mean_of_objects(found, foreground)[1] >= values["min_confidence"]
    return np.where(np.concatenate([[False], kept])[found], found, np.int32(0))


def targets_of(labels: NDArray[np.int32]) -> Tensor:
    """Work out the product's targets of a crop's objects, (5, Y, X), but for the flows, which are left out."""
    nothing = np.zeros(labels.shape, np.float32)
    known = {
        "foreground": (labels > 0).astype(np.float32),
        "distance": distance_target(labels),
        "boundary": crowding(labels),
    }
    return torch.from_numpy(np.stack([known.get(name, nothing) for name in TARGETS]))


def star_loss(logits: Tensor, targets: Tensor, rng: np.random.Generator) -> Tensor:
    """Loss of foreground and distance as the product's, and the relative error of rays."""
    labels = [read_colours(planes) for planes in targets]
    heads: tuple[HeadName, ...] = ("foreground", "distance")
    total = segmentation_loss(logits[:, :2], torch.stack([targets_of(one) for one in labels]), heads)
    for answers, one in zip(logits, labels, strict=True):
        rows, columns = np.nonzero(one)
        if not rows.size:
            continue
        some = rng.integers(rows.size, size=RAY_PIXELS)
        truth = torch.from_numpy(measure_rays(one, rows[some], columns[some])).div(RAY_UNIT).log()
        total = total + (answers[2:, rows[some], columns[some]] - truth).abs().mean() / len(labels)
    return total


def perfect_stars(labels: NDArray[np.int32]) -> Maps:
    """Give foreground, distance and rays of labels."""
    rays = np.ones((RAYS, *labels.shape), np.float32)
    rows, columns = np.nonzero(labels)
    rays[:, rows, columns] = measure_rays(labels, rows, columns)
    return np.concatenate([targets_of(labels)[:2].numpy(), rays])


def pointing_loss(logits: Tensor, targets: Tensor, rng: np.random.Generator) -> Tensor:
    """Loss of the foreground as the product's, and of the embeddings."""
    labels = [read_colours(planes) for planes in targets]
    total = segmentation_loss(logits[:, :1], torch.stack([targets_of(one) for one in labels]), ("foreground",))
    for answers, one in zip(logits, labels, strict=True):
        _, seed, *offset, width = answers
        pixels = torch.stack(offset) * OFFSET_UNIT
        total = total + embedding_loss(seed, pixels, width + float(np.log(WIDTH_UNIT)), one, rng) / len(labels)
    return total


def read_pointing(logits: Tensor) -> Maps:
    """Give foreground, seed, offsets and widths."""
    sure, offset, width = logits[:2].sigmoid(), logits[2:4] * OFFSET_UNIT, logits[4:].exp() * WIDTH_UNIT
    maps: Maps = torch.cat([sure, offset, width]).numpy()
    return maps


def perfect_pointing(labels: NDArray[np.int32]) -> Maps:
    """Give foreground, seed, offsets to the mean of an object's pixels, and widths of labels."""
    inside = labels > 0
    places = np.indices(labels.shape).reshape(2, -1)
    counts = np.maximum(np.bincount(labels.ravel()), 1)
    middles = np.stack([np.bincount(labels.ravel(), weights=axis) / counts for axis in places])
    offsets = (middles[:, labels] - np.indices(labels.shape)) * inside
    flat = inside.astype(np.float32)
    return np.concatenate([[flat, flat], offsets, [np.ones_like(flat)]]).astype(np.float32)


FLOW_HEADS: tuple[HeadName, ...] = ("foreground", "flow_y", "flow_x")


def flow_loss(logits: Tensor, targets: Tensor, rng: np.random.Generator) -> Tensor:
    """Loss as the product's, of flows that lead to the middle."""
    labels = [read_colours(planes) for planes in targets]
    flows = torch.stack([torch.from_numpy(lead_to_middle(one)) for one in labels])
    truth = torch.stack([targets_of(one) for one in labels])
    truth[:, FLOWS] = flows
    return segmentation_loss(logits, truth, FLOW_HEADS)


FLOWS_FOLLOWED = Way(
    name="flows followed",
    channels=3,
    coloured=True,
    loss=flow_loss,
    read=lambda logits: logits.sigmoid().numpy(),
    decode=lambda maps, values: finish(
        decode_flows(maps[0], 2 * maps[1:] - 1, values["threshold"], values["radius"]), maps[0], values
    ),
    perfect=lambda labels: np.concatenate([(labels > 0).astype(np.float32)[None], (1 + lead_to_middle(labels)) / 2]),
    start={"threshold": 0.5, "radius": 1.0, "min_size": 20, "min_confidence": 0.0},
    choices={"threshold": THRESHOLDS, "radius": (0.7, 1.0, 1.5, 2.0, 2.5, 3.0), **COMMON},
)

STARS = Way(
    name="star-convex",
    channels=2 + RAYS,
    coloured=True,
    loss=star_loss,
    read=lambda logits: torch.cat([logits[:2].sigmoid(), logits[2:].exp() * RAY_UNIT]).numpy(),
    decode=lambda maps, values: finish(
        decode_stars(maps[1], maps[2:], values["centre"], values["overlap"]), maps[0], values
    ),
    perfect=perfect_stars,
    start={"centre": 0.2, "overlap": 0.4, "min_size": 20, "min_confidence": 0.0},
    choices={"centre": (0.05, 0.1, 0.15, 0.2, 0.3, 0.4), "overlap": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), **COMMON},
)

POINTING = Way(
    name="embeddings",
    channels=5,
    coloured=True,
    loss=pointing_loss,
    read=read_pointing,
    decode=lambda maps, values: finish(
        decode_embeddings(maps[0] >= values["threshold"], maps[1], maps[2:4], maps[4], values["seed"]), maps[0], values
    ),
    perfect=perfect_pointing,
    start={"threshold": 0.5, "seed": 0.5, "min_size": 20, "min_confidence": 0.0},
    choices={"threshold": THRESHOLDS, "seed": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7), **COMMON},
)

WAYS = (
    house("boundary", "boundary", crowding),
    house("distance", "distance", distance_target),
    FLOWS_FOLLOWED,
    STARS,
    POINTING,
)
