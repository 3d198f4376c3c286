"""Choose the decoder parameters that suit a model best, on annotated images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.selection import BackendRequest, plan_execution
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.dataset import Pair, read_pair
from napari_unetseg.training.scores import (
    annotated_part,
    average_precision,
    dice_score,
    iou_matrix,
    mean_average_precision,
)
from napari_unetseg.training.training_recipe import Metric
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

THRESHOLD_CHOICES: tuple[float, ...] = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
SPLIT_CHOICES = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)
MIN_SIZE_CHOICES = (5, 10, 15, 20, 30, 40)
MIN_CONFIDENCE_CHOICES = (0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)


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


def tune_decoder(
    predictions: Sequence[PredictedPair], heads: tuple[str, ...], parameters: DecodeParameters, metric: Metric = "ap50"
) -> DecodeParameters:
    """Choose the parameters with the best mean score over annotated images, see `choose_parameters`."""

    def mean_score(candidate: DecodeParameters) -> float:
        return float(np.mean([score_prediction(one, heads, candidate, metric) for one in predictions]))

    return choose_parameters(mean_score, parameters, metric)


def score_prediction(one: PredictedPair, heads: tuple[str, ...], parameters: DecodeParameters, metric: Metric) -> float:
    """Score what these parameters read off the maps of an image."""
    return _MEASURES[metric](*annotated_part(decode(one.probability, heads, parameters), one.labels))


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


def _ap50(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return average_precision(iou_matrix(predicted, true))


def _ap(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return mean_average_precision(iou_matrix(predicted, true))


def _dice(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return dice_score(predicted > 0, true > 0)


_MEASURES: dict[Metric, Callable[[NDArray[np.int32], NDArray[np.int32]], float]] = {
    "ap": _ap,
    "ap50": _ap50,
    "dice": _dice,
}
