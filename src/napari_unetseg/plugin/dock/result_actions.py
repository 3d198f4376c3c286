"""What can be done with a result: save it, copy how it was made, repeat its run."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari._app_model import get_app_model
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr, translated
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.blocks.stored_layer import STORED_KEY, is_stored
from napari_unetseg.plugin.dock.adjustable_result import STORED_TIP

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.service import RunRecipe

_SAVE = "napari.window.file.save_layers_dialog.selected"

_NOTHING = mark("There is no result yet. Run first, or select a layer that a run made.")
_TIPS = {
    "save": mark(
        "Saves the layer of '{layer}' to a file: labels as TIFF, OME-TIFF, ImageJ ROIs or GeoJSON.\n"
        "Select several layers in the layer list to save them together."
    ),
    "python": mark("Copies a script that makes '{layer}' again, with the same labels, to the clipboard."),
    "rerun": mark(
        "Repeats the run that made '{layer}', with exactly its settings: model, parameters, device and tiles.\n"
        "Runs on its image or, if that is gone, on the chosen one."
    ),
    "fix": mark(
        "Click to fix '{layer}': add, remove, split, merge, grow or shrink single objects by what the model saw."
    ),
    "improve": mark(
        "Teaches the model from what you corrected in '{layer}', and makes a new model of it. The old one stays."
    ),
    "compare": mark("Runs another model on the same image, and shows where the two differ."),
    "more": mark("More: how '{layer}' was made, as a command line or as a recipe."),
}
COPIED = mark("The script is on the clipboard: paste it into a file or a notebook.")
COPIED_FOR_CONSOLE = mark("The script is on the clipboard. The image is in no file: paste it into napari's console.")
COPIED_LINE = mark("The command line is on the clipboard: paste it into a terminal.")
COPIED_FOR_RECIPE = mark(
    "The command line is on the clipboard. Objects were fixed, which only a recipe tells: choose Save recipe..., and "
    "put its path in the place of RECIPE."
)
COPIED_WITHOUT_IMAGE = mark("The command line is on the clipboard. Put the file of an image in the place of IMAGE.")

_NEED_MAP = ("fix", "improve", "compare")
"""What needs the probabilities of a result."""

ChoosePath = Callable[[QWidget, str], Path | None]


def choose_recipe_path(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a recipe; None if the user cancels."""
    path, _ = QFileDialog.getSaveFileName(parent, tr("Save the recipe"), f"{name}.yaml", "YAML (*.yaml *.yml)")
    return Path(path) if path else None


class ResultActions(QWidget):
    """Buttons that act on the selected result or, where none is selected, on the last one.

    `rerun_requested` gives the record of the run that made the result, `message` a sentence and its kind of badge;
    the other requests say which button was pressed.

    Parameters
    ----------
    viewer
        Its layers hold the results.
    choose
        Asks where to save a recipe.
    parent
        Owner.
    """

    rerun_requested = Signal(object)
    fix_requested = Signal()
    improve_requested = Signal()
    compare_requested = Signal()
    message = Signal(str, str)

    def __init__(
        self, viewer: "ViewerModel", choose: ChoosePath = choose_recipe_path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choose = viewer, choose
        self._locked = False
        self.save = QPushButton(tr("Save..."))
        self.python = QPushButton(tr("Copy as Python"))
        self.rerun = QPushButton(tr("Run again"))
        self.fix = QPushButton(tr("Fix objects"))
        self.improve = QPushButton(tr("Improve..."))
        self.compare = QPushButton(tr("Compare..."))
        self.more = QToolButton()
        self.more.setText("...")
        self.more.setFixedWidth(28)
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.more)
        self.line = QAction(tr("Copy as command line"), self.menu)
        self.recipe = QAction(tr("Save recipe..."), self.menu)
        self.menu.addActions([self.line, self.recipe])
        self.more.setMenu(self.menu)
        self.save.clicked.connect(self._save)
        self.python.clicked.connect(lambda: self._with_recipe(self._copy_python))
        self.rerun.clicked.connect(self._request_rerun)
        self.fix.clicked.connect(self.fix_requested)
        self.improve.clicked.connect(self.improve_requested)
        self.compare.clicked.connect(self.compare_requested)
        self.line.triggered.connect(lambda: self._with_recipe(self._copy_line))
        self.recipe.triggered.connect(lambda: self._with_recipe(self._save_recipe))
        self._arrange()
        viewer.layers.selection.events.active.connect(self.show_output)
        viewer.layers.events.inserted.connect(self.show_output)
        viewer.layers.events.removed.connect(self.show_output)
        self.show_output()

    def output(self) -> Layer | None:
        """Return the result that is acted on: the selected one, else the topmost labels, else any."""
        active = self._viewer.layers.selection.active
        if active is not None and METADATA_KEY in active.metadata:
            return active
        made = [layer for layer in reversed(self._viewer.layers) if METADATA_KEY in layer.metadata]
        labels = [layer for layer in made if str(layer._type_string) == "labels"]
        return next(iter([*labels, *made]), None)

    def lock(self, locked: bool) -> None:
        """Grey out Run again during a run; the others stay."""
        self._locked = locked
        self.show_output()

    def show_output(self, event: Any = None) -> None:
        """Offer what can be done with the result there is."""
        output = self.output()
        buttons = {"save": self.save, "python": self.python, "rerun": self.rerun, "more": self.more}
        buttons |= {"fix": self.fix, "improve": self.improve, "compare": self.compare}
        for name, button in buttons.items():
            needs_map = is_stored(output) and name in _NEED_MAP
            button.setEnabled(output is not None and not needs_map and not (self._locked and button is self.rerun))
            tip = tr(STORED_TIP).format(result=output.name) if needs_map and output is not None else ""
            tip = tip or (tr(_NOTHING) if output is None else tr(_TIPS[name]).format(layer=output.name))
            button.setToolTip(tip)

    def _request_rerun(self) -> None:
        output = self.output()
        if output is not None:
            stored = {STORED_KEY: True} if is_stored(output) else {}
            self.rerun_requested.emit({**output.metadata[METADATA_KEY], **stored})

    def _save(self) -> None:
        output = self.output()
        if output is None:
            return
        selection = self._viewer.layers.selection
        if output not in selection:
            selection.select_only(output)
        get_app_model().commands.execute_command(_SAVE).result()

    def _with_recipe(self, act: "Callable[[RunRecipe], None]") -> None:
        output = self.output()
        if output is None:
            return
        from napari_unetseg.service import RunRecipe

        try:
            act(RunRecipe.of(output.metadata[METADATA_KEY]))
        except UnetsegError as error:
            self.message.emit(translated(error), "error")

    def _copy_python(self, recipe: "RunRecipe") -> None:
        from napari_unetseg.service.recipe_text import as_python

        _copy(as_python(recipe))
        self.message.emit(tr(COPIED if recipe.source.path else COPIED_FOR_CONSOLE), "good")

    def _copy_line(self, recipe: "RunRecipe") -> None:
        from napari_unetseg.service.recipe_text import PLACEHOLDER, as_command

        line = as_command(recipe)
        _copy(line)
        said = COPIED_WITHOUT_IMAGE if f" {PLACEHOLDER} " in line else COPIED_LINE
        self.message.emit(tr(COPIED_FOR_RECIPE if recipe.fixes else said), "good")

    def _save_recipe(self, recipe: "RunRecipe") -> None:
        from napari_unetseg.service import write_run_recipe

        path = self._choose(self, f"{Path(recipe.source.image).stem} recipe")
        if path is not None:
            write_run_recipe(path, recipe)
            text = tr("Saved {file}. To use it: napari-unetseg segment --recipe {file} IMAGE")
            self.message.emit(text.format(file=path.name), "good")

    def _arrange(self) -> None:
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(2)
        for row in ((self.fix, self.improve, self.compare), (self.save, self.python, self.rerun, self.more)):
            line = QHBoxLayout()
            line.setSpacing(4)
            for button in row:
                line.addWidget(button, 0 if button is self.more else 1)
            rows.addLayout(line)
        order = (self.fix, self.improve, self.compare, self.save, self.python, self.rerun, self.more)
        for first, second in pairwise(order):
            QWidget.setTabOrder(first, second)


def _copy(text: str) -> None:
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
