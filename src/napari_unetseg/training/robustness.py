"""What is left of a model's scores when images get worse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unetseg.training.corruptions import Corruption
from napari_unetseg.training.dataset import Pair, read_pair
from napari_unetseg.training.evaluate import Failed, Method, Truth, annotated_objects, compare
from napari_unetseg.training.scores import Score, measures, summarise_scores


@dataclass(frozen=True)
class CorruptionTrial:
    """One image, as it is and corrupted.

    Attributes
    ----------
    corruption
        Name of the corruption.
    clean, corrupted
        Scores of the image without and with it.
    """

    corruption: str
    clean: Score
    corrupted: Score


def score_corruptions(
    method: Method, pairs: Sequence[Pair], truth: Truth, corruptions: Sequence[Corruption], seed: int
) -> Iterator[list[CorruptionTrial] | Failed]:
    """Score pair after pair under every corruption that concerns it.

    An image is read, and segmented as it is, once. A pair that fails gives a `Failed` in its place.

    Parameters
    ----------
    seed
        Of everything that is random; the same seed gives the same corrupted images.
    """
    for pair in pairs:
        try:
            yield _trials(method, pair, truth, corruptions, seed)
        except Exception as error:
            yield Failed(pair.stem, error)


def _trials(
    method: Method, pair: Pair, truth: Truth, corruptions: Sequence[Corruption], seed: int
) -> list[CorruptionTrial]:
    image, annotation = read_pair(pair)
    # Parts of a mask are told apart before it is rescaled, which may join them.
    labels = annotated_objects(annotation, truth)
    kept: Truth = "labels" if truth == "parts" else truth
    clean = compare(method.segment(image), labels, pair, kept)
    trials = []
    for corruption in corruptions:
        if corruption.concerns(image):
            seen, there = corruption(image, labels, pair.stem, seed)
            trials.append(CorruptionTrial(corruption.name, clean, compare(method.segment(seen), there, pair, kept)))
    return trials


def tabulate(trials: Sequence[CorruptionTrial]) -> dict[str, dict[str, Any]]:
    """Average over images, corruption by corruption.

    Returns
    -------
    dict
        By name of corruption, in the order in which they first come: what `summarise_scores` says of the
        corrupted images, and under ``of_clean`` each measure from 0 to 1 as a part of what it is without
        the corruption, on the same images; None where that is 0.
    """
    table = {}
    for name in dict.fromkeys(trial.corruption for trial in trials):
        rows = [trial for trial in trials if trial.corruption == name]
        corrupted, clean = [row.corrupted for row in rows], [row.clean for row in rows]
        table[name] = {**summarise_scores(corrupted), "of_clean": _ratios(corrupted, clean)}
    return table


def _ratios(corrupted: Sequence[Score], clean: Sequence[Score]) -> dict[str, float | None]:
    ratios: dict[str, float | None] = {}
    for name in measures(clean[0]):
        if not name.startswith("count"):
            before, after = (float(np.mean([measures(score)[name] for score in side])) for side in (clean, corrupted))
            ratios[name] = round(after / before, 4) if before > 0 else None
    return ratios
