"""The box of models, whose last row adds one."""

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QModelIndex, QObject, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QComboBox, QListView, QWidget

from napari_unetseg.language import mark, tr, translated
from napari_unetseg.plugin.parts.card_text import model_purpose, model_title, title_and_origin
from napari_unetseg.plugin.parts.server_names import server_name
from napari_unetseg.zoo.registry import BrokenPackage, Listed, ModelPackage, WeightsNeeded

ADD = mark("Add model...")
WITHOUT_WEIGHTS = mark("Models without weights ({n})")

_MODEL_TIP = mark(
    "The trained network. Choose the one whose training images look like yours; (i) tells what they were."
)
_ADD_TIP = mark("Use a checkpoint of your own (.pth, .pt, .ckpt, .safetensors) or a model package.")
_ON_SERVER = mark("{model} (on {server})")
_FOLD_TIP = mark("Published models that can be used once their weights are there. Click, or press Enter, to see them.")
# The model behind a combo box keeps the flags of its items here; 0 greys an item out.
_FLAGS_ROLE = 255
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
_STEPS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
_ENABLED = 32  # Qt.ItemFlag.ItemIsEnabled alone: can be pointed at, but not chosen


class ModelBox(QComboBox):
    """A combo box of models: first those that can be used, then the broken ones, which cannot be chosen.

    Those that only a server has stand below those of this machine, as long as the server is chosen.
    Those that need weights are folded up under a row of their own, which a click, or Enter, unfolds. The last row is a
    command. Only the open list knows these two rows: wheel and arrow keys, which change what is chosen as they
    pass, stop before them.

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
        self._needing: list[int] = []
        self._models = list(models)
        self._server, self._on_server = "", list[ModelPackage]()
        self._there: frozenset[str] | None = None
        self._awaited: str | None = None
        self._list = QListView()
        self.setView(self._list)
        self._list.installEventFilter(self)
        if (viewport := self._list.viewport()) is not None:
            viewport.installEventFilter(self)
        self._fill()
        self.setCurrentIndex(next(iter(self._usable()), -1))
        self.currentIndexChanged.connect(self._on_changed)
        self.activated.connect(self._on_activated)

    def package(self) -> ModelPackage | None:
        """Return the chosen model; None if none can be used."""
        package = self.currentData()
        return package if isinstance(package, ModelPackage) else None

    def packages(self) -> list[ModelPackage]:
        """Return all models that can be chosen, in their order, without those that the chosen server lacks."""
        packages: list[ModelPackage] = [self.itemData(row) for row in self._usable()]
        return [package for package in packages if self._there is None or package.name in self._there]

    def set_models(self, models: Sequence[Listed]) -> None:
        """Offer these models of this machine instead; the one that is chosen stays so if it is among them."""
        self._models = list(models)
        self._refill()

    def set_server_models(self, server: str, packages: Sequence[ModelPackage] | None) -> None:
        """Offer also those of a server's models that this machine does not have.

        Parameters
        ----------
        server
            Its address; empty where the network runs on this machine.
        packages
            All that it has; None where that is not known.
        """
        self._there = None if packages is None else frozenset(package.name for package in packages)
        packages = packages or ()
        here = {model.name for model in self._models if isinstance(model, ModelPackage)}
        beside = [package for package in packages if package.name not in here]
        if (server, beside) != (self._server, self._on_server):
            self._server, self._on_server = server, beside
            self._refill()

    def choose(self, name: str) -> None:
        """Choose a model by its name, or by its words; one that is not offered yet, as soon as a server has it."""
        row = self._row_of(name)
        if row < 0:
            row = self.findText(name)
        if isinstance(self.itemData(row), ModelPackage):
            self.setCurrentIndex(row)
        else:
            self._awaited = name

    @property
    def unfolded(self) -> bool:
        """Whether the models that need weights are shown."""
        return bool(self._needing) and not self._list.isRowHidden(self._needing[0])

    def unfold(self, unfolded: bool = True) -> None:
        """Show or hide the models that need weights."""
        if self._needing:
            title = tr(WITHOUT_WEIGHTS).format(n=len(self._needing))
            self.setItemText(self._head(), f"{'▾' if unfolded else '▸'} {title}")
        for row in self._needing:
            self._list.setRowHidden(row, not unfolded)

    def showPopup(self) -> None:  # noqa: N802 (Qt's name)
        """Open the list, where the command can be given and models unfolded."""
        self._before = self.currentIndex()
        self._offer_rows(True)
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802 (Qt's name)
        """Close the list."""
        super().hidePopup()
        self._offer_rows(False)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Unfold or fold where the row for that is clicked, or Enter pressed on it."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonRelease:
            index = self._list.indexAt(event.pos())
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            index = self._list.currentIndex()
            if event.key() in _STEPS:
                self._list.setCurrentIndex(self._beside(index, _STEPS[Qt.Key(event.key())]))
                return True
            if event.key() not in _ENTER:
                return super().eventFilter(watched, event)
        else:
            return super().eventFilter(watched, event)
        if not self._needing or index.row() != self._head():
            return super().eventFilter(watched, event)
        self.unfold(not self.unfolded)
        # Makes the open list as high as its rows are now; it forgets on which row it was, and closes in between.
        super().showPopup()
        self._offer_rows(True)
        self._list.setCurrentIndex(index)
        return True

    def _beside(self, index: QModelIndex, step: int) -> QModelIndex:
        """Return the next row of the open list that can be pointed at; Qt does not pass several that cannot."""
        row = index.row() + step
        while 0 <= row < self.count():
            after = index.siblingAtRow(row)
            if after.flags() & Qt.ItemFlag.ItemIsEnabled and self.itemText(row) and not self._list.isRowHidden(row):
                return after
            row += step
        return index

    def _offer_rows(self, offered: bool) -> None:
        self._enable(self.count() - 1, offered)
        if self._needing:
            self.setItemData(self._head(), _ENABLED if offered else 0, _FLAGS_ROLE)

    def _head(self) -> int:
        return self._needing[0] - 1

    def _refill(self) -> None:
        """Offer what there is now; what is chosen stays so, where it is gone another one is chosen."""
        before = self.package()
        awaited = self._awaited
        with QSignalBlocker(self):
            self._fill()
            rows = [self._row_of(name) for name in (awaited, before and before.name) if name]
            found = [row for row in rows if row >= 0]
            self.setCurrentIndex(next(iter([*found, *self._usable()]), -1))
        if self.package() != before:
            self.chosen.emit()

    def _fill(self) -> None:
        models = self._models
        self.clear()
        needing = [model for model in models if isinstance(model, WeightsNeeded)]
        for model in models:
            if isinstance(model, ModelPackage):
                self._append(title_and_origin(model), model_purpose(model.card), model)
        for package in self._on_server:
            words = tr(_ON_SERVER).format(model=model_title(package.card), server=server_name(self._server))
            self._append(words, model_purpose(package.card), package)
        for model in models:
            if isinstance(model, BrokenPackage):
                self._append(tr("{file} (broken)").format(file=model.path.name), translated(model.reason), model)
        if needing:
            self._append("", tr(_FOLD_TIP), None)
        self._needing = list(range(self.count(), self.count() + len(needing)))
        for model in needing:
            words = tr("{model} (weights needed)").format(model=tr(model.model.display_name))
            self._append(words, translated(model.reason), model)
        self.unfold(False)
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
            self._awaited = None
            self.chosen.emit()

    def _on_activated(self, row: int) -> None:
        if row == self.count() - 1:
            with QSignalBlocker(self):
                self.setCurrentIndex(self._before)
            self.add_requested.emit()
