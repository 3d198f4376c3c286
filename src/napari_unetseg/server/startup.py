"""What a server does before it is ready: load its model, and find the batch size of its device."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from napari_unetseg.config import Settings
from napari_unetseg.errors import one_line

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService

_log = logging.getLogger(__name__)


class Startup:
    """Loads the model in a thread, while the server says already that it lives.

    Parameters
    ----------
    service
        Whose model it is.
    settings
        `server.measure_batch` is read.

    Attributes
    ----------
    ready
        Whether the model is loaded and checked.
    failure
        Why it cannot be, in a line; None while that is not known.
    on_failure
        Called once it is; a program that cannot do without the model ends then.
    """

    def __init__(self, service: "SegmentationService", settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self.ready = False
        self.failure: str | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def begin(self) -> Thread:
        """Load the model in a thread, which is returned."""
        thread = Thread(target=self._load, name="startup", daemon=True)
        thread.start()
        return thread

    def _load(self) -> None:
        try:
            self._service.initialize()
        except Exception as error:
            self.failure = one_line(error)
            _log.error("The model cannot be loaded: %s", self.failure)
            self.on_failure()
            return
        self.ready = True
        _log.info("%s is ready", self._service.package.name)
