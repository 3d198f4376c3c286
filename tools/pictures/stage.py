"""A real viewer on a screen of its own, a hand that acts in it, and pictures of what is on the screen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import napari
import numpy as np
from napari.settings import get_settings
from PIL import Image, ImageDraw
from qtpy.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QGuiApplication, QImage, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QSlider, QWidget

from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.plugin.fixing.drawn_line import canvas_of
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.fixes import FixKind

LEFT = Qt.MouseButton.LeftButton
# The stubs of PyQt6 take its functions for methods.
HAND: Any = QTest
_POINTER = ((0, 0), (0, 17), (4, 13.4), (6.8, 19.6), (9.6, 18.4), (6.9, 12.4), (12.4, 12.4))
_LONGEST_WAIT = 600.0
_Part = TypeVar("_Part")


@dataclass
class Film:
    """Frames and how many milliseconds each is shown."""

    frames: list[tuple[Image.Image, int]] = field(default_factory=list)

    def add(self, frame: Image.Image, milliseconds: int) -> None:
        """Add a frame, or lengthen the last one if it is the same."""
        if self.frames and self.frames[-1][0].tobytes() == frame.tobytes():
            milliseconds += self.frames.pop()[1]
        self.frames.append((frame, milliseconds))

    @property
    def seconds(self) -> float:
        """How long one round takes."""
        return sum(milliseconds for _, milliseconds in self.frames) / 1000

    def save(self, path: Path, colours: int) -> None:
        """Write an animation that goes round for ever, with one palette for all frames and nothing stored twice."""
        palette = _common_palette([frame for frame, _ in self.frames], colours)
        flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame, _ in self.frames]
        flat[0].save(
            path,
            save_all=True,
            append_images=flat[1:],
            duration=[milliseconds for _, milliseconds in self.frames],
            loop=0,
            optimize=False,
            disposal=1,
        )


class Stage:
    """A viewer at the top left of the screen, the plugin's panel in it, and a pointer.

    Parameters
    ----------
    size
        Width and height of the window.
    theme
        ``"light"`` or ``"dark"``.
    panel
        Whether the panel is open at the beginning.
    layer_docks
        Whether napari's own docks at the left are shown.
    """

    def __init__(
        self, size: tuple[int, int], theme: str = "light", *, panel: bool = True, layer_docks: bool = True
    ) -> None:
        get_settings().appearance.theme = theme
        self.viewer = napari.Viewer(title="napari", show=False)
        self.window: QWidget = self.viewer.window._qt_window
        self.window.resize(*size)
        self.window.move(0, 0)
        self.viewer.show()
        if not layer_docks:
            view = self.viewer.window._qt_viewer
            view.dockLayerControls.hide()
            view.dockLayerList.hide()
        self.settle()
        self.window.resize(*size)
        self.film: Film | None = None
        self.pointer: QPoint | None = None
        self.panel: SegmentationWidget | None = None
        if panel:
            self.open_panel()
        self.settle()

    def open_panel(self) -> SegmentationWidget:
        """Open the plugin's panel."""
        self.panel = open_widget(self.viewer)
        return self.panel

    @property
    def form(self) -> SegmentationWidget:
        """The panel, which must be open."""
        return there(self.panel)

    @property
    def canvas(self) -> QWidget:
        """What the image is drawn on."""
        return there(canvas_of(self.window))

    def fix_tool(self, kind: FixKind) -> QWidget:
        """Return the button of a tool that fixes objects; the tools must be open."""
        return there(self.form.fixing.bar).buttons[kind]

    def close(self) -> None:
        """Close the viewer without a question."""
        self.settle()
        self.viewer.close()
        self.settle()

    def settle(self, seconds: float = 0.4) -> None:
        """Let Qt do what is to be done."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            HAND.qWait(20)

    def wait(self, until: Callable[[], bool], every: int = 0) -> None:
        """Wait until something is true; while filming, add a frame at most every so many milliseconds."""
        end, last = time.monotonic() + _LONGEST_WAIT, time.monotonic()
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("What a picture waits for did not come.")
            HAND.qWait(15)
            if every and (time.monotonic() - last) * 1000 >= every:
                self.frame(round((time.monotonic() - last) * 1000))
                last = time.monotonic()
        QApplication.processEvents()

    def run(self, every: int = 0) -> None:
        """Press Run and wait for the result."""
        self.form.runner.run.click()
        self.wait_for_run(every)

    def wait_for_run(self, every: int = 0) -> None:
        """Wait until the run has ended and its layers are up to date."""
        self.wait(lambda: not self.form.controller.running, every)
        self.wait_for_layers()

    def wait_for_layers(self) -> None:
        """Wait until layers, contours and table follow the sliders and fixes."""
        self.wait(lambda: not (self.form.results.busy or self.form.fixing.busy))
        self.settle(0.2)

    def place(self, row: float, column: float) -> QPoint:
        """Where a pixel of an unscaled image is on the canvas; of a scaled one, a place in its units."""
        camera = self.viewer.camera
        y, x = (np.array((row, column)) - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + x), round(self.canvas.height() / 2 + y))

    def warm_up(self) -> None:
        """Load the model, as a window does that segmented before."""
        ended: list[str] = []
        self.form.health.controller.ended.connect(ended.append)
        self.form.health.do("warm up")
        self.wait(lambda: "warm up" in ended)
        self.form.health.expand(False)
        self.settle()

    def look_at(self, row: float, column: float, zoom: float, steps: int = 8) -> None:
        """Turn the camera to a place little by little, as the wheel of a mouse does."""
        camera = self.viewer.camera
        first = np.array([*camera.center[-2:], np.log(camera.zoom)])
        last = np.array([row, column, np.log(zoom)])
        for step in range(1, steps + 1):
            share = (1 - np.cos(np.pi * step / steps)) / 2
            y, x, logarithm = first + share * (last - first)
            camera.center, camera.zoom = (y, x), float(np.exp(logarithm))
            self.settle(0.05)
            self.frame(60)

    # Pictures

    def picture(self, area: QRect | None = None) -> Image.Image:
        """Return what the screen shows, by default of the window."""
        area = self.window.geometry() if area is None else area
        QApplication.processEvents()
        screen: Any = there(QGuiApplication.primaryScreen())
        return _as_pillow(screen.grabWindow(0, area.x(), area.y(), area.width(), area.height()).toImage())

    def frame(self, milliseconds: int) -> None:
        """Add a frame of the window, with the pointer in it."""
        if self.film is not None:
            self.film.add(self._with_pointer(self.picture()), milliseconds)

    def area_of(self, *widgets: QWidget, margin: int = 6) -> QRect:
        """Return the part of the screen that widgets cover."""
        whole = QRect()
        for widget in widgets:
            whole = whole.united(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size()))
        return whole.adjusted(-margin, -margin, margin, margin).intersected(self.window.geometry())

    # The hand

    def move_to(self, place: QPoint, milliseconds: int = 330, steps: int = 6) -> None:
        """Move the pointer there, in a film by steps that begin and end slowly."""
        if self.film is not None and self.pointer is not None:
            first, picture = self.pointer, self.picture()
            for step in range(1, steps):
                share = (1 - np.cos(np.pi * step / steps)) / 2
                self.pointer = first + (place - first) * float(share)
                self.film.add(self._with_pointer(picture), milliseconds // steps)
        self.pointer = place
        self.frame(milliseconds // steps)

    def point_at(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Move the pointer to a widget's middle, or to a place in it."""
        self.move_to(widget.mapToGlobal(widget.rect().center() if at is None else at))

    def click(self, widget: QWidget, at: QPoint | None = None, linger: int = 160) -> None:
        """Point at a widget and press the button of the mouse."""
        at = widget.rect().center() if at is None else at
        self.point_at(widget, at)
        HAND.mousePress(widget, LEFT, pos=at)
        self.frame(linger)
        HAND.mouseRelease(widget, LEFT, pos=at)
        self.settle(0.05)

    def draw(self, first: QPoint, last: QPoint, steps: int = 5) -> None:
        """Draw a line on the canvas with the button pressed."""
        self.move_to(self.canvas.mapToGlobal(first))
        HAND.mousePress(self.canvas, LEFT, pos=first)
        for step in range(1, steps + 1):
            at = first + (last - first) * (step / steps)
            there = QPointF(self.canvas.mapToGlobal(at))
            none, no_key = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
            event = QMouseEvent(QEvent.Type.MouseMove, QPointF(at), there, none, LEFT, no_key)
            QApplication.sendEvent(self.canvas, event)
            HAND.qWait(30)
            self.pointer = self.canvas.mapToGlobal(at)
            self.frame(90)
        HAND.mouseRelease(self.canvas, LEFT, pos=last)
        self.wait_for_layers()

    def slide(self, row: QWidget, values: list[float], milliseconds: int) -> None:
        """Move a slider through values, the pointer on its handle, as fast as the layers follow."""
        slider = row.findChild(QSlider) or row
        for value in values:
            row.setValue(value)  # type: ignore[attr-defined]
            self.wait_for_layers()
            self.pointer = self._handle(slider)
            self.frame(milliseconds)

    def point_at_value(self, row: QWidget) -> None:
        """Move the pointer to the handle of a slider."""
        self.move_to(self._handle(row.findChild(QSlider) or row))

    def _handle(self, slider: Any) -> QPoint:
        share = (slider.value() - slider.minimum()) / (slider.maximum() - slider.minimum())
        place: QPoint = slider.mapToGlobal(QPoint(round(7 + share * (slider.width() - 14)), slider.height() // 2 + 2))
        return place

    def menu(self, *titles: str, linger: int = 0) -> None:
        """Go through a menu by its titles and choose the last one; what is pointed at opens, as for a user."""
        bar = self.window.menuBar()  # type: ignore[attr-defined]
        opened: list[QMenu] = []
        place = bar
        for title in titles:
            action = next(one for one in place.actions() if one.text().replace("&", "") == title)
            corner = place.actionGeometry(action)
            self.move_to(place.mapToGlobal(QPoint(corner.left() + 24, corner.center().y())), 300, 4)
            submenu = action.menu()
            if submenu is None:
                place.setActiveAction(action)
                self.frame(linger)
                break
            under = corner.bottomLeft() if place is bar else corner.topRight()
            place.setActiveAction(action)
            if not submenu.isVisible():
                submenu.popup(place.mapToGlobal(under))
            self.settle(0.25)
            self.frame(linger)
            opened.append(submenu)
            place = submenu
        self._open_menus = opened
        self._chosen = action

    def choose(self) -> None:
        """Choose what `menu` went to."""
        for menu in reversed(self._open_menus):
            menu.close()
        self.settle(0.1)
        self._chosen.trigger()
        self.settle(0.3)

    def _with_pointer(self, picture: Image.Image) -> Image.Image:
        if self.pointer is None:
            return picture
        at = self.pointer - self.window.geometry().topLeft()
        return with_pointer(picture, at.x(), at.y())


def save(picture: Image.Image, path: Path, pointer: QPoint | None = None) -> None:
    """Write a picture with 256 colours of its own, which keeps it small, and a pointer if there is one."""
    if pointer is not None:
        picture = with_pointer(picture, pointer.x(), pointer.y())
    palette = picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)


def with_pointer(picture: Image.Image, x: int, y: int) -> Image.Image:
    """Return a copy with an arrow whose tip is at a place."""
    scale = 4
    width, height = 16 * scale, 24 * scale
    arrow = Image.new("RGBA", (width, height))
    outline = [((px + 1) * scale, (py + 1) * scale) for px, py in _POINTER]
    ImageDraw.Draw(arrow).polygon(outline, fill="white", outline="black", width=scale)
    arrow = arrow.resize((16, 24), Image.Resampling.LANCZOS)
    picture = picture.copy()
    picture.paste(arrow, (x - 1, y - 1), arrow)
    return picture


def there(part: _Part | None) -> _Part:
    """Return what must be there."""
    if part is None:
        raise LookupError("The window lacks what a picture needs.")
    return part


def _as_pillow(shown: QImage) -> Image.Image:
    shown = shown.convertToFormat(QImage.Format.Format_RGB888)
    bits = bytes(there(shown.constBits()).asarray(shown.sizeInBytes()))
    rows = np.frombuffer(bits, np.uint8).reshape(shown.height(), shown.bytesPerLine())
    return Image.fromarray(rows[:, : 3 * shown.width()].reshape(shown.height(), shown.width(), 3).copy())


def _common_palette(frames: list[Image.Image], colours: int) -> Image.Image:
    """Quantise a sheet of some frames: colours that all of them have in common."""
    chosen = frames[len(frames) // 2 :: max(1, len(frames) // 8)]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * len(chosen)))
    for index, frame in enumerate(chosen):
        sheet.paste(frame, (0, index * height))
    return sheet.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
