"""Which layers were changed since their objects were measured."""

from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal


class EditWatch(QObject):
    """Watches Labels layers, so that no table shows measurements of before as those of now.

    Attributes
    ----------
    changed
        With a layer whose measurements have become those of before, or are those of now again.
    undone
        With a layer on which somebody took back an edit, or made it again.
    """

    changed = Signal(object)
    undone = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._outdated: WeakKeyDictionary[Labels, bool] = WeakKeyDictionary()
        self._steps: WeakKeyDictionary[Labels, int] = WeakKeyDictionary()

    def watch(self, layer: Labels) -> None:
        """Watch a layer from now on."""
        if layer in self._outdated:
            return
        self._outdated[layer], self._steps[layer] = False, _steps(layer)
        layer.events.paint.connect(self._on_edit)
        layer.events.data.connect(self._on_edit)
        layer.events.features.connect(self._on_features)
        layer.events.set_data.connect(self._on_refreshed)

    def is_outdated(self, layer: Labels | None) -> bool:
        """Whether a layer was changed since its objects were measured, as far as that was watched."""
        return layer is not None and self._outdated.get(layer, False)

    def set_outdated(self, layer: Labels, outdated: bool) -> None:
        """Say that a layer was changed since it was measured, or that it was not."""
        self._outdated[layer] = outdated
        self.changed.emit(layer)

    def _on_edit(self, event: Any) -> None:
        self._steps[event.source] = _steps(event.source)
        self.set_outdated(event.source, True)

    def _on_features(self, event: Any) -> None:
        self.set_outdated(event.source, False)

    def _on_refreshed(self, event: Any) -> None:
        """Tell an undo, for which napari has no event of its own, from what else draws a layer anew."""
        layer = event.source
        if _steps(layer) != self._steps[layer]:
            self._on_edit(event)
            self.undone.emit(layer)


def _steps(layer: Labels) -> int:
    """Return how many edits could be taken back."""
    return len(getattr(layer, "_undo_history", ()))
