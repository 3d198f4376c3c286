"""What the endpoints of a server share."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_unetseg.config import Settings
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.metrics import Metrics
from napari_unetseg.server.startup import Startup
from napari_unetseg.server.workers import Workers
from napari_unetseg.zoo.registry import usable_models

if TYPE_CHECKING:
    from napari_unetseg.server.job_runner import JobRunner
    from napari_unetseg.service import SegmentationService


@dataclass(frozen=True)
class ServerContext:
    """One server.

    Attributes
    ----------
    settings
        What it goes by.
    service
        What does the work; any thread may call it.
    workers
        The threads that do it for requests.
    startup
        Loads the model at the start, and says whether it is ready.
    jobs
        What works on jobs; None where there are none.
    metrics
        Counts requests, images and objects.
    """

    settings: Settings
    service: "SegmentationService"
    workers: Workers
    startup: Startup
    jobs: "JobRunner | None" = None
    metrics: Metrics = field(default_factory=Metrics)
    _found: set[str] = field(default_factory=set)

    def known_model(self, name: str | None) -> str | None:
        """Return what a verb of the service takes for a model that a request names; None for its own.

        Names alone are known, so that no request has a path opened.

        Raises
        ------
        ApiError
            404 ``model_unknown`` if no model of this server is called so.
        """
        if name is None or name == self.service.package.name:
            return None
        if name not in self._found:
            # The service remembers what it has found, too.
            self._found.update(package.name for package in usable_models())
        if name not in self._found:
            raise ApiError(404, "model_unknown", "There is no such model; GET /models lists those there are.", "model")
        return name
