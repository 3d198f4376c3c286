"""Looks ahead at a run, off the GUI thread: the latest question wins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.plugin.layers.plane import Plane, full_resolution
from napari_unetseg.plugin.work.background import Task, start
from napari_unetseg.plugin.work.preferences import requested_device
from napari_unetseg.plugin.work.services import known_service
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.forecast import Forecast

PAUSE_MS = 150


@dataclass(frozen=True)
class Question:
    """What would be run.

    Attributes
    ----------
    package, device
        The model, and where the user wants it.
    shape, planes
        Height and width, and how many of such planes.
    diameter, augment
        As `SegmentationService.segment` takes them.
    """

    package: ModelPackage
    device: str
    shape: tuple[int, int]
    planes: int
    diameter: float | None = None
    augment: bool = False


Ask = Callable[[Question], "Forecast"]


def question(
    package: ModelPackage | None, device: str, planes: Sequence[Plane], segment_options: Mapping[str, Any]
) -> Question | None:
    """Put what the rows say into a question; None where nothing could be run. Reads no pixels."""
    shapes = [_shape(plane) for plane in planes if plane.source is not None]
    if package is None or not shapes:
        return None
    first = shapes[0][0]
    pixels = sum(prod(shape) * count for shape, count in shapes)
    return Question(
        package,
        device,
        first,
        ceil(pixels / prod(first)),
        segment_options.get("diameter"),
        bool(segment_options.get("augment")),
    )


def _shape(plane: Plane) -> tuple[tuple[int, int], int]:
    """Return height and width of a plane, and how many there are."""
    whole, placement = full_resolution(plane.source).shape, plane.placement
    spans = plane.region or tuple((0, whole[axis]) for axis in placement.plane_axes)
    height, width = (int(last - first) for first, last in spans)
    return (height, width), prod(int(whole[axis]) for axis in placement.stack_axes)


def forecast_question(asked: Question) -> "Forecast":
    """Answer a question; call it in a worker. Loads neither torch nor the model.

    Raises
    ------
    UnetsegError
        If it could not be run.
    """
    from napari_unetseg.config import load_settings
    from napari_unetseg.inference.backends.selection import BackendRequest
    from napari_unetseg.service.forecast import Throughput, Workload, forecast_run

    work = Workload(asked.shape, asked.planes, asked.diameter, asked.augment)
    service = known_service(str(asked.package.path), asked.device)
    if service is not None:
        return service.forecast(work)
    settings = load_settings().settings
    backend_request = BackendRequest(settings.unet.model.backend, settings.unet.model.precision)
    return forecast_run(
        asked.package.card, work, settings, Throughput(), None, requested_device(asked.device), backend_request
    )


class RunForecast(QObject):
    """Emits what the run that was last asked about will take; None if that cannot be told.

    Parameters
    ----------
    ask
        Answers, in a worker.
    parent
        Owner.
    """

    forecast_ready = Signal(object)

    def __init__(self, ask: Ask = forecast_question, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ask = ask
        self._question: Question | None = None
        self._asked: Question | None = None
        self._task: Task[Forecast] | None = None
        self._answer: Forecast | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._next)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._task is not None or self._timer.isActive()

    def look_at(self, asked: Question | None, *, anew: bool = False) -> None:
        """Ask about another run; the same again only `anew`, after which the answer may be another one."""
        if asked == self._question and not anew:
            return
        self._question = asked
        if asked is None:
            self._timer.stop()
            self.forecast_ready.emit(None)
        else:
            self._timer.start()

    def _next(self) -> None:
        asked, ask = self._question, self._ask
        if self._task is not None or asked is None:
            return
        self._asked, self._answer = asked, None
        self._task = Task(lambda _: ask(asked))
        start(self._task, returned=self._keep, errored=self._drop, finished=self._end)

    def _keep(self, answer: "Forecast") -> None:
        self._answer = answer

    def _drop(self, error: Exception) -> None:
        # The run itself will say what is wrong; a forecast is not worth a message.
        self._answer = None

    def _end(self) -> None:
        self._task = None
        if self._asked != self._question:
            self._next()
        else:
            self.forecast_ready.emit(self._answer)
