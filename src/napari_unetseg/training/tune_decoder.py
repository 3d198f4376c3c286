"""Decoder parameters that suit a model, chosen on annotated images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.device import choose_device
from napari_unetseg.inference.first_look import better_diameter
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.dataset import Pair, read_pair
from napari_unetseg.training.recipe import Metric
from napari_unetseg.training.scores import average_precision, dice, iou_matrix, mean_average_precision
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

THRESHOLDS: tuple[float, ...] = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
SPLITS = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)
MIN_SIZES = (5, 10, 15, 20, 30, 40)
CONFIDENCES = (0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True)
class Answer:
    """What a model says about an annotated image.

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


def answer(package: ModelPackage, pairs: Sequence[Pair], device: str = "auto") -> Iterator[Answer]:
    """Run a model on annotated images, one after the other, as segmentation does: twice where it should look again."""
    backend = TorchBackend(load_network(package), package.card.outputs, choose_device(device))
    for pair in tqdm(pairs, desc="Predicting", unit="image", disable=None):
        image, labels = read_pair(pair)
        maps = predict(image, package.card, backend).probability
        diameter = better_diameter(maps, package.card)
        if diameter is not None:
            maps = predict(image, package.card, backend, PredictOptions(diameter=diameter)).probability
        yield Answer(pair, maps, labels)


def tune(
    answers: Sequence[Answer], heads: tuple[str, ...], parameters: DecodeParameters, metric: Metric = "ap50"
) -> DecodeParameters:
    """Choose threshold, split and minimum size, then threshold and least confidence together, by a mean score.

    For ``"dice"`` not the first two: masks that do not tell objects apart say nothing of them. A low threshold
    draws whole outlines and lets through what the model half believes in, which the confidence takes out again, so
    neither can be chosen without the other. Of equal scores the one with the lowest confidence wins.
    """
    choices: list[list[dict[str, float]]] = [[{"threshold": value} for value in THRESHOLDS]]
    if metric != "dice":
        choices += [[{"split": value} for value in SPLITS], [{"min_size": value} for value in MIN_SIZES]]
    choices += [[{"min_confidence": least, "threshold": value} for least in CONFIDENCES for value in THRESHOLDS]]
    for updates in choices:
        candidates = [parameters.model_copy(update=update) for update in updates]
        parameters = _best(answers, heads, candidates, metric)
    return parameters


def _best(
    answers: Sequence[Answer], heads: tuple[str, ...], candidates: Sequence[DecodeParameters], metric: Metric
) -> DecodeParameters:
    means = [
        np.mean([_MEASURES[metric](decode(a.probability, heads, candidate), a.labels) for a in answers])
        for candidate in tqdm(candidates, desc="Tuning the decoder", disable=None)
    ]
    return candidates[int(np.argmax(means))]


def _ap50(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return average_precision(iou_matrix(predicted, true))


def _ap(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return mean_average_precision(iou_matrix(predicted, true))


def _dice(predicted: NDArray[np.int32], true: NDArray[np.int32]) -> float:
    return dice(predicted > 0, true > 0)


_MEASURES: dict[Metric, Callable[[NDArray[np.int32], NDArray[np.int32]], float]] = {
    "ap": _ap,
    "ap50": _ap50,
    "dice": _dice,
}
