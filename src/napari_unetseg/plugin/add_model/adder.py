"""From a file that the user chooses to a model that is listed, off the GUI thread."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unetseg.errors import Cancelled
from napari_unetseg.language import tr
from napari_unetseg.plugin.add_model import model_words as words
from napari_unetseg.plugin.add_model.model_dialog import AddModelDialog
from napari_unetseg.plugin.parts.words import FailureText, describe_error
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.preload_torch import read_torch_libraries
from napari_unetseg.zoo.bioimageio.package import DESCRIPTION_FILES, ZIP
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.discovery import SUFFIXES
from napari_unetseg.zoo.registry import Listed, taken_names

if TYPE_CHECKING:
    from napari_unetseg.zoo.user_models import Candidate

_Value = TypeVar("_Value")
ListModels = Callable[[], Sequence[Listed]]
ChooseFile = Callable[[QWidget], Path | None]


def choose_file(parent: QWidget) -> Path | None:
    """Ask for a checkpoint, a package of the BioImage Model Zoo or a model card; None if nothing was chosen."""
    kinds = " ".join((*(f"*{suffix}" for suffix in (*SUFFIXES, ZIP)), CARD_FILE, *DESCRIPTION_FILES))
    filters = (f"{tr('Checkpoints, packages and model cards')} ({kinds})", f"{tr('All files')} (*)")
    name, _ = QFileDialog.getOpenFileName(parent, tr("Add model"), "", ";;".join(filters))
    return Path(name) if name else None


class ModelAdder(QObject):
    """Examine a file, ask what it does not say, and write the model: one file at a time.

    Every `began` is followed by exactly one of `paused` (the questions are open), `added`, `stopped` and `failed`.

    Parameters
    ----------
    window
        Owner of the windows that open.
    models
        Lists the models there are; called in workers.
    choose
        Asks for a file.
    """

    began = Signal(str)
    paused = Signal()
    added = Signal(str, str, object)
    stopped = Signal(str)
    failed = Signal(object)

    def __init__(self, window: QWidget, models: ListModels, choose: ChooseFile = choose_file) -> None:
        super().__init__(window)
        self._window, self._models, self._choose = window, models, choose
        self._task: Task[None] | None = None
        self._error: Exception | None = None
        self._path = Path()
        self.dialog: AddModelDialog | None = None

    @property
    def busy(self) -> bool:
        """Whether a file is being examined or a model written."""
        return self._task is not None

    def add_file(self) -> None:
        """Let the user choose a file and examine it; nothing happens while another one is being added."""
        if self.busy or self.dialog is not None:
            return
        path = self._choose(self._window)
        if path is not None:
            self.add(path)

    def add(self, path: Path) -> None:
        """Examine a file, or the folder of a model package; nothing happens while another one is being added."""
        if self.busy or self.dialog is not None:
            return
        self._path, models = path, self._models
        self._start(words.reading(path.name), lambda task: _examine(path, models, task), self._open_dialog)

    def cancel(self) -> None:
        """Ask the worker to stop; `stopped` follows when it did."""
        if self._task is not None:
            self._task.quit()

    def _open_dialog(self, examined: tuple["Candidate", frozenset[str]]) -> None:
        candidate, taken = examined
        self.paused.emit()
        self.dialog = dialog = AddModelDialog(candidate, taken, self._window)
        dialog.answered.connect(lambda changes: self._add(candidate, changes, consent=dialog.consents))
        self.dialog.rejected.connect(lambda: self.stopped.emit(words.not_added(self._path.name)))
        self.dialog.finished.connect(self._forget_dialog)
        self.dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _add(self, candidate: "Candidate", changes: dict[str, Any], *, consent: bool) -> None:
        models, title = self._models, changes["display_name"]
        self._start(
            words.adding(title),
            lambda task: _add(candidate, changes, models, task, consent=consent),
            lambda listed: self.added.emit(changes["name"], title, listed),
        )

    def _start(self, text: str, work: Callable[[Task[None]], _Value], then: Callable[[_Value], None]) -> None:
        self._error = None
        results: list[_Value] = []

        def keep(task: Task[None]) -> None:
            # Not returned: what was done just before a cancel was done all the same, and has to be shown.
            results.append(work(task))

        self._task = Task(keep)
        self.began.emit(text)
        start(self._task, returned=_ignore, errored=self._keep_error, finished=lambda: self._end(results, then))

    def _keep_error(self, error: Exception) -> None:
        self._error = error

    def _end(self, results: list[_Value], then: Callable[[_Value], None]) -> None:
        error = self._error
        self._task = self._error = None
        if results:
            then(results[0])
        elif error is None or isinstance(error, Cancelled):
            self.stopped.emit(words.not_added(self._path.name))
        else:
            failure = describe_error(error)
            self.failed.emit(FailureText(words.about_file(failure.sentence, self._path), failure.details))


def _ignore(_: None) -> None: ...


def _examine(path: Path, models: ListModels, task: Task[None]) -> tuple["Candidate", frozenset[str]]:
    read_torch_libraries()
    from napari_unetseg.zoo.user_models import examine

    examined = examine(path), taken_names(models())
    if task.cancelled():
        raise Cancelled(f"{path.name} was not added.")
    return examined


def _add(
    candidate: "Candidate", changes: dict[str, Any], models: ListModels, task: Task[None], *, consent: bool
) -> Sequence[Listed]:
    from napari_unetseg.zoo.user_models import add_model

    if candidate.proposal is None and not consent:
        add_model(candidate, changes, task.cancelled)
    else:
        from napari_unetseg.service.package_check import answer_of

        add_model(candidate, changes, task.cancelled, consent=consent, answer=answer_of)
    return models()
