"""Ask a service how it is, off the GUI thread, one question at a time.

This is a queue and no `LatestWorker`: what a button asks for is done and reported, whatever is asked later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.plugin.panel.health_texts import HealthAction
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory

if TYPE_CHECKING:
    from napari_unetseg.service import Health, ModelInfo

RETRY_SECONDS = 30.0
DURING_RUN_SECONDS = 1.0


@dataclass(frozen=True)
class ModelOnDevice:
    """The model and the device whose service is asked."""

    model: str
    device: str


@dataclass(frozen=True)
class HealthReport:
    """What a service says of itself.

    Attributes
    ----------
    message
        What came of the action, where the service says so itself; else empty.
    """

    action: HealthAction
    info: "ModelInfo"
    health: "Health"
    message: str = ""


def configured_interval() -> float:
    """Return the seconds between two questions that the user has set; reads a file."""
    from napari_unetseg.config import load_settings

    return load_settings().settings.unet.health.health_check_interval


def ask(services: ServiceFactory, target: ModelOnDevice, action: HealthAction) -> HealthReport:
    """Do the action and ask the service how it is; call it in a worker.

    Only a check, a reload and a warm-up load the model.

    Raises
    ------
    UnetsegError
        If model or device cannot be used.
    """
    service = services(target.model, target.device)
    message = ""
    if action == "free":
        service.unload()
    elif action in ("reload", "warm up"):
        message = service.initialize(force_reload=action == "reload", warm_up=action == "warm up").message
    health = service.health(dummy_inference=action == "check")
    return HealthReport(action, service.model_info(), health, message)


class HealthController(QObject):
    """Asks on demand and, while somebody watches, again and again.

    A question is asked only once the one before is answered, so they never pile up. Answers about
    a model that is no longer the chosen one are dropped.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    interval
        Gives the seconds from an answer to the next question, in the worker.
    parent
        Owner.
    """

    began = Signal(str)
    reported = Signal(object)
    failed = Signal(str, object)
    ended = Signal(str)

    def __init__(
        self,
        services: ServiceFactory,
        interval: Callable[[], float] = configured_interval,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._services, self._interval = services, interval
        self._target: ModelOnDevice | None = None
        self._asking: ModelOnDevice | None = None
        self._action: HealthAction = "refresh"
        self._next: HealthAction | None = None
        self._task: Task[tuple[HealthReport, float]] | None = None
        self._report: HealthReport | None = None
        self._error: Exception | None = None
        self._watched = self._running = False
        self._seconds = RETRY_SECONDS
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._refresh)

    @property
    def checking(self) -> bool:
        """Whether a report is still to come."""
        return self._task is not None

    @property
    def waiting(self) -> bool:
        """Whether the service will be asked again by itself."""
        return self._timer.isActive()

    def choose(self, target: ModelOnDevice | None) -> None:
        """Ask about another model or device from now on."""
        self._target = target
        if self._watched:
            self._refresh()

    def watch(self, watched: bool) -> None:
        """Start or stop asking again and again; the first question comes at once."""
        if watched == self._watched:
            return
        self._watched = watched
        if watched:
            self._refresh()
        else:
            self._timer.stop()

    def set_running(self, running: bool) -> None:
        """Ask more often while an image is being segmented."""
        self._running = running
        if self._watched:
            self._refresh()

    def do(self, action: HealthAction) -> None:
        """Do something with the service, after the refresh that may be under way."""
        if self._target is None or self._next is not None or (self.checking and self._action != "refresh"):
            return
        self.began.emit(action)
        if self.checking:
            self._next = action
        else:
            self._ask(action)

    def stop(self) -> None:
        """Wait for no server any more: the window closes, and Python ends only when its threads do."""
        self._timer.stop()
        self._next, self._watched = None, False
        if self._task is not None:
            self._task.quit()

    def _refresh(self) -> None:
        if not self.checking and self._target is not None:
            self._ask("refresh")

    def _ask(self, action: HealthAction) -> None:
        target, services, interval = self._target, self._services, self._interval
        if target is None:
            return
        self._timer.stop()
        self._asking, self._action = target, action
        self._report = self._error = None

        def work(task: Task[tuple[HealthReport, float]]) -> tuple[HealthReport, float]:
            with cancellable_questions(target.device, task.cancelled):
                return ask(services, target, action), interval()

        self._task = Task(work)
        start(self._task, returned=self._on_returned, errored=self._on_errored, finished=self._end)

    def _on_returned(self, outcome: tuple[HealthReport, float]) -> None:
        self._report, self._seconds = outcome

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _end(self) -> None:
        action, report, error, task = self._action, self._report, self._error, self._task
        self._task = self._report = self._error = None
        if task is None:
            return
        if action != "refresh":
            self.ended.emit(action)
        current = self._asking == self._target
        if current and report is not None:
            self.reported.emit(report)
        elif current and error is not None:
            self.failed.emit(action, error)
        self._go_on(current)

    def _go_on(self, current: bool) -> None:
        following, self._next = self._next, None
        if following is not None and self._target is None:
            self.ended.emit(following)
        elif following is not None:
            self._ask(following)
        elif self._watched and not current:
            self._refresh()
        elif self._watched:
            seconds = min(self._seconds, DURING_RUN_SECONDS) if self._running else self._seconds
            self._timer.start(round(1000 * seconds))
