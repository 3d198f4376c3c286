"""What the rows of the window show while a model is added."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QObject

from napari_unetseg.language import tr
from napari_unetseg.plugin.add_model import model_words
from napari_unetseg.plugin.add_model.adder import ModelAdder
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.parts.words import FailureText
from napari_unetseg.zoo.registry import Listed


class AddModelRows(QObject):
    """Locks the rows while a file is looked at or a model is written, says how it ends, and chooses the new model.

    Parameters
    ----------
    adder
        Adds it.
    rows
        Where a model is chosen, and where it is said what happens.
    lock
        Greys out what must not change meanwhile, or offers it again.
    """

    def __init__(self, adder: ModelAdder, rows: Rows, lock: Callable[[bool], None]) -> None:
        super().__init__(adder)
        self._inputs, self._runner, self._message, self._lock = rows.inputs, rows.runner, rows.message, lock
        rows.inputs.model.add_requested.connect(adder.add_file)
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
        self._message.show_message(tr(model_words.QUESTIONS_OPEN))

    def _on_added(self, name: str, title: str, models: Sequence[Listed]) -> None:
        self._end()
        self._inputs.model.set_models(models)
        self._inputs.choose_model(name)
        self._message.show_message(model_words.added(title), "good")

    def _on_stopped(self, text: str) -> None:
        self._end()
        self._message.show_message(text, "warning")

    def _on_failed(self, failure: FailureText) -> None:
        self._end()
        self._message.show_failure(failure)

    def _end(self) -> None:
        self._lock(False)
        self._runner.idle()
