"""Click to fix: puts tool bar, mouse and labels together."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Layer
from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QMainWindow

from napari_unetseg.language import tr
from napari_unetseg.plugin.fixing.aim import object_at, obstacle, points_on
from napari_unetseg.plugin.fixing.fixer import Fixer
from napari_unetseg.plugin.fixing.gestures import Gestures, Place
from napari_unetseg.plugin.fixing.tool_bar import REDO, UNDO, ToolBar
from napari_unetseg.plugin.fixing.tools import BY_KIND, TOOLS, sum_up
from napari_unetseg.plugin.layers.current_result import CurrentResult, FindResult
from napari_unetseg.plugin.layers.result_layers import ShownResult, unwrapped
from napari_unetseg.plugin.parts.words import describe_error

if TYPE_CHECKING:
    import napari.viewer

    from napari_unetseg.postprocessing.fixes import Fix

PAN_ZOOM, CURSOR = "pan_zoom", "cross"


class FixTools(QObject):
    """Opens the tools, and does with the selected result what is done with the one in hand.

    A tool works whichever layer is active. It is put down when a tool of napari's own is taken up, such as the brush.

    Parameters
    ----------
    viewer
        Gets the tool bar and the mouse callbacks.
    find_result
        Gives the selected result.
    parent
        Owner.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", find_result: FindResult, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._find_result = viewer, find_result
        self.bar: ToolBar | None = None
        self._kind = ""
        self._shown: ShownResult | None = None
        self._active: Layer | None = None
        self._keys: list[QShortcut] = []
        self.gestures = Gestures(viewer, self)
        self.fixer = Fixer(find_result, self)
        # Which result is selected is found out by others that hear of the same events.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._refresh)
        self.gestures.clicked.connect(self._on_click)
        self.gestures.drawn.connect(self._on_line)
        self.gestures.hovered.connect(self._on_hover)
        self.gestures.dragged.connect(self._on_no_line)
        self.fixer.done.connect(self._on_done)
        self.fixer.failed.connect(self._on_failed)
        viewer.events.theme.connect(self._on_theme)

    @property
    def busy(self) -> bool:
        """Whether a fix, or news of the selected result, is on its way."""
        return self.fixer.busy or self._later.isActive()

    def open(self) -> None:
        """Show the tools."""
        if self.bar is None:
            self.bar = ToolBar()
            self.bar.chosen.connect(self.take_up)
            self.bar.undo_requested.connect(partial(self._step, "undo"))
            self.bar.redo_requested.connect(partial(self._step, "redo"))
            self.bar.closed.connect(self._on_closed)
            self._viewer.window.add_dock_widget(self.bar, name=tr("Fix objects"), area="top")
            self.bar.show()
            self._keep_to_the_image()
            self._bind_keys()
            self._on_theme()
            events = self._viewer.layers.selection.events
            events.changed.connect(self._on_selection)
            events.active.connect(self._on_selection)
            self._viewer.layers.events.removed.connect(self._on_selection)
            self._viewer.dims.events.ndisplay.connect(self._on_selection)
        self._refresh()

    def stop(self) -> None:
        """Take the tools away; nothing acts any more."""
        bar, self.bar = self.bar, None
        self.fixer.stop()
        if bar is None:
            return
        self._let_go()
        with suppress(LookupError):  # The window takes its docks away itself when it is closed.
            self._viewer.window.remove_dock_widget(bar)

    def take_up(self, kind: str) -> None:
        """Take a tool into the hand, or put it down where the kind is empty."""
        window = None if self.bar is None else self.bar.window()
        if self.bar is None or window is None:
            return
        self._kind = kind
        self._keys[-1].setEnabled(bool(kind))
        if kind:
            self.gestures.listen(BY_KIND[kind].draws, window)
        else:
            self.gestures.stop()
        self._watch_mode(self._viewer.layers.selection.active if kind else None)
        self.bar.show_tool(kind)
        self._say()

    def _on_closed(self) -> None:
        """Hear that the dock was closed by its own button."""
        if self.bar is not None:
            self.bar = None
            self.fixer.stop()
            self._let_go()

    def _let_go(self) -> None:
        """Undo what `open` and `take_up` did, but for the bar."""
        self._kind = ""
        self.gestures.stop()
        self._watch_mode(None)
        self._follow(None)
        for key in self._keys:
            key.setEnabled(False)
            key.deleteLater()
        self._keys = []
        events = self._viewer.layers.selection.events
        events.changed.disconnect(self._on_selection)
        events.active.disconnect(self._on_selection)
        self._viewer.layers.events.removed.disconnect(self._on_selection)
        self._viewer.dims.events.ndisplay.disconnect(self._on_selection)

    def _bind_keys(self) -> None:
        """Bind the keys to the window: those of napari's viewer would come after those of whichever layer is active."""
        if self.bar is None:
            return
        window = self.bar.window()
        effects: dict[str, Callable[[], None]] = {tool.key: partial(self.take_up, tool.kind) for tool in TOOLS}
        effects |= {UNDO: partial(self._step, "undo"), REDO: partial(self._step, "redo"), "Esc": self._escape}
        for key, effect in effects.items():
            shortcut = QShortcut(QKeySequence(key), window)
            shortcut.activated.connect(effect)
            self._keys.append(shortcut)
        self._keys[-1].setEnabled(False)  # without a tool in hand, Esc is napari's

    def _escape(self) -> None:
        if not self.gestures.break_off():
            self.take_up("")

    def _keep_to_the_image(self) -> None:
        """Let the bar be as wide as the image alone: columns at the side keep their height."""
        window = None if self.bar is None else self.bar.window()
        if isinstance(window, QMainWindow):
            window.setCorner(Qt.Corner.TopLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
            window.setCorner(Qt.Corner.TopRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)

    def _watch_mode(self, layer: Any) -> None:
        """Hold the active layer's own tools off while one is in hand, and hear when somebody takes one of them up."""
        layer = unwrapped(layer)
        if self._active is not None:
            self._active.events.mode.disconnect(self._on_mode)
            self._viewer.cursor.style = self._active.cursor
        self._active = layer
        if layer is not None:
            layer.mode = PAN_ZOOM
            layer.events.mode.connect(self._on_mode)
        if self._kind:
            self._viewer.cursor.style = CURSOR

    def _on_mode(self, event: Any) -> None:
        if str(event.source.mode) != PAN_ZOOM:
            self.take_up("")

    def _on_selection(self, event: Any = None) -> None:
        """Act on the result that is selected now."""
        if self._kind:
            self._watch_mode(self._viewer.layers.selection.active)
        self._later.start(0)

    def _refresh(self) -> None:
        if self.bar is not None:
            result = self._find_result()
            self._follow(None if result is None else result.shown)
            self._say()

    def _follow(self, shown: ShownResult | None) -> None:
        if shown is not self._shown:
            if self._shown is not None:
                self._shown.on_history = lambda: None
            self._shown = shown
            if shown is not None:
                shown.on_history = self._show_count
        self._show_count()

    def _show_count(self) -> None:
        if self.bar is not None:
            labels = None if self._shown is None else self._shown.layer("labels")
            self.bar.show_count("" if self._shown is None else sum_up(self._shown.fixes.counts))
            self.bar.undo.setEnabled(bool(getattr(labels, "_undo_history", ())))
            self.bar.redo.setEnabled(bool(getattr(labels, "_redo_history", ())))

    def _say(self) -> None:
        """Say what to do, or why nothing can be done."""
        if self.bar is None:
            return
        why = obstacle(self._find_result(), self._viewer)
        if why is None:
            self.bar.show_tool(self._kind)
        else:
            self.bar.show_hint(why, warn=True)

    def _target(self) -> CurrentResult | None:
        """Return the result to act on; None, and the reason said, where nothing can be done."""
        result = self._find_result()
        why = obstacle(result, self._viewer)
        if why is not None and self.bar is not None:
            self.bar.show_hint(why, warn=True)
        return None if why is not None else result

    def _on_click(self, place: Place) -> None:
        self._fix([place])

    def _on_line(self, places: list[Place]) -> None:
        self._fix(places)

    def _fix(self, places: list[Place]) -> None:
        result = self._target()
        if result is not None and self._kind:
            self._follow(result.shown)
            self.fixer.ask(result, BY_KIND[self._kind].kind, points_on(result, places, self._viewer))

    def _on_no_line(self) -> None:
        if self.bar is not None and self._kind:
            self.bar.show_hint(tr(BY_KIND[self._kind].hint), warn=True)

    def _on_hover(self, place: Place) -> None:
        """Name the object that the pointer is at, unless there is something else to read."""
        result = self._find_result()
        if result is None or self.bar is None or not self._kind or self.bar.badge.kind != "plain":
            return
        label = object_at(result, place, self._viewer)
        hint = tr(BY_KIND[self._kind].hint)
        self.bar.show_hint(f"{hint} · {tr('object {n}').format(n=label)}" if label else hint)

    def _on_done(self, fix: "Fix") -> None:
        self._show_count()
        self._say()

    def _on_failed(self, error: Exception) -> None:
        if self.bar is not None:
            self.bar.show_hint(describe_error(error).sentence, warn=True)

    def _step(self, direction: str) -> None:
        """Undo or redo: of the active labels, as napari does, else of those of the result."""
        active = unwrapped(self._viewer.layers.selection.active)
        labels = active if isinstance(active, Labels) else None
        if labels is None and (result := self._find_result()) is not None:
            labels = result.shown.layer("labels")
        if isinstance(labels, Labels):
            getattr(labels, direction)()
            self._show_count()

    def _on_theme(self, event: Any = None) -> None:
        if self.bar is not None:
            self.bar.use_theme(get_theme(self._viewer.theme))
