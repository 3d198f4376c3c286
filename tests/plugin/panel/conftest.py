import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from napari_unetseg.service import SegmentationService
from napari_unetseg.service.reports import Health


class Witness:
    """A real service that notes what it is asked, and stands still while `hold` is set.

    Attributes
    ----------
    change
        Replaces fields of the health it tells.
    """

    def __init__(self, service: SegmentationService) -> None:
        self._service = service
        self.asked: list[str] = []
        self.change: dict[str, Any] = {}
        self.error: Exception | None = None
        self._go_on = threading.Event()
        self._go_on.set()

    def hold(self) -> None:
        self._go_on.clear()

    def release(self) -> None:
        self._go_on.set()

    def health(self, dummy_inference: bool = True) -> Health:
        self._note("check" if dummy_inference else "refresh")
        return replace(self._service.health(dummy_inference), **self.change)

    def initialize(self, force_reload: bool = False, warm_up: bool = True) -> Any:
        self._note(f"initialize(force_reload={force_reload}, warm_up={warm_up})")
        return self._service.initialize(force_reload, warm_up)

    def unload(self) -> None:
        self._note("unload")
        self._service.unload()

    def _note(self, what: str) -> None:
        self.asked.append(what)
        assert self._go_on.wait(20)
        if self.error is not None:
            raise self.error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@pytest.fixture
def witness(bright_model: Any) -> Any:
    seen = Witness(SegmentationService(bright_model, "cpu"))
    yield seen
    seen.release()


@pytest.fixture
def answered(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a controller or a section has its answer."""
    return lambda asker: qtbot.waitUntil(lambda: not asker.checking, timeout=20_000)
