"""What the rows of the window show while a model is added."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QObject

from napari_unetseg.language import tr
from napari_unetseg.plugin.add_model import model_words
from napari_unetseg.plugin.add_model.adder import ModelAdder
from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.dock.run_row import RunRow
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import Failure
from napari_unetseg.zoo.registry import Listed


class AddModelRows(QObject):
    """Locks the rows while a file is looked at or a model is written, says how it ends, and chooses the new model.

    Parameters
    ----------
    adder
        Adds it.
    inputs, runner, message
        The rows.
    lock
        Greys out what must not change meanwhile, or offers it again.
    """

    def __init__(
        self, adder: ModelAdder, inputs: Inputs, runner: RunRow, message: MessageArea, lock: Callable[[bool], None]
    ) -> None:
        super().__init__(adder)
        self._inputs, self._runner, self._message, self._lock = inputs, runner, message, lock
        inputs.add_requested.connect(adder.ask)
        adder.began.connect(self._on_began)
        adder.paused.connect(self._on_paused)
        adder.added.connect(self._on_added)
        adder.stopped.connect(self._on_stopped)
        adder.failed.connect(self._on_failed)

    def _on_began(self, text: str) -> None:
        self._lock(True)
        self._runner.begin()
        self._runner.busy()
        self._message.show_message(text, "busy")

    def _on_paused(self) -> None:
        self._end()
        self._message.show_message(tr(model_words.ASKING))

    def _on_added(self, name: str, title: str, models: Sequence[Listed]) -> None:
        self._end()
        self._inputs.model.set_models(models)
        self._inputs.choose_model(name)
        self._message.show_message(model_words.added(title), "good")

    def _on_stopped(self, text: str) -> None:
        self._end()
        self._message.show_message(text, "warning")

    def _on_failed(self, failure: Failure) -> None:
        self._end()
        self._message.show_failure(failure)

    def _end(self) -> None:
        self._lock(False)
        self._runner.idle()
