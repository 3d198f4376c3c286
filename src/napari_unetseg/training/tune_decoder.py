"""Choose the decoder parameters that suit a model best, on annotated images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.selection import BackendRequest, plan_execution
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by
from napari_unetseg.postprocessing.confidence import mean_of_objects
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.dataset import Pair, read_pair
from napari_unetseg.training.scores import (
    Overlaps,
    annotated_part,
    average_precision,
    iou_matrix,
    mean_average_precision,
)
from napari_unetseg.training.training_recipe import Metric
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

THRESHOLD_CHOICES: tuple[float, ...] = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
SPLIT_CHOICES = (0.2, 0.3, 0.4, 0.5, 0.6)
MIN_SIZE_CHOICES = (5, 10, 20, 40)
MIN_CONFIDENCE_CHOICES = (0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Few: among many on few images what wins does so by chance, and does worse on others."""


@dataclass(frozen=True)
class PredictedPair:
    """An annotated image and the probability maps that a model predicts for it.

    Attributes
    ----------
    probability
        float32 (heads, Y, X).
    labels
        The annotation, int32 (Y, X).
    """

    pair: Pair
    probability: NDArray[np.float32]
    labels: NDArray[np.int32]


def predict_pairs(package: ModelPackage, pairs: Sequence[Pair], device: str = "auto") -> Iterator[PredictedPair]:
    """Run a model on annotated images in turn, as segmentation does: twice where it should see another scale."""
    chosen = choose_device(device)
    execution_plan = plan_execution(BackendRequest("torch", "float32"), package.card, chosen.torch_name)
    backend = make_backend(execution_plan, load_network(package), package.card, chosen)
    for pair in tqdm(pairs, desc="Predicting", unit="image", disable=None):
        image, labels = read_pair(pair)
        maps = predict(image, package.card, backend).probability
        diameter = diameter_to_rescale_by(maps, package.card)
        if diameter is not None:
            maps = predict(image, package.card, backend, PredictOptions(diameter=diameter)).probability
        yield PredictedPair(pair, maps, labels)


@dataclass(frozen=True)
class FoundInImage:
    """What some parameters find in an image, whatever the least confidence is.

    Attributes
    ----------
    confidences
        Of each object.
    iou
        Of each object with each true one, see `iou_matrix`.
    areas, inside
        Pixels of each object, and how many of them lie in true objects.
    true_area
        Pixels of all true objects.
    """

    confidences: NDArray[np.float32]
    iou: Overlaps
    areas: NDArray[np.intp]
    inside: NDArray[np.intp]
    true_area: int

    def score(self, metric: Metric, min_confidence: float) -> float:
        """Score the objects of so much confidence, as those of `decode` are scored."""
        kept = self.confidences >= np.float32(min_confidence) if min_confidence else np.ones(len(self.areas), bool)
        if metric == "dice":
            total = int(self.areas[kept].sum()) + self.true_area
            return 2 * int(self.inside[kept].sum()) / total if total else 1.0
        measure = average_precision if metric == "ap50" else mean_average_precision
        return measure(self.iou[np.flatnonzero(kept)])


def find_in_image(one: PredictedPair, heads: tuple[str, ...], parameters: DecodeParameters) -> FoundInImage:
    """Read objects off the maps of an image, and compare them with the true ones."""
    labels = decode(one.probability, heads, parameters.model_copy(update={"min_confidence": 0.0}))
    _, confidences = mean_of_objects(labels, one.probability[heads.index("foreground")])
    predicted, true = annotated_part(labels, one.labels)
    areas = np.bincount(predicted.ravel(), minlength=len(confidences) + 1)[1:]
    inside = np.bincount(predicted[true > 0], minlength=len(confidences) + 1)[1:]
    there = areas > 0  # and not where nobody looked
    return FoundInImage(
        confidences[there], iou_matrix(predicted, true), areas[there], inside[there], int(np.count_nonzero(true > 0))
    )


class ImageScores:
    """Scores of an image by any parameters, of which those that differ in the least confidence share what was found."""

    def __init__(self, read: Callable[[], PredictedPair], heads: tuple[str, ...], metric: Metric) -> None:
        self._read, self._heads, self._metric = read, heads, metric
        self._found: dict[DecodeParameters, FoundInImage] = {}

    def __call__(self, parameters: DecodeParameters) -> float:
        """Score what these parameters find."""
        key = parameters.model_copy(update={"min_confidence": 0.0})
        if key not in self._found:
            self._found[key] = find_in_image(self._read(), self._heads, key)
        return self._found[key].score(self._metric, parameters.min_confidence)


def tune_decoder(
    predictions: Sequence[PredictedPair], heads: tuple[str, ...], parameters: DecodeParameters, metric: Metric = "ap50"
) -> DecodeParameters:
    """Choose the parameters with the best mean score over annotated images, see `choose_parameters`."""
    scores = [ImageScores(partial(_given, one), heads, metric) for one in predictions]

    def mean_score(candidate: DecodeParameters) -> float:
        return float(np.mean([score(candidate) for score in scores]))

    return choose_parameters(mean_score, parameters, metric)


def _given(one: PredictedPair) -> PredictedPair:
    return one


def choose_parameters(
    mean_score: Callable[[DecodeParameters], float], parameters: DecodeParameters, metric: Metric
) -> DecodeParameters:
    """Choose threshold, split and minimum size, then threshold and least confidence together, by a mean score.

    For ``"dice"`` not the first two: masks that do not tell objects apart say nothing of them. A low threshold
    draws whole outlines and lets through what the model half believes in, which the confidence takes out again, so
    neither can be chosen without the other. Of equal scores the one with the lowest confidence wins.
    """
    choices: list[list[dict[str, float]]] = [[{"threshold": value} for value in THRESHOLD_CHOICES]]
    if metric != "dice":
        choices += [[{"split": value} for value in SPLIT_CHOICES], [{"min_size": value} for value in MIN_SIZE_CHOICES]]
    choices += [
        [
            {"min_confidence": least, "threshold": value}
            for least in MIN_CONFIDENCE_CHOICES
            for value in THRESHOLD_CHOICES
        ]
    ]
    for updates in choices:
        candidates = [parameters.model_copy(update=update) for update in updates]
        means = [mean_score(candidate) for candidate in tqdm(candidates, desc="Tuning the decoder", disable=None)]
        parameters = candidates[int(np.argmax(means))]
    return parameters
