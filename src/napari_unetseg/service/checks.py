"""Is a loaded model still the model it should be: does it answer, in numbers, and what it answered before."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.language import Sentence
from napari_unetseg.service.reports import KnownAnswer
from napari_unetseg.zoo import known_answer as stored
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

TOLERANCE = {"float32": 0.02, "tf32": 0.05, "bfloat16": 0.1, "int8": 0.3}
"""Most that a probability may differ from the stored answer, which is float32, by the precision of the network.

Another processor moves single pixels on an edge by up to 0.001, or ten times that after many normalisations; TF32
rounds to 11 bits, bfloat16 to 8, which moves them by up to 0.02 in the bundled models, and int8 to 8 in steps of one
size. Weights that are damaged move whole objects.
"""

_CONSTANT = 1e-5  # share of the largest value: resampling a constant leaves rounding of 1e-7


@dataclass(frozen=True)
class Check:
    """What came of running a model on its test picture.

    Attributes
    ----------
    dummy_inference_ms
        Duration in milliseconds.
    known_answer
        How far it is from its stored answer; None if that was not compared.
    problems
        A sentence for each fault; empty if there is none.
    """

    dummy_inference_ms: float
    known_answer: KnownAnswer | None
    problems: tuple[str, ...]


def check_model(loaded_model: "LoadedModel", answer: stored.StoredAnswer | None) -> Check:
    """Run a model on its test picture, and compare with its stored answer if there is one."""
    card = loaded_model.card
    pixels = answer.pixels if answer else draw_test_picture(loaded_model)
    clock = time.perf_counter()
    probability = loaded_model.backend.run(pixels[np.newaxis])[0]
    elapsed_ms = 1000 * (time.perf_counter() - clock)
    problem = _fault(card, probability)
    compared = None
    if answer is not None and np.isfinite(probability).all():
        difference = float(np.abs(probability - answer.probability).max())
        compared = KnownAnswer(
            passed=difference <= TOLERANCE[loaded_model.backend.precision], max_difference=difference
        )
        if problem is None and not compared.passed:
            problem = Sentence(
                "Model {model} no longer gives the answer that is stored with it: its probabilities are off "
                "by up to {difference:.2g}. Its weights are damaged or the device computes wrongly; reload "
                "the model.",
                model=card.name,
                difference=difference,
            )
    elif answer is not None:
        compared = KnownAnswer(passed=False, max_difference=1.0)
    return Check(elapsed_ms, compared, (problem,) if problem else ())


def draw_test_picture(loaded_model: "LoadedModel") -> NDArray[np.float32]:
    """Draw the test picture in a size that the network accepts; float32 (C, Y, X)."""
    shape = loaded_model.backend.accepted_size(stored.PICTURE_SIDE, stored.PICTURE_SIDE)
    return stored.draw_picture(loaded_model.card, shape)


def _fault(card: ModelCard, probability: NDArray[np.float32]) -> str | None:
    if not np.isfinite(probability).all():
        return Sentence(
            "Model {model} gives values that are not numbers on a test image; its weights are damaged or "
            "do not belong to this architecture.",
            model=card.name,
        )
    foreground = probability[card.heads.index("foreground")]
    if np.ptp(foreground) <= _CONSTANT * foreground.max():
        return Sentence(
            "Model {model} gives the same value everywhere on a test image; its weights are damaged or "
            "were never trained.",
            model=card.name,
        )
    return None
