"""The steps by which a trained network learns from a few regions and keeps what it knew."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.training.augment import draw_crops
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.loop import MAX_GRADIENT
from napari_unetseg.training.losses import segmentation_loss
from napari_unetseg.training.seen import for_network, logits
from napari_unetseg.training.state import update_average
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.zoo.card import ModelCard

SIMILAR = Augmentation(
    scale=(0.8, 1.25),
    smallest_object=6.0,
    on_object=0.5,
    rotate=0.5,
    invert=0.0,
    grey=0.0,
    shuffle=0.0,
    tint=0.0,
    gain=0.2,
    offset=0.05,
    gamma=0.25,
    elastic=1.0,
    shade=0.15,
    blur=0.6,
    noise=0.03,
)
"""How crops of corrected regions vary: as images of one experiment do."""

LEARNING_RATE = 1.5e-3
WARM_UP = 10
"""Steps in which the learning rate rises."""

AVERAGE = 0.97
"""Decay of the running average of the weights, which is what is scored and kept."""

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
"""How much of what was learnt is tried to be kept of the weights, the least first: less of it forgets less."""

NEW, KNOWN = 3, 5
"""Crops a step of what is learnt, and of what is known."""

KEEP = 4.0
"""How much an answer that differs from the old one counts, beside one that differs from a correction."""


@dataclass(frozen=True)
class Lesson:
    """What a network is to learn, and what it is to keep.

    Attributes
    ----------
    samples, weights
        Regions to learn from, and how often each is drawn.
    known
        Crops, float32 (N, 3, side, side), and the old network's answers (N, heads, side, side).
    side
        Of the crops, in pixels.
    """

    samples: Sequence[Sample]
    weights: Sequence[float]
    known: tuple[Tensor, Tensor]
    side: int


class Student:
    """A copy of a network that learns, with the running average of its weights.

    Statistics of normalisation stay those of the old network: a few regions would give others, by which it would no
    longer see what it knew.
    """

    def __init__(self, network: SegmentationNetwork, card: ModelCard, device: torch.device) -> None:
        self.card = card
        self.steps = 0
        self._device = device
        # Modules stay in evaluation mode, in which normalisation keeps its statistics.
        self._network = deepcopy(network).eval().requires_grad_(True)
        # PyTorch's annotations of Module.to do not know memory_format.
        self._network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = AveragedModel(self._network, use_buffers=True)
        self._optimiser = torch.optim.AdamW(self._network.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    @property
    def average(self) -> SegmentationNetwork:
        """The network with the averaged weights."""
        return cast(SegmentationNetwork, self._average.module.eval())

    def step(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], progress: float) -> float:
        """Take one step on what `batches` gave and return its loss.

        Parameters
        ----------
        progress
            How much of the time is over, 0 to 1; the learning rate falls along half a cosine.
        """
        pixels, targets, known, answers = batch
        for group in self._optimiser.param_groups:
            rising = min(1.0, (self.steps + 1) / WARM_UP)
            group["lr"] = LEARNING_RATE * rising * (1 + math.cos(math.pi * progress)) / 2
        both = logits(self._network, for_network(torch.cat([pixels, known]), self.card), self.card, self._device)
        loss = segmentation_loss(both[: len(pixels)], targets.to(self._device), self.card.heads)  # type: ignore[arg-type]
        kept = functional.binary_cross_entropy_with_logits(both[len(pixels) :], answers.to(self._device))
        total = loss + KEEP * len(self.card.heads) * kept
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), MAX_GRADIENT)
        self._optimiser.step()
        update_average(self._average, self._network, AVERAGE)
        self.steps += 1
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Return what is needed to go on."""
        return {
            "steps": self.steps,
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.steps = state["steps"]
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])


def mixtures(old: SegmentationNetwork, learnt: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Give the weights on the way from an old network's to those learnt, as far as each of `SHARES` says.

    What lies between forgets less than what was learnt alone would make it (Wortsman et al., Robust fine-tuning of
    zero-shot models, CVPR 2022).
    """
    known = old.state_dict()
    for share in SHARES:
        yield {
            name: torch.lerp(known[name].to(value), value, share) if value.is_floating_point() else value
            for name, value in learnt.items()
        }


def batches(
    lesson: Lesson, seed: tuple[int, ...], step: int, device: torch.device
) -> Generator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Draw batches from a step on, without end; each while the network works on the one before.

    They depend on seed and step alone.

    Yields
    ------
    pixels, targets
        Crops of what is learnt, see `draw_crops`, on the device.
    known, answers
        Crops of what is known, and probabilities, on the device.
    """
    store = CropStore(lesson.samples, device)
    with ThreadPoolExecutor(1, "draw crops") as pool:
        coming = pool.submit(_batch, lesson, store, seed, step)
        for following in count(step + 1):
            batch = coming.result()
            coming = pool.submit(_batch, lesson, store, seed, following)
            yield batch


def _batch(lesson: Lesson, store: CropStore, seed: tuple[int, ...], step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = np.random.default_rng((*seed, step))
    chosen = rng.choice(len(store), size=NEW, p=lesson.weights)
    seen, targets = draw_crops(store, chosen, lesson.side, SIMILAR, rng)
    pixels, answers = lesson.known
    known = torch.from_numpy(rng.integers(len(pixels), size=KNOWN))
    return seen, targets, pixels[known].to(store.device), answers[known].to(store.device)
