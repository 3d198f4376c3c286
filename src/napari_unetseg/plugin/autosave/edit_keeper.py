"""Keeps on disk what is edited."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.autosave.edit_file import EditFile, EditsTooLarge
from napari_unetseg.plugin.autosave.edit_store import EditStore, remove
from napari_unetseg.plugin.autosave.edited_layer import describe, is_result, plain
from napari_unetseg.plugin.autosave.window_watch import WindowWatch, main_window
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY, unwrapped
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.parts.words import describe_error

if TYPE_CHECKING:
    import napari.viewer

PAUSE_MS = 1000
"""After a change, until it is written; what changes meanwhile goes with it."""

TOO_LARGE = mark(
    "The edits of '{layer}' would take too much room on the disk, so they are not kept for the case of a crash. Save "
    "the layer yourself."
)
NOT_KEPT = mark("Edits are not kept for the case of a crash. {reason}")


@dataclass(eq=False)
class _Watched:
    """What is known of a layer.

    Attributes
    ----------
    steps
        How many edits could be taken back, and made again, when that was last looked at.
    by_hand
        Whether that number changed, which only edits by hand do.
    measured
        Whether it ever had measurements, which outlines shown as labels have not.
    file
        Where it is kept, once it was edited.
    refused
        Whether it takes too much room.
    """

    steps: tuple[int, int]
    by_hand: bool = False
    measured: bool = False
    file: EditFile | None = None
    refused: bool = False


class EditKeeper(QObject):
    """Watches the Labels layers of results.

    Within two seconds of a change by hand the labels are on the disk, with all that is needed to show them again: a
    thread that does nothing else writes them, so that no run holds it up. They are removed when the layer is, when it
    was saved, and when the window is closed. What is left after that belongs to a process that crashed or was killed;
    see `Recovery`.

    Parameters
    ----------
    viewer
        Its layers are watched.
    message
        Where it is said that something cannot be kept.
    parent
        Owner.
    store
        Where edits are kept.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        message: MessageArea,
        parent: QWidget | None = None,
        store: EditStore | None = None,
    ) -> None:
        super().__init__(parent)
        self.store = store or shared_store()
        self._viewer, self._message = viewer, message
        self._watched: WeakKeyDictionary[Labels, _Watched] = WeakKeyDictionary()
        self._changed: set[Labels] = set()
        self._kept: set[Path] = set()
        self._pending = 0
        self._said: set[str] = set()
        self._window: WindowWatch | None = None
        self._reports = _Reports()
        self._reports.ended.connect(self._on_ended)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._write)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in viewer.layers:
            self._watch(unwrapped(layer))
        _open.add(self)

    @property
    def busy(self) -> bool:
        """Whether a change has yet to be written, or to be removed."""
        return self._timer.isActive() or self._pending > 0

    def stop(self) -> None:
        """Write what waits, and watch no more."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        _open.discard(self)
        if self._timer.isActive():
            self._timer.stop()
            self._write()
        self._watched.clear()

    def adopt(self, layer: Labels, folder: Path) -> None:
        """Keep a layer, which is in the viewer, in the folder that it was restored from."""
        watched = self._watched[layer]
        watched.file, watched.by_hand = EditFile(folder), True
        self._kept.add(folder)
        self._watch_window()
        self._note(layer)

    def saved(self, layer: Layer) -> None:
        """Let go of what is kept of a layer: its user has saved it. The next change is kept again."""
        watched = self._watched.get(unwrapped(layer))
        if watched is not None:
            self._changed.discard(layer)
            watched.by_hand = False
            self._let_go(watched)

    def _watch(self, layer: Layer) -> None:
        if layer in self._watched or not is_result(layer):
            return
        self._watched[layer] = _Watched(_steps(layer))
        self._look_at_table(layer)
        for event in (layer.events.paint, layer.events.data, layer.events.labels_update, layer.events.set_data):
            event.connect(self._on_event)

    def _on_inserted(self, event: Any) -> None:
        self._watch(unwrapped(event.value))

    def _on_removed(self, event: Any) -> None:
        watched = self._watched.pop(unwrapped(event.value), None)
        if watched is not None:
            self._changed.discard(event.value)
            self._let_go(watched)

    def _on_event(self, event: Any) -> None:
        layer: Labels = event.source
        watched = self._watched.get(layer)
        if watched is None:
            return
        steps = _steps(layer)
        changed, watched.steps = steps != watched.steps, steps
        self._look_at_table(layer)
        # A layer is drawn anew for many reasons; that of Undo shows in the number of steps.
        watched.by_hand |= changed or event.type == "paint"
        if changed or event.type != "set_data":
            self._note(layer)

    def _look_at_table(self, layer: Labels) -> None:
        self._watched[layer].measured |= len(layer.features.columns) > 0

    def _note(self, layer: Labels) -> None:
        self._changed.add(layer)
        if not self._timer.isActive():
            self._timer.start()

    def _write(self) -> None:
        changed, self._changed = self._changed, set()
        for layer in changed:
            watched = self._watched.get(layer)
            if watched is None or watched.refused:
                continue
            if not self._is_edited(layer, watched):
                self._let_go(watched)
            elif not self._is_outlines(layer, watched):
                self._watch_window()
                description = describe(layer, self._viewer.layers)
                self._do(partial(self._keep, watched, layer.data, description), str(layer.name), watched)

    def _is_edited(self, layer: Labels, watched: _Watched) -> bool:
        """Whether a layer was changed by hand: a result says so itself."""
        record = layer.metadata.get(METADATA_KEY)
        return watched.by_hand if record is None else EDITED_KEY in record

    def _is_outlines(self, layer: Labels, watched: _Watched) -> bool:
        """Whether a layer shows the outlines of another one, from which they are drawn anew."""
        call = _call(layer)
        others = self._watched.items()
        return not watched.measured and any(
            other.measured and call is not None and _call(one) == call for one, other in others
        )

    def _keep(self, watched: _Watched, labels: NDArray[Any], description: Mapping[str, Any]) -> None:
        if watched.file is None:
            watched.file = self.store.new_file()
            self._kept.add(watched.file.folder)
        watched.file.write(labels, plain(description), self.store.room())

    def _let_go(self, watched: _Watched) -> None:
        self._do(partial(self._remove, watched))

    def _remove(self, watched: _Watched) -> None:
        if watched.file is not None:
            remove(watched.file.folder)
            self._kept.discard(watched.file.folder)
            watched.file = None

    def _watch_window(self) -> None:
        """See to it that nothing is left once the window was closed by its user, even if this panel was before."""
        parent = self.parent()
        if self._window is None and isinstance(parent, QWidget) and (window := main_window(parent)) is not None:
            self._window = WindowWatch(window, partial(_forget, self._kept))

    def _do(self, work: Callable[[], None], name: str = "", watched: _Watched | None = None) -> None:
        self._pending += 1
        _thread().submit(_run, work, self._reports, (name, watched))

    def _on_ended(self, subject: tuple[str, _Watched | None], error: Exception | None) -> None:
        self._pending -= 1
        name, watched = subject
        if error is None or watched is None:
            return
        if isinstance(error, EditsTooLarge):
            watched.refused = True
            self._let_go(watched)
            text = tr(TOO_LARGE).format(layer=name)
        else:
            text = tr(NOT_KEPT).format(reason=describe_error(error).sentence)
        if text not in self._said:  # once, not at every stroke of a brush
            self._said.add(text)
            self._message.show_message(text, "warning")


class _Reports(QObject):
    """What the thread tells; Qt delivers it in the GUI thread."""

    ended = Signal(object, object)


_open: "WeakSet[EditKeeper]" = WeakSet()


@cache
def shared_store() -> EditStore:
    """Return where the edits of this process are kept."""
    return EditStore()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "unetseg-autosave")


def edits_saved(meta: Mapping[str, Any]) -> None:
    """Let go of what is kept of the layer with these attributes, since it was saved to a file."""
    for keeper in list(_open):
        for layer in list(keeper._watched):
            same = layer.metadata.get(METADATA_KEY) == (meta.get("metadata") or {}).get(METADATA_KEY)
            if same and layer.name == meta.get("name"):
                keeper.saved(layer)


def _run(work: Callable[[], None], reports: _Reports, subject: object) -> None:
    error: Exception | None = None
    try:
        work()
    except Exception as raised:
        error = raised
    try:
        reports.ended.emit(subject, error)
    except RuntimeError:
        if isalive(reports):  # type: ignore[no-untyped-call]
            raise


def _forget(kept: set[Path]) -> None:
    """Remove what is kept, once all that waits is written."""
    _thread().submit(lambda: remove(*kept))


def _call(layer: Layer) -> object:
    """Return which call of a service made a layer."""
    return layer.metadata.get(METADATA_KEY, {}).get("request_id")


def _steps(layer: Labels) -> tuple[int, int]:
    """Return how many edits could be taken back, and made again; napari has no event for either."""
    return len(getattr(layer, "_undo_history", ())), len(getattr(layer, "_redo_history", ()))
