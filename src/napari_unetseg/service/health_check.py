"""What is checked of a service's models, and what comes of it in a report."""

import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unetseg.config import Settings
from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.language import Sentence, joined, sentence_of
from napari_unetseg.service.advice import slow_remarks
from napari_unetseg.service.checks import Check, check_model, draw_test_picture
from napari_unetseg.service.counters import RunCounter
from napari_unetseg.service.describe import identify
from napari_unetseg.service.model_cache import ModelCache
from napari_unetseg.service.reports import Health
from napari_unetseg.service.usage import gpu_available, gpu_percent, memory_usage
from napari_unetseg.zoo.known_answer import read_known_answer
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

NOT_LOADED = Sentence("The model is not loaded yet; it loads on the first run.")


class Checkup:
    """Checks models as the settings want, and reports on them.

    Parameters
    ----------
    settings
        `unet.health` says what is checked, `unet.inference` what the service can do.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wanted = settings.unet.health
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
        if not self._wanted.startup_validation:
            return
        self.check(package, loaded_model)
        last = self._last_check(package, loaded_model)
        if last is not None and last.problems:
            raise ModelError(Sentence("{path}: {reason}", path=package.weights, reason=joined(last.problems)))

    def check(self, package: ModelPackage, loaded_model: "LoadedModel") -> None:
        """Run a model on its test picture, where the settings want that, and remember what came of it."""
        if not self._wanted.dummy_inference_test:
            return
        self._checked_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        answer = read_known_answer(package) if self._wanted.known_answer_test else None
        self._last[package.source] = weakref.ref(loaded_model), check_model(loaded_model, answer)

    def _last_check(self, package: ModelPackage, loaded_model: "LoadedModel | None") -> Check | None:
        """Return what came of the last check, if that was of what is loaded now."""
        checked, check = self._last.get(package.source, (None, None))
        return check if checked is not None and loaded_model is not None and checked() is loaded_model else None

    @staticmethod
    def warm_up(loaded_model: "LoadedModel") -> None:
        """Run a model once, so that the first image does not pay for it."""
        loaded_model.backend.run(draw_test_picture(loaded_model)[np.newaxis])

    def report(
        self, package: ModelPackage, models: ModelCache, counter: RunCounter, trouble: Exception | None
    ) -> Health:
        """Put together what is known.

        Parameters
        ----------
        package
            The model that was asked about.
        trouble
            Why it could not be checked; None if it was, or need not be.
        """
        loaded = models.peek(package)
        last = self._last_check(package, loaded)
        problems = last.problems if last else ()
        if trouble is not None:
            problems = (_told(trouble),)
        elif loaded is None:
            problems = (NOT_LOADED,)
        performance = counter.read(gpu_percent(loaded.device.kind) if loaded else None)
        slow = slow_remarks(performance.recent_ms[-1] / 1000, self._settings) if performance.recent_ms else ()
        fallback = (loaded.device.warning,) if loaded and loaded.device.warning else ()
        return Health(
            service_healthy=not problems,
            model_loaded=loaded is not None,
            memory_pools_ready=loaded is not None,
            gpu_available=gpu_available(),
            last_health_check=self._checked_at,
            model_info=identify(package, loaded),
            memory_usage=memory_usage(loaded, models.runtimes),
            capabilities=self._capabilities,
            performance=performance,
            last_error=counter.last_error,
            problems=problems,
            warnings=fallback + slow,
            memory_steps=tuple(step.text for step in loaded.memory_steps) if loaded else (),
            device_reason=loaded.device.reason if loaded else None,
            precision=loaded.backend.precision if loaded else None,
            backend=loaded.plan.backend if loaded else None,
            backend_reason=loaded.plan.reason if loaded else None,
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


def _told(error: Exception) -> str:
    if isinstance(error, UnetsegError):
        return sentence_of(error)
    return Sentence("The network failed on a small test image: {error}", error=f"{type(error).__name__}: {error}")
