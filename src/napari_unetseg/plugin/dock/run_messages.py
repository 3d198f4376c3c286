"""What the rows of the window say of a run, from its start to its end."""

from qtpy.QtCore import QObject

from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.messages import Action
from napari_unetseg.plugin.parts.server_names import is_server, server_name
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import (
    CALIBRATING,
    CONVERTING,
    FINISHING,
    LOADING,
    WAITING,
    CurrentLayer,
)


class RunMessages(QObject):
    """Says what a run is at, how far it is, and why it ended early; starts and stops nothing.

    Parameters
    ----------
    controller
        Whose runs they are.
    rows
        Where it is said.
    """

    def __init__(self, controller: RunController, rows: Rows) -> None:
        super().__init__(controller)
        self._controller, self._runner, self._message = controller, rows.runner, rows.message
        self._model, self._server = "", ""
        controller.stage.connect(self._on_stage)
        controller.progressed.connect(self._on_progress)

    def begin(self, model: str, device: str) -> None:
        """Say that a run with this model on this device starts."""
        self._model, self._server = model, server_name(device) if is_server(device) else ""
        self._runner.begin()
        self._runner.busy()
        self._message.show_message(tr("Preparing {model}...").format(model=model))

    def cancelling(self) -> None:
        """Say that Cancel was pressed."""
        self._runner.cancel.setEnabled(False)
        self._message.show_message(tr("Cancelling..."))

    def cancelled(self) -> None:
        """Say how far a cancelled run had come."""
        self._message.show_message(cancelled_text(self._runner.percent, self._controller.kept), "warning")

    def failed(self, error: Exception, action: Action | None = None) -> None:
        """Say why a run failed, and offer what helps."""
        self._message.show_failure(words.describe_error(error), action)

    def _on_stage(self, stage: str) -> None:
        if self._controller.cancelling:
            return
        self._runner.busy()
        if stage == LOADING:
            self._message.show_message(tr("Loading {model} (first use)...").format(model=self._model))
        elif stage == CONVERTING:
            self._message.show_message(tr("Preparing {model} for OpenVINO (first use)...").format(model=self._model))
        elif stage == CALIBRATING:
            self._message.show_message(tr("Preparing {model} for int8 on this image...").format(model=self._model))
        elif stage == FINISHING:
            self._message.show_message(tr("Drawing the objects..."))
        elif stage == WAITING:
            self._message.show_message(tr("Waiting for the server ({server})...").format(server=self._server))
        elif self._server:
            self._message.show_message(tr("Running on {server}...").format(server=self._server))
        else:
            self._message.show_message(tr("Segmenting..."))

    def _on_progress(self, done: int, total: int) -> None:
        if not self._controller.cancelling:
            self._message.show_message(segmenting_text(self._controller.current_layer, self._server))
            self._runner.progress(done, total)


def segmenting_text(current_layer: CurrentLayer | None, server: str = "") -> str:
    """Say that the network runs, on which of several layers, and on which server if it does."""
    if current_layer is None:
        if server:
            text = tr("Running on {server}. You can go on looking at your images.")
            return text.format(server=server)
        return tr("Segmenting. You can go on looking at your images.")
    if server:
        text = tr("Running on {server}, {number} of {count}: {name}. You can go on looking at your images.")
    else:
        text = tr("Segmenting {number} of {count}: {name}. You can go on looking at your images.")
    number, count, name = current_layer.number, current_layer.count, current_layer.name
    return text.format(server=server, number=number, count=count, name=name)


def cancelled_text(percent: int | None, kept: int) -> str:
    """Say how far a cancelled run had come, and how many layers of it are kept."""
    if not kept:
        return words.cancelled_at(percent)
    text = tr_count(
        "Cancelled at {percent} %. {n} layer was finished and is kept.",
        "Cancelled at {percent} %. {n} layers were finished and are kept.",
        kept,
    )
    return text.format(percent=percent or 0, n=kept)
