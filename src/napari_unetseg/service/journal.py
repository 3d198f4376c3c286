"""What a service writes to the log about its calls."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

import psutil

from napari_unetseg.config import Settings
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.service.logs import FIGURES

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation

_log = logging.getLogger("napari_unetseg.requests")


class Stopwatch:
    """Milliseconds that the stages of a call took, by name."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block; blocks of one name add up."""
        clock = perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + 1000 * (perf_counter() - clock)


class Journal:
    """Writes what the settings want to have in the log.

    Parameters
    ----------
    settings
        Of `unet.logging`, ``log_requests`` and ``enable_performance_logging`` are read.
    """

    def __init__(self, settings: Settings) -> None:
        self._requests = settings.unet.logging.log_requests
        self._performance = settings.unet.logging.enable_performance_logging

    def segmented(self, result: "Segmentation", watch: Stopwatch) -> None:
        """Write down an image that was segmented."""
        told = result.provenance
        if self._requests:
            size = "x".join(str(length) for length in result.labels.shape)
            figures = {"image": told.image, "size": size, "model": told.model, "objects": result.count}
            _log.info("segmented", extra={FIGURES: figures | {"seconds": told.seconds}})
        if self._performance:
            stages = {f"{name}_ms": round(ms, 1) for name, ms in watch.stages.items()}
            memory_mb = round(psutil.Process().memory_info().rss / 2**20)
            _log.info("stages", extra={FIGURES: {"image": told.image, **stages, "process_mb": memory_mb}})

    def failed(self, image: str, error: Exception) -> None:
        """Write down why an image was not segmented; a defect is written down with its traceback in any case."""
        if not isinstance(error, UnetsegError):
            _log.error("failed", exc_info=error, extra={FIGURES: {"image": image}})
        elif self._requests:
            level = logging.INFO if isinstance(error, Cancelled) else logging.WARNING
            _log.log(level, "%s", error, extra={FIGURES: {"image": image}})

    def remarked(self, image: str, seconds: float, remark: str) -> None:
        """Write down a remark on how long an image took."""
        _log.warning(remark, extra={FIGURES: {"image": image, "seconds": round(seconds, 3)}})
