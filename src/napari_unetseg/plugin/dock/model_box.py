"""The box of models, whose last row adds one."""

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_unetseg.language import mark, tr, translated
from napari_unetseg.plugin.parts.card_text import model_purpose, title_and_origin
from napari_unetseg.zoo.registry import Listed, ModelPackage, WeightsNeeded

ADD = mark("Add model...")

_MODEL_TIP = mark(
    "The trained network. Choose the one whose training images look like yours; (i) tells what they were."
)
_ADD_TIP = mark("Use a checkpoint of your own (.pth, .pt, .ckpt, .safetensors) or a model package.")
# The model behind a combo box keeps the flags of its items here; 0 greys an item out.
_FLAGS_ROLE = 255


class ModelBox(QComboBox):
    """A combo box of models; those that are broken or need weights are listed but cannot be chosen.

    The last row is a command. Only the open list gives it: wheel and arrow keys, which change what is
    chosen as they pass, stop before it.

    Parameters
    ----------
    models
        What is offered.
    parent
        Owner.
    """

    chosen = Signal()
    add_requested = Signal()

    def __init__(self, models: Sequence[Listed], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tr(_MODEL_TIP))
        self._before = -1
        self._fill(models)
        self.setCurrentIndex(next(iter(self._usable()), -1))
        self.currentIndexChanged.connect(self._on_changed)
        self.activated.connect(self._on_activated)

    def package(self) -> ModelPackage | None:
        """Return the chosen model; None if none can be used."""
        package = self.currentData()
        return package if isinstance(package, ModelPackage) else None

    def packages(self) -> list[ModelPackage]:
        """Return all models that can be chosen, in their order."""
        return [self.itemData(row) for row in self._usable()]

    def set_models(self, models: Sequence[Listed]) -> None:
        """Offer these models instead; the one that is chosen stays so if it is among them."""
        before = self.package()
        with QSignalBlocker(self):
            self._fill(models)
            self.setCurrentIndex(-1 if before is None else self._row_of(before.name))
        if self.package() != before:
            self.chosen.emit()

    def choose(self, name: str) -> None:
        """Choose a model by its name, or by its words, if it is offered."""
        row = self._row_of(name)
        if row < 0:
            row = self.findText(name)
        if isinstance(self.itemData(row), ModelPackage):
            self.setCurrentIndex(row)

    def showPopup(self) -> None:  # noqa: N802 (Qt's name)
        """Open the list, where the command can be given."""
        self._before = self.currentIndex()
        self._enable(self.count() - 1, True)
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802 (Qt's name)
        """Close the list."""
        super().hidePopup()
        self._enable(self.count() - 1, False)

    def _fill(self, models: Sequence[Listed]) -> None:
        self.clear()
        for model in models:
            if isinstance(model, ModelPackage):
                words, tip = title_and_origin(model), model_purpose(model.card)
            elif isinstance(model, WeightsNeeded):
                words = tr("{model} (weights needed)").format(model=tr(model.model.display_name))
                tip = translated(model.reason)
            else:
                words, tip = tr("{file} (broken)").format(file=model.path.name), translated(model.reason)
            self._append(words, tip, model)
        self.insertSeparator(self.count())
        self._append(tr(ADD), tr(_ADD_TIP), None)

    def _append(self, words: str, tip: str, model: Listed | None) -> None:
        self.addItem(words, model)
        row = self.count() - 1
        self.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self._enable(row, isinstance(model, ModelPackage))

    def _enable(self, row: int, enabled: bool) -> None:
        self.setItemData(row, None if enabled else 0, _FLAGS_ROLE)

    def _usable(self) -> list[int]:
        return [row for row in range(self.count()) if isinstance(self.itemData(row), ModelPackage)]

    def _row_of(self, name: str) -> int:
        return next((row for row in self._usable() if self.itemData(row).name == name), -1)

    def _on_changed(self, row: int) -> None:
        if row < self.count() - 1:
            self.chosen.emit()

    def _on_activated(self, row: int) -> None:
        if row == self.count() - 1:
            with QSignalBlocker(self):
                self.setCurrentIndex(self._before)
            self.add_requested.emit()
