"""Whether the models of a service are what they should be, and what comes of that in a report.

A loaded model is run on a test picture: does it answer, in numbers, and what it answered before?
"""

import time
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.config import Settings
from napari_unetseg.errors import ModelError, UnetsegError, is_out_of_memory
from napari_unetseg.inference.out_of_memory import no_memory_to_check
from napari_unetseg.language import Sentence, error_sentence, joined
from napari_unetseg.service.counters import RunCounter, gpu_available, gpu_percent, memory_usage
from napari_unetseg.service.describe import identify
from napari_unetseg.service.model_cache import ModelCache
from napari_unetseg.service.reports import Health, KnownAnswer
from napari_unetseg.zoo import known_answer as stored
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.known_answer import read_known_answer
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel


def slow_remarks(seconds: float, settings: Settings) -> tuple[str, ...]:
    """Return a sentence where the network took longer than `unet.health.slow_inference_ms` allows; else nothing."""
    limit = settings.unet.health.slow_inference_ms
    if limit is None or 1000 * seconds <= limit:
        return ()
    # Without the time itself, so that the same sentence on many images can be counted.
    return (
        Sentence(
            "The network took longer than {limit:g} ms. Check GPU utilization and the model variant; use "
            "the lightweight variant for speed.",
            limit=limit,
        ),
    )


ANSWER_TOLERANCE = {"float32": 0.02, "tf32": 0.05, "bfloat16": 0.1, "float16": 0.05, "int8": 0.3}
"""Most that a probability may differ from the stored answer, which is float32, by the precision of the network.

Another processor moves single pixels on an edge by up to 0.001, or ten times that after many normalisations; TF32
and float16 round to 11 bits, bfloat16 to 8, which moves them by up to 0.02 in the bundled models, and int8 to 8 in
steps of one size. Weights that are damaged move whole objects.
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


def check_model(loaded_model: "LoadedModel", known_answer: stored.StoredAnswer | None) -> Check:
    """Run a model on its test picture, and compare with its stored answer if there is one."""
    card = loaded_model.card
    pixels = known_answer.pixels if known_answer else draw_test_picture(loaded_model)
    clock = time.perf_counter()
    probability = loaded_model.answer(pixels)
    elapsed_ms = 1000 * (time.perf_counter() - clock)
    problem = _fault(card, probability)
    compared = None
    if known_answer is not None and np.isfinite(probability).all():
        difference = float(np.abs(probability - known_answer.probability).max())
        compared = KnownAnswer(
            passed=difference <= ANSWER_TOLERANCE[loaded_model.backend.precision], max_difference=difference
        )
        if problem is None and not compared.passed:
            problem = Sentence(
                "Model {model} no longer gives the answer that is stored with it: its probabilities are off "
                "by up to {difference:.2g}. Its weights are damaged or the device computes wrongly; reload "
                "the model.",
                model=card.name,
                difference=difference,
            )
    elif known_answer is not None:
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


NOT_LOADED = Sentence("The model is not loaded yet; it loads on the first run.")


class HealthChecker:
    """Checks models as the settings want, and reports on them.

    Parameters
    ----------
    settings
        `unet.health` says what is checked, `unet.inference` what the service can do.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._health_settings = settings.unet.health
        self._capabilities = _capabilities(settings)
        self._last: dict[Path, tuple[weakref.ref[LoadedModel], Check]] = {}
        self._checked_at: str | None = None

    def validate(self, package: ModelPackage, loaded_model: "LoadedModel") -> None:
        """Check a model that was just loaded.

        Raises
        ------
        ModelError
            If it fails and the settings want such models refused.
        """
        if not self._health_settings.startup_validation:
            return
        self.check(package, loaded_model)
        last = self._last_check(package, loaded_model)
        if last is not None and last.problems:
            raise ModelError(Sentence("{path}: {reason}", path=package.weights, reason=joined(last.problems)))

    def check(self, package: ModelPackage, loaded_model: "LoadedModel") -> None:
        """Run a model on its test picture, where the settings want that, and remember what came of it."""
        if not self._health_settings.dummy_inference_test:
            return
        self._checked_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        known_answer = read_known_answer(package) if self._health_settings.known_answer_test else None
        self._last[package.source] = weakref.ref(loaded_model), check_model(loaded_model, known_answer)

    def _last_check(self, package: ModelPackage, loaded_model: "LoadedModel | None") -> Check | None:
        """Return what came of the last check, if that was of what is loaded now."""
        checked, check = self._last.get(package.source, (None, None))
        return check if checked is not None and loaded_model is not None and checked() is loaded_model else None

    @staticmethod
    def warm_up(loaded_model: "LoadedModel") -> None:
        """Run a model once, so that the first image does not pay for it."""
        loaded_model.answer(draw_test_picture(loaded_model))

    def report(
        self, package: ModelPackage, models: ModelCache, counter: RunCounter, failure: Exception | None
    ) -> Health:
        """Put together what is known.

        Parameters
        ----------
        package
            The model that was asked about.
        failure
            Why it could not be checked; None if it was, or need not be.
        """
        loaded = models.peek(package)
        last = self._last_check(package, loaded)
        problems = last.problems if last else ()
        if failure is not None:
            problems = (_sentence(failure),)
        elif loaded is None:
            problems = (NOT_LOADED,)
        performance = counter.snapshot(gpu_percent(loaded.device.torch_name) if loaded else None)
        slow = slow_remarks(performance.recent_ms[-1] / 1000, self._settings) if performance.recent_ms else ()
        fallback = (loaded.device.warning,) if loaded and loaded.device.warning else ()
        return Health(
            service_healthy=not problems,
            model_loaded=loaded is not None,
            memory_pools_ready=loaded is not None,
            gpu_available=gpu_available(),
            last_health_check=self._checked_at,
            model_info=identify(package, loaded),
            memory_usage=memory_usage(loaded, models.loaded_models),
            capabilities=self._capabilities,
            performance=performance,
            last_error=counter.last_error,
            problems=problems,
            warnings=fallback + models.left_out(package) + slow,
            memory_steps=tuple(step.text for step in loaded.memory_steps) if loaded else (),
            device_reason=loaded.device.reason if loaded else None,
            precision=loaded.backend.precision if loaded else None,
            backend=loaded.plan.backend if loaded else None,
            backend_reason=loaded.plan.reason if loaded else None,
            compilation=(loaded.backend.compilation or None) if loaded else None,
            dummy_inference_ms=last.dummy_inference_ms if last else None,
            known_answer=last.known_answer if last else None,
        )


def _capabilities(settings: Settings) -> tuple[str, ...]:
    """Name what can be asked for; the first three as published."""
    inference = settings.unet.inference
    switched = {
        "batch_processing": inference.enable_batch_processing,
        "confidence_scoring": inference.enable_confidence,
    }
    able = [name for name, is_on in switched.items() if is_on]
    return ("segmentation", *able, "contours", "measurements", "several_models")


def _sentence(error: Exception) -> str:
    if isinstance(error, UnetsegError):
        return error_sentence(error)
    if is_out_of_memory(error):
        return no_memory_to_check("cpu")
    return Sentence("The network failed on a small test image: {error}", error=f"{type(error).__name__}: {error}")
