"""A guess at the size of the objects on display, off the GUI thread."""

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.inference.size_estimate import estimate_diameter
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.work.background import Task, start

PAUSE_MS = 300


class SizeEstimator(QObject):
    """Estimate the diameter of a plane's objects once its user has stopped moving through the image.

    Only planes that are in memory are looked at: reading others would cost what nobody asked for. A plane
    that cannot be read gives no guess; a run says why.
    """

    estimated = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wanted: Plane | None = None
        self._task: Task[float | None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._next)

    @property
    def busy(self) -> bool:
        """Whether an estimate is under way or waits."""
        return self._task is not None or self._timer.isActive()

    def look_at(self, plane: Plane | None) -> None:
        """Estimate this plane instead of any other; None: estimate nothing."""
        self._timer.stop()
        self._wanted = plane if plane is not None and plane.in_memory else None
        if self._task is not None:
            self._task.quit()
        if self._wanted is not None:
            self._timer.start()

    def _next(self) -> None:
        if self._task is not None or self._wanted is None:
            return
        plane, self._wanted = self._wanted, None
        self._task = Task(lambda _task: estimate_diameter(plane.read()))
        start(self._task, returned=self._tell, errored=self._ignore, finished=self._end)

    def _tell(self, diameter: float | None) -> None:
        self.estimated.emit(diameter)

    def _ignore(self, error: Exception) -> None:
        self.estimated.emit(None)

    def _end(self) -> None:
        self._task = None
        if not self._timer.isActive():
            self._next()
