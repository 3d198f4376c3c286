"""The section itself: a header with the light, the panel below it, and what each event means for both."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QDockWidget, QFrame, QHBoxLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_unetseg.language import mark, tr, translated
from napari_unetseg.plugin.panel import health_texts
from napari_unetseg.plugin.panel.drawing import Lines
from napari_unetseg.plugin.panel.health_controller import HealthController, HealthReport, ModelOnDevice
from napari_unetseg.plugin.panel.health_panel import HealthPanel
from napari_unetseg.plugin.panel.health_texts import ErrorDetails, HealthAction, Light
from napari_unetseg.plugin.parts.badge import Badge
from napari_unetseg.plugin.parts.server_names import is_server, server_name
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.services import ServiceFactory
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.service import Health, ModelInfo

_TITLE_TIP = mark("What the model is, where it runs, and how it is doing. Closed, it asks nothing of the computer.")
_BUSY: dict[HealthAction, tuple[str, str]] = {
    "check": (mark("checking..."), mark("Running the model on a small test image; it is loaded first if need be.")),
    "reload": (mark("reloading..."), mark("Reading card and weights from disk again.")),
    "warm up": (mark("warming up..."), mark("Loading the model and running it once.")),
    "free": (
        mark("freeing memory..."),
        mark("Taking the model and its buffers out of memory, after the run that may use them."),
    ),
}
_FAILED: dict[HealthAction, str] = {
    "refresh": mark("The service could not be asked."),
    "check": mark("The check failed."),
    "reload": mark("The model could not be reloaded."),
    "warm up": mark("The model could not be loaded."),
    "free": mark("The memory could not be freed."),
}
_NOT_ASKED = Light("idle", mark("not asked yet"), mark("Open for the first time: the figures are on their way."))
_NO_MODEL = Light("idle", mark("no model"), mark("Choose a model that can be used."))
_MIN_HEIGHT = 160
_RUNNING = mark("Segmenting. The buttons wait for the end of the run.")


class HealthSection(QWidget):
    """Model & Health: closed, one line; open, everything.

    The light of a check that failed stays until another check, a run or a button succeeds: a refresh
    asks for less and cannot take their verdict back.

    Parameters
    ----------
    services
        Gives the service of a model and device, in workers.
    parent
        Owner.
    """

    def __init__(self, services: ServiceFactory, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.toggle = QPushButton()
        self.toggle.setToolTip(tr(_TITLE_TIP))
        self.toggle.setStyleSheet("text-align: left; padding-left: 6px;")
        self.badge, self.summary = Badge(), Lines(1)
        self.panel = HealthPanel()
        self.area = QScrollArea()
        self.controller = HealthController(services, parent=self)
        self.light = _NO_MODEL
        self._judged_by: HealthAction = "refresh"
        self._busy: HealthAction | None = None
        self._running = False
        self._dock: QDockWidget | None = None
        self._shown, self._shown_in_dock = False, True
        self._arrange()
        self.toggle.clicked.connect(lambda: self.expand(not self.expanded))
        self.panel.pressed.connect(self.controller.do)
        self.controller.began.connect(self._on_began)
        self.controller.ended.connect(self._on_ended)
        self.controller.reported.connect(self._on_report)
        self.controller.failed.connect(self._on_failed)
        self.expand(False)
        self._show_light()

    @property
    def expanded(self) -> bool:
        """Whether the panel is open."""
        return not self.area.isHidden()

    @property
    def checking(self) -> bool:
        """Whether an answer of the service is still to come."""
        return self.controller.checking

    def expand(self, expanded: bool = True) -> None:
        """Open or close the panel."""
        self.area.setVisible(expanded)
        self.toggle.setText(f"{'▾' if expanded else '▸'}  {tr('Model && Health')}")
        self._watch()

    def do(self, action: HealthAction) -> None:
        """Open the panel and press one of its buttons."""
        self.expand()
        self.panel.buttons[action].click()

    def choose(self, package: ModelPackage | None, device: str) -> None:
        """Show another model, or the same on another device, which may be a server."""
        self.panel.show_model(package, server_name(device) if is_server(device) else "")
        self.light, self._judged_by = _NO_MODEL if package is None else _NOT_ASKED, "refresh"
        self.controller.choose(None if package is None else ModelOnDevice(str(package.path), device))
        self._show_light()

    def run_began(self) -> None:
        """Say that an image is being segmented; the buttons wait for its end."""
        self._running = True
        self._show_light()
        self.controller.set_running(True)

    def run_ended(self) -> None:
        """Offer the buttons again."""
        self._running = False
        self._show_light()
        self.controller.set_running(False)

    def show_run(self, info: "ModelInfo", health: "Health") -> None:
        """Show what the service said after a run that succeeded."""
        self._on_report(HealthReport("run", info, health))

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.badge.use_theme(theme)
        self.panel.use_theme(theme)

    def event(self, event: QEvent | None) -> bool:
        """Ask only while the panel can be seen; a dock behind another one, or a minimised window, cannot."""
        handled = bool(super().event(event))
        if event is not None and event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._follow_dock()
            self._shown = event.type() == QEvent.Type.Show
            self._watch()
        return handled

    def _watch(self) -> None:
        self.controller.watch(self.expanded and self._shown and self._shown_in_dock)

    def _follow_dock(self) -> None:
        dock = self.parentWidget()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parentWidget()
        if dock is not self._dock:
            self._dock = dock
            if dock is not None:
                dock.visibilityChanged.connect(self._on_dock)

    def _on_dock(self, visible: bool) -> None:
        self._shown_in_dock = visible
        self._watch()

    def _on_began(self, action: HealthAction) -> None:
        self._busy = action
        self._show_light()

    def _on_ended(self) -> None:
        self._busy = None
        self._show_light()

    def _on_report(self, report: HealthReport) -> None:
        self.panel.show_figures(report.info, report.health)
        light = health_texts.light(report.health, report.action)
        if report.message and light.kind != "error":
            light = replace(light, words=translated(report.message))
        self._judge(light, report.action)
        self._add_error(health_texts.error_details(report.health, report.action, datetime.now().astimezone()))
        self._show_light()

    def _on_failed(self, action: HealthAction, error: Exception) -> None:
        failure = describe_error(error)
        failed = tr(_FAILED[action])
        self._judge(Light("error", tr("trouble"), f"{failed} {failure.sentence}", failed), action)
        self._add_error(ErrorDetails(failure.sentence, datetime.now().astimezone(), failure.details))
        self._show_light()
        if action != "refresh":
            self.area.ensureWidgetVisible(self.panel.last_error)

    def _judge(self, light: Light, action: HealthAction) -> None:
        """Take over a light, unless it is a refresh's against the fault that something else found."""
        if action == "refresh" and self._judged_by != "refresh" and self.light.kind == "error":
            return
        self.light, self._judged_by = light, action

    def _add_error(self, new: ErrorDetails | None) -> None:
        """Show an error unless a later one, or the same one, is shown already."""
        shown = self.panel.last_error.error
        latest = health_texts.newest([shown, new])
        if latest is not None and (shown is None or latest.sentence != shown.sentence):
            self.panel.last_error.show_error(latest)

    def _show_light(self) -> None:
        light = self.light
        reason = None
        if self._busy is not None:
            state, words = _BUSY[self._busy]
            light = Light("busy", tr(state), tr(words))
            reason = tr("Wait for the answer.")
        elif self._running:
            light = replace(light, kind="busy", state=tr("running"), words=tr(_RUNNING))
            reason = tr(_RUNNING)
        elif light in (_NO_MODEL, _NOT_ASKED):
            reason = tr(light.words) if light is _NO_MODEL else None
            light = replace(light, state=tr(light.state), words=tr(light.words))
        self.badge.show_kind(light.kind)
        self.summary.say(light.summary)
        self.panel.words.say(light.words)
        self.panel.allow(reason)

    def _arrange(self) -> None:
        self.area.setWidget(self.panel)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setMinimumHeight(_MIN_HEIGHT)
        # Open, the section takes the height that the rows above it leave.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.badge)
        line.addWidget(self.summary, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.toggle)
        column.addLayout(line)
        column.addWidget(self.area, 1)
        column.addStretch()
