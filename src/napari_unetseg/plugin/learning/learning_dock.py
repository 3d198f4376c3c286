"""The dock in which models learn: from corrections, or anew."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, Signal

from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.current_result import FindResult
from napari_unetseg.plugin.learning.improving import Improving
from napari_unetseg.plugin.learning.learning_panel import LearningPanel
from napari_unetseg.plugin.learning.mask_dialog import MaskDialog
from napari_unetseg.plugin.learning.run_shown import RunShown
from napari_unetseg.plugin.learning.train_form import ChooseFolder, choose_folder
from napari_unetseg.plugin.learning.training_anew import TrainingAnew
from napari_unetseg.plugin.learning.training_run import StartProcess
from napari_unetseg.training.training_process import TrainingProcess
from napari_unetseg.zoo.registry import Listed

if TYPE_CHECKING:
    import napari.viewer


class Learning(QObject):
    """Opens the dock. One run at a time; it goes on while the dock is closed, and is left with `leave` or `stop`.

    Parameters
    ----------
    viewer
        Gets the dock, and previews.
    find_result
        Gives the selected result.
    models
        Lists the models there are; called in workers.
    parent
        Owner.
    process
        Starts the process of a run.
    choose
        Asks for a folder.

    Attributes
    ----------
    model_made
        A new model package was written: its name, and all models that there are now.
    run_requested
        The user wants to segment the chosen image with the model that was just made.
    """

    model_made = Signal(str, object)
    run_requested = Signal()

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        find_result: FindResult,
        models: Callable[[], Sequence[Listed]],
        parent: QObject | None = None,
        process: StartProcess = TrainingProcess,
        choose: ChooseFolder = choose_folder,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._find_result, self._models = viewer, find_result, models
        self._process, self._choose = process, choose
        self.panel: LearningPanel | None = None
        self._dock: Any = None

    @property
    def busy(self) -> bool:
        """Whether something runs in a worker."""
        return self.panel is not None and (self.shown.busy or self.improving.busy or self.anew.busy)

    def open_improve(self) -> None:
        """Show how to improve the model of the selected result from corrections."""
        panel = self._show()
        self.improving.begin(None)
        panel.tabs.setCurrentWidget(panel.improve)

    def improve_from(self, folder: str, model: str) -> None:
        """Show how to improve a model on a training set that lies in a folder, with its ``images`` and ``masks``."""
        panel = self._show()
        self.improving.begin((Path(folder), model))
        panel.tabs.setCurrentWidget(panel.improve)

    def open_train(self) -> None:
        """Show how to train a new model."""
        panel = self._show()
        panel.tabs.setCurrentWidget(panel.train)

    def leave(self) -> None:
        """Leave what runs; it can be taken up again."""
        if self.panel is not None:
            self.shown.run.leave()

    def stop(self) -> None:
        """Leave what runs, and take the dock away."""
        if self.panel is None:
            return
        self.leave()
        self.improving.stop()
        self.anew.stop()
        if self._dock is not None:
            self._dock = None
            self._viewer.window.remove_dock_widget(self.panel)

    def _show(self) -> LearningPanel:
        panel = self._make() if self.panel is None else self.panel
        if self._dock is None:
            self._dock = self._viewer.window.add_dock_widget(panel, name=tr("Learning"), area="right", tabify=True)
            panel.show()
            self.shown.look_for_interrupted()
            self.improving.begin(None)
            self._on_tab()
        self._dock.show()
        self._dock.raise_()
        return panel

    def _make(self) -> LearningPanel:
        """Make the panel when it is first wanted."""
        panel = self.panel = LearningPanel(self._choose)
        self.shown = RunShown(self._viewer, panel, self._models, self._process, self)
        self.improving = Improving(self._viewer, panel, self._find_result, self._models, self.shown, self)
        self.anew = TrainingAnew(self._viewer, panel, self._find_result, self.shown, self)
        self.masks = MaskDialog(self._viewer, self._choose, panel)
        self.masks.train_requested.connect(panel.train.take_folder)
        panel.train.masks_requested.connect(self._check_masks)
        self.shown.model_made.connect(self.model_made)
        self.shown.run_requested.connect(self.run_requested)
        panel.closed.connect(self._on_closed)
        panel.tabs.currentChanged.connect(self._on_tab)
        self._viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        return panel

    def _check_masks(self) -> None:
        """Open the window that looks for faults in masks, on those to train on."""
        folder = self.panel.train.data_folder() if self.panel is not None else None
        self.masks.show()
        self.masks.raise_()
        if folder is not None:
            self.masks.check(folder / "masks" if (folder / "masks").is_dir() else folder)

    def _on_tab(self, event: Any = None) -> None:
        """Look at images to train on only once somebody wants to."""
        if self.panel is not None and self._dock is not None:
            if self.panel.tabs.currentWidget() is self.panel.train:
                self.anew.begin()
            else:
                self.anew.stop()

    def _on_closed(self) -> None:
        self._dock = None
        self.improving.stop()
        self.anew.stop()

    def _on_theme(self, event: Any = None) -> None:
        if self.panel is not None:
            self.panel.use_theme(get_theme(self._viewer.theme))
