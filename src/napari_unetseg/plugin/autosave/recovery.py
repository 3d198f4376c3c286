"""Offers back the edits of a process that crashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr, tr_count
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.autosave.edit_file import INDEX, read_edit
from napari_unetseg.plugin.autosave.edit_keeper import EditKeeper
from napari_unetseg.plugin.autosave.edit_store import EditStore, FoundEdit, remove
from napari_unetseg.plugin.autosave.edited_layer import make_layer
from napari_unetseg.plugin.parts.messages import Action, MessageArea
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    import napari.viewer

_NAMED = 3

_RESTORE_TIP = mark("Shows the labels as they were, in a layer of their own.")
_DISCARD_TIP = mark("Removes these edits from the disk. Nothing else is changed.")
_OPEN_TIP = mark("Opens {path}.")
_RESTORED = mark("Restored '{layers}'. Sliders do not act on it, since the model's probabilities are gone.")
_DISCARDED = mark("The edits of '{layers}' were discarded.")
_NOT_RESTORED = mark("The edits of '{layer}' could not be restored. {reason}")


class Recovery(QObject):
    """Looks in a worker for what was left, and restores what the user wants back.

    Without an answer the next start offers it again.

    Parameters
    ----------
    viewer
        Gets the layers.
    message
        Where it is offered.
    keeper
        Keeps what is restored from then on.
    parent
        Owner.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", message: MessageArea, keeper: EditKeeper, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._message, self._keeper = viewer, message, keeper
        self._store: EditStore = keeper.store
        self._found: list[FoundEdit] = []
        self._task: Task[Any] | None = None
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._say_offer)
        viewer.layers.events.inserted.connect(self._on_inserted)
        self._begin(Task(lambda _: self._store.find()), self._offer)

    @property
    def busy(self) -> bool:
        """Whether something is read or removed."""
        return self._task is not None

    def stop(self) -> None:
        """Leave what was not answered to the next start."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._again.stop()
        self._store.leave(self._found)
        self._found = []

    def restore(self) -> None:
        """Show again what was left."""
        found, self._found = self._found, []
        if found and not self.busy:
            self._message.show_message(tr("Reading the edits..."))
            self._begin(Task(lambda _: _read(self._store, found)), self._show)

    def discard(self) -> None:
        """Remove what was left."""
        found, self._found = self._found, []
        if not found or self.busy:
            return
        self._message.show_message(tr(_DISCARDED).format(layers=_names([edit.description for edit in found])))
        self._begin(Task(lambda _: remove(*(edit.folder for edit in found))), lambda _: self._store.leave(found))

    def _begin(self, task: "Task[Any]", returned: Any) -> None:
        self._task = task
        start(task, returned=returned, errored=self._on_failed, finished=self._on_finished)

    def _offer(self, found: list[FoundEdit]) -> None:
        self._found = found
        self._say_offer()

    def _on_inserted(self, event: Any) -> None:
        """Offer it once more after what the panel says of an image that is opened."""
        if self._found and METADATA_KEY not in event.value.metadata:
            self._again.start()

    def _say_offer(self) -> None:
        found = self._found
        if not found:
            return
        names = _names([edit.description for edit in found])
        template = tr_count(
            "napari ended before the edits of {n} result were saved: '{layers}', {time}.",
            "napari ended before the edits of {n} results were saved: '{layers}', the last of them {time}.",
            len(found),
        )
        time = datetime.fromtimestamp(max(_changed(edit.folder) for edit in found)).strftime("%Y-%m-%d %H:%M")
        restore: Action = (tr("Restore"), tr(_RESTORE_TIP), self.restore)
        discard: Action = (tr("Discard"), tr(_DISCARD_TIP), self.discard)
        text = template.format(n=len(found), layers=names, time=time)
        self._message.show_message(text, "warning", action=restore, second=discard)

    def _show(self, restored: "Sequence[_Restored]") -> None:
        for one in restored:
            if one.layer is not None:
                self._viewer.add_layer(one.layer)
                self._keeper.adopt(one.layer, one.folder)
        self._store.leave([one.found for one in restored])
        texts = [tr(_RESTORED).format(layers=_names([one.found.description for one in restored if one.layer]))]
        texts = texts if any(one.layer for one in restored) else []
        lost = [one for one in restored if one.error is not None]
        for one in lost:
            name, reason = _name(one.found.description), describe_error(one.error).sentence if one.error else ""
            texts.append(tr(_NOT_RESTORED).format(layer=name, reason=reason))
        images = [path for one in restored if one.layer and (path := self._missing_image(one.found.description))]
        action: Action | None = None
        if images:
            tip = tr(_OPEN_TIP).format(path=", ".join(images))
            action = (tr("Open the image"), tip, lambda: self._open_images(images))
        self._message.show_message(" ".join(texts), "warning" if lost else "good", action=action)

    def _missing_image(self, description: Mapping[str, Any]) -> str | None:
        """Return the path of the image that edits are of, if it is there and not open."""
        path = (description.get("image") or {}).get("path")
        open_ones = {layer.source.path for layer in self._viewer.layers}
        return str(path) if path and path not in open_ones and Path(path).exists() else None

    def _open_images(self, paths: Sequence[str]) -> None:
        """Open images below the labels, as File > Open does."""
        for path in dict.fromkeys(paths):
            for layer in reversed(self._viewer.open(path)):
                self._viewer.layers.move(self._viewer.layers.index(layer), 0)

    def _on_failed(self, error: Exception) -> None:
        self._message.show_failure(describe_error(error))

    def _on_finished(self) -> None:
        self._task = None


@dataclass(frozen=True, eq=False)
class _Restored:
    """A layer that is ready to be shown, and where it is kept; or why there is none."""

    found: FoundEdit
    folder: Path
    layer: Labels | None = None
    error: Exception | None = None


def _read(store: EditStore, found: Sequence[FoundEdit]) -> list[_Restored]:
    """Read edits, oldest first; one that cannot be read stays on the disk and does not stop the others."""
    restored = []
    for edit in reversed(found):
        folder = edit.folder
        try:
            folder = store.take_over(edit)
            restored.append(_Restored(edit, folder, make_layer(*read_edit(folder))))
        except (UnetsegError, KeyError, TypeError, ValueError) as error:
            restored.append(_Restored(edit, folder, error=error))
    return restored


def _name(description: Mapping[str, Any]) -> str:
    return str(description.get("name"))


def _names(descriptions: Sequence[Mapping[str, Any]]) -> str:
    names = [_name(description) for description in descriptions]
    return "', '".join([*names[:_NAMED], *(["..."] if len(names) > _NAMED else [])])


def _changed(folder: Path) -> float:
    try:
        return (folder / INDEX).stat().st_mtime
    except OSError:
        return 0.0  # another program removed it meanwhile; restoring says so
