"""What the section shows when it is open: state, buttons, device, memory, pace, last error, card."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.panel import health_texts
from napari_unetseg.plugin.panel.card_rows import CardView
from napari_unetseg.plugin.panel.drawing import Bar, Lines, Sparkline
from napari_unetseg.plugin.panel.health_texts import NOTHING, HealthAction, Meter
from napari_unetseg.plugin.panel.last_error import LastErrorRow
from napari_unetseg.plugin.parts.form import LABEL_WIDTH
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.service import Health, ModelInfo

BUTTONS: dict[HealthAction, tuple[str, str]] = {
    "check": (
        mark("Check now"),
        mark("Load the model if it is not loaded, run it on a small test image and compare its answer."),
    ),
    "reload": (
        mark("Reload"),
        mark("Read the model's card and weights from disk again, for instance after replacing them."),
    ),
    "warm up": (
        mark("Warm up"),
        mark("Load the model and run it once, so that the first image does not wait for that."),
    ),
    "free": (
        mark("Free memory"),
        mark("Take the model and its buffers out of memory; the next run loads it again."),
    ),
}
_DEVICE_TIP = mark("Where the model runs, in which arithmetic, by which runtime, and why there.")
_METERS = {
    "host": (
        "napari",
        mark("Memory of the computer: first the part that napari holds, then that of all other programs."),
    ),
    "device": ("GPU", mark("Memory of the GPU that the model and its images hold.")),
    "input": (
        mark("Input pool"),
        mark("Buffers for images on their way to the network: the part in use, and how many were reused."),
    ),
    "output": (
        mark("Output pool"),
        mark("Buffers for the network's answers: the part in use, and how many were reused."),
    ),
}
_READ = {
    "host": health_texts.host_meter,
    "device": health_texts.device_meter,
    "input": health_texts.input_pool_meter,
    "output": health_texts.output_pool_meter,
}
_SERVER = mark("Server")
_SERVER_TIP = mark(
    "Memory of the computer that the server runs on: first the part that the server holds, then that of all other "
    "programs."
)
_NOT_THERE: dict[HealthAction, str] = {
    "free": mark("The server decides itself which models it keeps in memory: others may be using them."),
}
_LATENCY_TIP = mark(
    "Time the network took for each of the last runs, newest at the right, without reading the image and drawing "
    "the layers. The line stands on zero; its highest point is the slowest of these runs.\n"
    "Half of the runs took no longer than the median, 95 % no longer than p95."
)
_WORK_TIP = mark("Images since the model was first used, and use of the processors; 100 % is one of them.")
_REMARKS_TIP = mark("What was done when memory ran out, and what slows the model down.")


class HealthPanel(QWidget):
    """Rows that keep their place; before a value is known they show a dash.

    Attributes
    ----------
    pressed
        Emitted with the action of a button.
    """

    pressed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = Lines(2)
        self.buttons = {action: QPushButton(tr(words)) for action, (words, _) in BUTTONS.items()}
        self.device, self.reason = Lines(1, tr(_DEVICE_TIP)), Lines(3, tr(_DEVICE_TIP))
        self.bars = {key: Bar() for key in _METERS}
        self.figures = {key: Lines(1) for key in _METERS}
        self.sparkline = Sparkline()
        self.sparkline.setToolTip(tr(_LATENCY_TIP))
        self.latency, self.work = (
            Lines(1, tr(_LATENCY_TIP)),
            Lines(1, tr(_WORK_TIP)),
        )
        self.remarks = Lines(2, tr(_REMARKS_TIP))
        self.last_error = LastErrorRow()
        self.host = QLabel()
        self.server, self._version, self._why = "", "", ""
        self.card = CardView()
        for action, button in self.buttons.items():
            button.clicked.connect(lambda _, action=action: self.pressed.emit(action))
        self._arrange()
        self.allow(None)
        self.show_model(None)

    def show_model(self, package: ModelPackage | None, server: str = "") -> None:
        """Show a model of which there is no report yet, and what people call the server that runs it, if one does."""
        self.server = server
        self._version = ""
        self.host.setText(tr(_SERVER if server else _METERS["host"][0]))
        self.card.show_model(package)
        for text in (self.device, self.latency, self.work, self.remarks):
            text.say(NOTHING)
        self._say_why("")
        self.sparkline.show_values(())
        for key in _METERS:
            self._show_meter(key, Meter((), NOTHING, ""))
        self.last_error.show_error(None)

    def show_figures(self, info: "ModelInfo", health: "Health") -> None:
        """Show all figures of a report."""
        self.card.show_info(info)
        self.device.say(health_texts.device(health))
        self._say_why(health_texts.reason(health))
        for key, read in _READ.items():
            self._show_meter(key, read(health.memory_usage, bool(self.server)))
        self.sparkline.show_values(health.performance.recent_ms)
        self.latency.say(health_texts.latency(health.performance))
        self.work.say(health_texts.work(health.performance))
        self.remarks.say(health_texts.remarks(health))
        self.last_error.about = f"Model {info.display_name} ({info.checkpoint_path}), {health_texts.device(health)}"

    def show_version(self, version: str) -> None:
        """Name the version of the server."""
        self._version = version
        self._say_why(self._why)

    def allow(self, reason: str | None) -> None:
        """Enable the buttons, or say in their tooltips why they cannot be pressed."""
        for action, button in self.buttons.items():
            why_not = reason or (tr(_NOT_THERE[action]) if self.server and action in _NOT_THERE else None)
            button.setEnabled(why_not is None)
            button.setToolTip(why_not or tr(BUTTONS[action][1]))

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        for bar in self.bars.values():
            bar.use_theme(theme)
        self.sparkline.use_theme(theme)

    def _say_why(self, why: str) -> None:
        """Say on which server the model runs, if it does, and why on this device."""
        self._why = why
        where = health_texts.server_line(self.server, self._version)
        self.reason.say(" ".join(part for part in (where, why or tr("It is chosen when the model loads.")) if part))

    def _show_meter(self, key: str, meter: Meter) -> None:
        self.bars[key].show_parts(meter.parts)
        self.figures[key].say(meter.words)
        explanation = _SERVER_TIP if self.server and key == "host" else _METERS[key][1]
        tip = " ".join(part for part in (tr(explanation), meter.tip) if part)
        for widget in (self.bars[key], self.figures[key]):
            widget.setToolTip(tip)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(6)
        # Where the words are longer than the column is wide, the last buttons take a second line.
        line = QFlowLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setHorizontalSpacing(3)
        line.setVerticalSpacing(3)
        for button in self.buttons.values():
            button.setStyleSheet("padding: 4px 2px;")
            line.addWidget(button)
        column.addWidget(self.words)
        column.addLayout(line)
        column.addLayout(self._figures_grid())
        column.addWidget(self.last_error)
        column.addWidget(_rule())
        column.addWidget(self.card)
        column.addStretch()

    def _figures_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setHorizontalSpacing(8)
        grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        grid.setColumnStretch(1, 2)
        grid.setColumnStretch(2, 5)
        _add_label(grid, 0, mark("Device"), _DEVICE_TIP)
        grid.addWidget(self.device, 0, 1, 1, 2)
        grid.addWidget(self.reason, 1, 1, 1, 2)
        for row, (key, (words, tip)) in enumerate(_METERS.items(), start=2):
            _add_label(grid, row, words, tip, self.host if key == "host" else None)
            grid.addWidget(self.bars[key], row, 1)
            grid.addWidget(self.figures[key], row, 2)
        _add_label(grid, 6, mark("Latency"), _LATENCY_TIP)
        for row, widget in enumerate((self.sparkline, self.latency, self.work), start=6):
            grid.addWidget(widget, row, 1, 1, 2)
        _add_label(grid, 9, mark("Remarks"), _REMARKS_TIP)
        grid.addWidget(self.remarks, 9, 1, 1, 2)
        return grid


def _add_label(grid: QGridLayout, row: int, words: str, tip: str, label: QLabel | None = None) -> None:
    label = label or QLabel()
    label.setText(tr(words))
    label.setToolTip(tr(tip))
    grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)


def _rule() -> QFrame:
    rule = QFrame()
    rule.setFrameShape(QFrame.Shape.HLine)
    return rule
