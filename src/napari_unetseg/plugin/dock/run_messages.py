"""What the rows of the window say of a run, from its start to its end."""

from qtpy.QtCore import QObject

from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import CALIBRATING, CONVERTING, FINISHING, LOADING, CurrentLayer


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
        self._model = ""
        controller.stage.connect(self._on_stage)
        controller.progressed.connect(self._on_progress)

    def begin(self, model: str) -> None:
        """Say that a run with this model starts."""
        self._model = model
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

    def failed(self, error: Exception) -> None:
        """Say why a run failed."""
        self._message.show_failure(words.describe_error(error))

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
        else:
            self._message.show_message(tr("Segmenting..."))

    def _on_progress(self, done: int, total: int) -> None:
        if not self._controller.cancelling:
            self._message.show_message(segmenting_text(self._controller.current_layer))
            self._runner.progress(done, total)


def segmenting_text(current_layer: CurrentLayer | None) -> str:
    """Say that the network runs, and on which of several layers."""
    if current_layer is None:
        return tr("Segmenting. You can go on looking at your images.")
    text = tr("Segmenting {number} of {count}: {name}. You can go on looking at your images.")
    return text.format(number=current_layer.number, count=current_layer.count, name=current_layer.name)


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
