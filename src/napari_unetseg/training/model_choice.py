"""Which model, with which settings, finds the objects of a few annotated images best."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.training.dataset import DatasetError, Pair, read_pair
from napari_unetseg.training.evaluate import Failed
from napari_unetseg.training.score_interval import ENOUGH_IMAGES, interval, object_shares, pixel_shares, ratio
from napari_unetseg.zoo.card import ModelCard

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Tried beside the one that the model suggests, for which the network need not run again."""

_NEAR = 0.1  # a diameter that is so near to what a model expects changes nothing
_FLIPS = 8  # as many times the network runs with augmentation

Measure = Literal["ap50", "dice"]


class Found(Protocol):
    """As much of a `Segmentation` as is scored."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """Label image."""

    def relabel(self, *, threshold: float) -> "Found":
        """Read the objects off the kept probabilities again."""


class SegmentWith(Protocol):
    """As much of `SegmentationService.segment` as is used."""

    def __call__(self, image: Image, *, channel: int | None, diameter: float | None, augment: bool) -> Found:
        """Segment an image."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model, the word by which commands find it, what runs it, and what loads it before its time is taken."""

    name: str
    card: ModelCard
    segment: SegmentWith
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Setting:
    """How a model is run; see `SegmentOptions`. None is what the model does by itself."""

    channel: int | None = None
    diameter: float | None = None
    augment: bool = False
    threshold: float | None = None

    def options(self) -> dict[str, Any]:
        """Return those that are not the model's own, as options of a segmentation."""
        every = {"channel": self.channel, "diameter": self.diameter, "threshold": self.threshold}
        given = {name: value for name, value in every.items() if value is not None}
        return given | ({"augment": True} if self.augment else {})


@dataclass(frozen=True, eq=False)
class Ranked:
    """A model with a setting, and how well it did.

    Attributes
    ----------
    score
        Mean over the images.
    low, high
        See `napari_unetseg.training.score_interval.interval`.
    seconds_per_megapixel
        Of the network and of reading the objects off its answer.
    """

    candidate: Candidate
    setting: Setting
    score: float
    low: float
    high: float
    seconds_per_megapixel: float


@dataclass(frozen=True, eq=False)
class ModelChoice:
    """What came of it.

    Attributes
    ----------
    measure
        ``"ap50"``: AP@0.5 of objects; ``"dice"``: Dice of the foreground, where annotations do not tell objects apart.
    images, objects
        How many images were looked at, and how many objects are annotated in them.
    ranking
        Best first.
    not_tried
        What there was no time for.
    failures
        Images, or models, that could not be used.
    """

    measure: Measure
    images: int
    objects: int
    ranking: list[Ranked]
    not_tried: list[tuple[Candidate, Setting]]
    failures: list[Failed]

    @property
    def drawn(self) -> Literal["images", "objects", "parts of each image"]:
        """What was drawn anew for the intervals."""
        if self.images >= ENOUGH_IMAGES:
            return "images"
        return "objects" if self.measure == "ap50" else "parts of each image"


@dataclass(frozen=True, eq=False)
class _Sample:
    """An annotated image; `truth` is int32 (Y, X), below 0 where it is not annotated."""

    image: Image
    truth: NDArray[np.int32]


@dataclass(eq=False)
class _Run:
    """A run of a network on each image.

    Attributes
    ----------
    shares
        By measure and threshold, for each image: float64 (N, 2), the sum of whose first column over that of the
        second is its score. A row is an object, or a part of the image.
    """

    shares: dict[tuple[Measure, float | None], list[NDArray[np.float64]]] = field(default_factory=dict)
    seconds: float = 0.0
    megapixels: float = 0.0


def choose_model(
    candidates: Sequence[Candidate],
    pairs: Sequence[Pair],
    *,
    seconds: float,
    report: Callable[[str], None] = lambda words: None,
    clock: Callable[[], float] = time.monotonic,
) -> ModelChoice:
    """Try every model as it is on as many images as half of the time allows, then the settings on the same images.

    Images are taken from all over the list; those without objects are passed by. At least one image is tried, however
    long it takes. The settings are single channels for models that see one picture, the size of the annotated objects
    for models that know theirs, and flips and turns for what is best by then; to each of them belong a few thresholds.
    What there is no time for is not tried.

    Parameters
    ----------
    candidates
        The models.
    pairs
        Images and their annotations.
    seconds
        How long it may take.
    report
        Called with what is run next, in words.
    clock
        Tells the time in seconds.

    Raises
    ------
    DatasetError
        If no annotation has an object, or no image can be used.
    UnetsegError
        If no model could be run.
    """
    return _Choosing(candidates, seconds, report, clock).run(pairs)


class _Choosing:
    def __init__(
        self,
        candidates: Sequence[Candidate],
        seconds: float,
        report: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._candidates, self._report, self._clock = list(candidates), report, clock
        self._half, self._end = clock() + seconds / 2, clock() + seconds
        self._samples: list[_Sample] = []
        self._runs: dict[tuple[Candidate, Setting], _Run] = {}
        self._failures: list[Failed] = []
        self._not_tried: list[tuple[Candidate, Setting]] = []
        self._measure: Measure = "ap50"

    def run(self, pairs: Sequence[Pair]) -> ModelChoice:
        self._try_as_they_are(pairs)
        for candidate in dict.fromkeys(candidate for _, candidate, _ in self._scored()):
            for setting in self._settings(candidate):
                self._try(candidate, setting)
        for _, candidate, setting in self._scored()[:1]:
            self._try(candidate, replace(setting, threshold=None, augment=True))
        self._check_models_left()
        objects = sum(len(np.unique(sample.truth[sample.truth > 0])) for sample in self._samples)
        ranking = [self._ranked(*one) for one in self._scored()]
        return ModelChoice(self._measure, len(self._samples), objects, ranking, self._not_tried, self._failures)

    def _scored(self) -> list[tuple[float, Candidate, Setting]]:
        """Return the score of each model with each setting, best first; where they are equal the more usual one."""
        scored = [
            (float(np.mean([ratio(share) for share in shares])), candidate, replace(setting, threshold=threshold))
            for (candidate, setting), run in self._runs.items()
            for (measure, threshold), shares in run.shares.items()
            if measure == self._measure
        ]
        return sorted(scored, key=lambda one: (-round(one[0], 4), *_oddness(one[2])))

    def _ranked(self, score: float, candidate: Candidate, setting: Setting) -> Ranked:
        run = self._runs[candidate, replace(setting, threshold=None)]
        low, high = interval(run.shares[self._measure, setting.threshold])
        return Ranked(candidate, setting, score, low, high, run.seconds / run.megapixels)

    def _try_as_they_are(self, pairs: Sequence[Pair]) -> None:
        """Run all models on one image after the other."""
        unlabelled = 0
        for pair in spread(pairs):
            if self._samples and self._clock() >= self._half:
                break
            try:
                sample = _Sample(*read_pair(pair))
            except UnetsegError as error:
                self._failures.append(Failed(pair.stem, error))
                continue
            if not (sample.truth > 0).any():
                unlabelled += 1
                continue
            self._samples.append(sample)
            for candidate in list(self._candidates):
                self._report(f"{candidate.name} on {pair.stem}")
                self._run_on(candidate, Setting(), sample)
        if not self._samples:
            raise _no_samples(pairs, unlabelled, self._failures)
        self._check_models_left()
        if all(len(np.unique(sample.truth[sample.truth > 0])) == 1 for sample in self._samples):
            self._measure = "dice"

    def _check_models_left(self) -> None:
        if not self._candidates:
            failed = self._failures[-1]
            raise UnetsegError(f"No model could be run: {failed.stem}: {failed.error}")

    def _settings(self, candidate: Candidate) -> Iterator[Setting]:
        """Yield what else may help a model; each builds on the best that was found before it."""
        image = self._samples[0].image
        if "C" in image.axes and not image.rgb and not candidate.card.wants_channels:
            for channel in range(image.array.shape[image.axes.index("C")]):
                yield Setting(channel=channel)
        size, expected = self._diameter(), candidate.card.object_size
        if expected and not candidate.card.image_size and not abs(size / expected - 1) < _NEAR:
            best = [setting for _, one, setting in self._scored() if one is candidate]
            if best:  # else it failed with one of the channels
                yield Setting(channel=best[0].channel, diameter=size)

    def _diameter(self) -> float:
        """Return the median equivalent diameter of the annotated objects, in whole pixels."""
        areas = np.concatenate([np.bincount(sample.truth[sample.truth > 0]) for sample in self._samples])
        return float(max(1, round(2 * float(np.sqrt(np.median(areas[areas > 0]) / np.pi)))))

    def _try(self, candidate: Candidate, setting: Setting) -> None:
        """Run a model with a setting on all images, if there is time for it."""
        if candidate not in self._candidates or (candidate, setting) in self._runs:
            return
        usual = self._runs[candidate, Setting()].seconds * (_FLIPS if setting.augment else 1)
        if self._clock() + usual > self._end:
            self._not_tried.append((candidate, setting))
            return
        for number, sample in enumerate(self._samples, 1):
            self._report(f"{candidate.name}, {describe(setting)}, image {number} of {len(self._samples)}")
            if not self._run_on(candidate, setting, sample):
                return

    def _run_on(self, candidate: Candidate, setting: Setting, sample: _Sample) -> bool:
        """Run a model on an image and score it at all thresholds; one that fails is out."""
        try:
            candidate.prepare()
            began = self._clock()
            found = candidate.segment(
                sample.image, channel=setting.channel, diameter=setting.diameter, augment=setting.augment
            )
            seconds = self._clock() - began
            labels = {None: found.labels} | {at: found.relabel(threshold=at).labels for at in THRESHOLDS}
        except UnetsegError as error:
            self._failures.append(Failed(candidate.name, error))
            self._candidates = [one for one in self._candidates if one is not candidate]
            self._runs = {key: run for key, run in self._runs.items() if key[0] is not candidate}
            return False
        run = self._runs.setdefault((candidate, setting), _Run())
        for threshold, one in labels.items():
            predicted, truth = annotated_part(one, sample.truth)
            run.shares.setdefault(("ap50", threshold), []).append(object_shares(predicted, truth))
            run.shares.setdefault(("dice", threshold), []).append(pixel_shares(predicted > 0, truth > 0))
        run.seconds += seconds
        run.megapixels += sample.truth.size / 1e6
        return True


def _oddness(setting: Setting) -> tuple[float, ...]:
    """Return what tells an unusual setting from a usual one, the weightiest first."""
    return setting.augment, len(setting.options()), abs((setting.threshold or 0.5) - 0.5)


def spread(pairs: Sequence[Pair]) -> list[Pair]:
    """Order pairs so that the first ones come from all over the list: by their places, read backwards as binaries."""
    bits = max(1, (len(pairs) - 1).bit_length())
    return [pairs[at] for at in sorted(range(len(pairs)), key=lambda at: int(f"{at:0{bits}b}"[::-1], 2))]


def annotated_part(
    predicted: NDArray[np.int32], truth: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Leave out what lies where nothing is annotated (below 0): such pixels, and objects that are mostly there."""
    if truth.min(initial=0) >= 0:
        return predicted, truth
    known = truth >= 0
    whole, inside = np.bincount(predicted.ravel()), np.bincount(predicted[known], minlength=predicted.max() + 1)
    return np.where(known & (2 * inside >= whole)[predicted], predicted, 0), np.maximum(truth, 0)


def describe(setting: Setting) -> str:
    """Say in a few words how a model is run."""
    words = [f"{name} {value:g}" for name, value in setting.options().items() if name != "augment"]
    return ", ".join([*words, *(["flips and turns"] if setting.augment else [])]) or "as it is"


def _no_samples(pairs: Sequence[Pair], unlabelled: int, failures: Sequence[Failed]) -> DatasetError:
    folder = pairs[0].mask.parent
    if unlabelled:
        return DatasetError(
            f"{folder}: no image has an annotated object ({unlabelled} looked at). Draw the objects of a few images, "
            "each with a number of its own, and save them as label images named as their images."
        )
    return DatasetError(f"{folder}: no image can be used. {failures[0].stem}: {failures[0].error}")
