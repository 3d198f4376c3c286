"""What the rows of the window do with servers: set one up, offer its models, and say what is wrong with it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, Signal

from napari_unetseg.language import tr
from napari_unetseg.plugin.dock.device_box import SERVER
from napari_unetseg.plugin.dock.remembered_settings import forget_server, remember_server
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.parts.card_text import model_title
from napari_unetseg.plugin.parts.messages import Action
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.servers import server_words as words
from napari_unetseg.plugin.servers.server_dialog import ServerDialog
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.servers import Servers, cancellable_questions
from napari_unetseg.plugin.workers.services import forget_service
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

    from napari_unetseg.client import ServerReport

_PAUSE_MS = 100


class ServerRows(QObject):
    """Opens the dialog of servers, and asks the chosen server, in a worker, which models it has.

    Parameters
    ----------
    viewer
        Gives the theme.
    rows
        Where a server is chosen, and where it is said what is wrong with it.
    servers
        Asks servers and keeps keys.
    controller
        Has the word while it runs.
    window
        Owner of this and of the dialog.

    Attributes
    ----------
    changed
        What is known of the chosen server is not what it was.
    """

    changed = Signal()

    def __init__(
        self, viewer: "ViewerModel", rows: Rows, servers: Servers, controller: RunController, window: "QWidget"
    ) -> None:
        super().__init__(window)
        self._viewer, self._rows, self._servers, self._window = viewer, rows, servers, window
        self._controller = controller
        self._report: ServerReport | None = None
        self._said = ""
        self.dialog: ServerDialog | None = None
        self._worker: LatestWorker[str, ServerReport] = LatestWorker(self._prepare, _PAUSE_MS, self)
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)
        rows.inputs.device.server_requested.connect(self.open)
        rows.inputs.device.chosen.connect(self.ask)
        self.ask()

    @property
    def busy(self) -> bool:
        """Whether an answer of a server is still to come."""
        return self._worker.busy or (self.dialog is not None and self.dialog.busy)

    @property
    def version(self) -> str:
        """Version of the chosen server; empty while it is not known."""
        return "" if self._report is None else self._report.version

    def ask(self) -> None:
        """Ask the chosen server which models it has; where none is chosen, offer those of this machine alone."""
        server = self._rows.inputs.device.server()
        self._report = None
        if self._said and self._rows.message.text.text() == self._said:
            self._rows.message.show_message("")  # it was about another server, or another key
        if server is None:
            self._worker.stop()
            self._rows.inputs.model.set_server_models("", None)
        else:
            self._worker.ask(server)
        self.changed.emit()

    def stop(self) -> None:
        """Ask no longer, and close the dialog."""
        self._worker.stop()
        if self.dialog is not None:
            self.dialog.close()

    def obstacle(self, package: ModelPackage) -> str | None:
        """Say why a model cannot be run on the chosen server; None if it can, or if that is not known."""
        server = self._rows.inputs.device.server()
        if server is None or self._report is None or package.name in self._report.models:
            return None
        return words.lacks_model(server, model_title(package.card))

    def action(self) -> Action:
        """Offer the dialog as the button of a message."""
        return tr(SERVER), tr(words.ACTION_TIP), self.open

    def action_for(self, error: Exception) -> Action | None:
        """Offer the dialog where an error is about a server."""
        from napari_unetseg.client.errors import ServerError

        return self.action() if isinstance(error, ServerError) else None

    def open(self) -> None:
        """Ask for the address and the key of a server: those of the chosen one, else of the last that is offered."""
        if self.dialog is not None or self._controller.running:
            return
        device = self._rows.inputs.device
        shown = device.server() or next(reversed(device.servers()), "")
        dialog = self.dialog = ServerDialog(self._servers, shown, bool(shown), self._window)
        dialog.use_theme(get_theme(self._viewer.theme))
        dialog.saved.connect(self._on_saved)
        dialog.removed.connect(self._on_removed)
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _on_saved(self, address: str) -> None:
        forget_service(address)  # which had the key from before
        device = self._rows.inputs.device
        device.add_server(address)
        remember_server(address)
        if device.server() == address:
            self.ask()  # with the key that may be another one now
        device.choose(address)

    def _on_removed(self, address: str) -> None:
        self._rows.inputs.device.remove_server(address)
        forget_server(address)

    def _prepare(self, server: str) -> "Callable[[Task[ServerReport]], ServerReport]":
        def check(task: "Task[ServerReport]") -> "ServerReport":
            with cancellable_questions(server, task.cancelled):  # so that another server is asked at once
                return self._servers.check(server)

        return check

    def _on_answered(self, server: str, report: "ServerReport") -> None:
        self._report = report
        self._rows.inputs.model.set_server_models(server, report.packages)
        self.changed.emit()

    def _on_failed(self, server: str, error: Exception) -> None:
        self._rows.inputs.model.set_server_models("", None)
        if not self._controller.running:
            failure = describe_error(error)
            self._said = failure.sentence
            self._rows.message.show_failure(failure, self.action())
        self.changed.emit()
