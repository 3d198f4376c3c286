"""The `Model & Health` section: what is loaded, where, and how it is doing."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_unetseg.plugin.background import Task, start
from napari_unetseg.plugin.badge import Badge, Kind
from napari_unetseg.plugin.inputs import LABEL_WIDTH
from napari_unetseg.plugin.services import ServiceFactory
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service import Health, ModelInfo

_ROWS = {
    "model": ("Model", "The model that is chosen above, and whether its weights are in memory."),
    "device": ("Device", "Where the model runs, in which arithmetic, and why there."),
    "weights": ("Weights", "Trainable numbers of the network, and the start of the SHA-256 of its file."),
    "latency": ("Latency", "Time the network took, without reading the image and drawing the layers."),
    "memory": ("Memory", "Memory of this napari process and, on a GPU, of the model and its images there."),
}
_CHECK_TIP = "Load the model if it is not loaded and run it on a small test image, in the background."


class HealthPanel(QWidget):
    """Facts about the model, a light, and a button that checks them."""

    check_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.badge, self.words = Badge(), QLabel()
        self.check = QPushButton("Check")
        self.check.setToolTip(_CHECK_TIP)
        self.check.clicked.connect(self.check_pressed)
        self.values: dict[str, QLabel] = {}
        self._arrange()
        self.show_package(None)

    def say(self, kind: Kind, text: str) -> None:
        """Show a state: glyph, colour and words say the same."""
        self.badge.show_kind(kind)
        self.words.setText(text)
        self.words.setToolTip(text)

    def show_package(self, package: ModelPackage | None) -> None:
        """Show a model that was chosen but not yet asked about."""
        for value in self.values.values():
            value.setText("-")
        if package is not None:
            self.values["model"].setText(f"{package.card.display_name}, not loaded yet")
            self.values["weights"].setText(f"SHA-256 {package.card.weights.sha256[:12] or 'not read yet'}")
        self.say("plain", "Not checked")

    def show_report(self, info: "ModelInfo", health: "Health", last_run: float | None = None) -> None:
        """Show what the service says about itself; `last_run` is in seconds of network time."""
        loaded = "loaded" if info.loaded else "not loaded yet"
        self._set("model", f"{info.display_name}, {loaded}")
        if info.device:
            self._set("device", f"{info.device.upper()}, {info.precision}: {info.device_reason}")
        count = f"{_short(info.live_parameters)} parameters, " if info.live_parameters else ""
        self._set("weights", f"{count}SHA-256 {info.weights_sha256[:12]}")
        latencies = [
            (health.dummy_inference_ms, "test image {}"),
            (None if last_run is None else 1000 * last_run, "last {}"),
            (health.performance.latency_p95_ms, "95 % within {}"),
        ]
        self._set("latency", ", ".join(text.format(_ms(ms)) for ms, text in latencies if ms is not None) or "-")
        device = f", GPU {health.memory_usage.device_mb:,.0f} MB" if health.memory_usage.device_mb else ""
        if health.memory_usage.process_mb is not None:
            self._set("memory", f"{health.memory_usage.process_mb:,.0f} MB{device}")
        if health.service_healthy:
            self.say("good", "Healthy")
        else:
            self.say("error", f"Problem: {' '.join(health.problems)}")

    def _set(self, key: str, text: str) -> None:
        self.values[key].setText(text)
        self.values[key].setToolTip(text)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        grid.setColumnStretch(1, 1)
        line = QHBoxLayout()
        self.words.setWordWrap(True)
        line.addWidget(self.badge)
        line.addWidget(self.words, 1)
        line.addWidget(self.check)
        grid.addLayout(line, 0, 0, 1, 2)
        for row, (key, (words, tip)) in enumerate(_ROWS.items(), start=1):
            label, value = QLabel(words), QLabel("-")
            label.setToolTip(tip)
            value.setToolTip(tip)
            value.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self.values[key] = value
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1, Qt.AlignmentFlag.AlignTop)


class HealthController(QObject):
    """Ask a service how it is, off the GUI thread; one question at a time.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.
    """

    reported = Signal(object, object)
    failed = Signal(object)

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task[tuple[ModelInfo, Health]] | None = None

    @property
    def checking(self) -> bool:
        """Whether an answer is still to come."""
        return self._task is not None

    def check(self, model: str, device: str) -> None:
        """Load the model if needed and run it on a test image; nothing happens while a check runs."""
        if self.checking:
            return
        services = self._services

        def ask(_: Task[tuple["ModelInfo", "Health"]]) -> tuple["ModelInfo", "Health"]:
            service = services(model, device)
            health = service.health()
            return service.model_info(), health

        self._task = Task(ask)
        start(self._task, returned=self._pass_on, errored=self.failed.emit, finished=self._end)

    def _pass_on(self, answer: tuple["ModelInfo", "Health"]) -> None:
        self.reported.emit(*answer)

    def _end(self) -> None:
        self._task = None


def _short(number: int) -> str:
    """Return ``"612"``, ``"1.94 M"``."""
    return f"{number / 1e6:.2f} M" if number >= 100_000 else f"{number:,}"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:,.1f} s"
