from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_unetseg.plugin.fixing.drawn_line import canvas_of
from napari_unetseg.plugin.fixing.tool_bar import ToolBar
from napari_unetseg.plugin.layers.world import world_place
from napari_unetseg.plugin.widget import SegmentationWidget

NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """Does what a user does with mouse and keys, by events of Qt, and waits for what comes of it."""

    def __init__(self, widget: SegmentationWidget, qtbot: Any) -> None:
        self.widget, self._qtbot = widget, qtbot
        self.viewer = widget.viewer

    @property
    def window(self) -> QWidget:
        window = self.widget.window()
        assert window is not None
        return window

    @property
    def canvas(self) -> QWidget:
        canvas = canvas_of(self.window)
        assert canvas is not None
        return canvas

    @property
    def bar(self) -> ToolBar:
        bar = self.widget.fixing.bar
        assert bar is not None
        return bar

    def layer(self, name: str = "cells labels") -> Any:
        return self.viewer.layers[name]

    def open(self) -> None:
        self.window.activateWindow()
        self._qtbot.waitUntil(lambda: QApplication.activeWindow() is self.window, timeout=10_000)
        self.widget.result_actions.fix.click()

    def settle(self) -> None:
        fixing, results = self.widget.fixing, self.widget.results
        self._qtbot.waitUntil(lambda: not (fixing.busy or results.busy), timeout=20_000)

    def run(self) -> None:
        self.widget.runner.run.click()
        self.wait_for_run()

    def wait_for_run(self) -> None:
        self._qtbot.waitUntil(lambda: not self.widget.controller.running, timeout=30_000)
        self.settle()

    def place(self, row: float, column: float, layer: Layer | None = None) -> QPoint:
        """Where on the canvas a pixel of the labels is."""
        layer = self.layer() if layer is None else layer
        pixel = np.zeros(layer.ndim)
        pixel[-2:] = row, column
        camera = self.viewer.scene.camera
        shown = list(self.viewer.dims.displayed)
        world = np.zeros(self.viewer.dims.ndim)
        world[-layer.ndim :] = world_place(layer, pixel, self.viewer.dims)
        y, x = (world[shown] - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + x), round(self.canvas.height() / 2 + y))

    def click(self, row: float, column: float, layer: Layer | None = None) -> None:
        QTest.mouseClick(self.canvas, LEFT, pos=self.place(row, column, layer))
        self.settle()

    def press(self, at: QPoint) -> None:
        QTest.mousePress(self.canvas, LEFT, pos=at)

    def move(self, at: QPoint, pressed: bool = True) -> None:
        buttons = LEFT if pressed else Qt.MouseButton.NoButton
        there = QPointF(self.canvas.mapToGlobal(at))
        none = Qt.MouseButton.NoButton
        QApplication.sendEvent(
            self.canvas, QMouseEvent(QEvent.Type.MouseMove, QPointF(at), there, none, buttons, NO_KEY)
        )
        QTest.qWait(10)  # napari hears of moves every few milliseconds

    def release(self, at: QPoint) -> None:
        QTest.mouseRelease(self.canvas, LEFT, pos=at)
        self.settle()

    def draw(self, *pixels: tuple[float, float]) -> None:
        places = [self.place(*pixel) for pixel in pixels]
        self.press(places[0])
        for first, last in pairwise(places):
            for share in np.linspace(0, 1, 6)[1:]:
                self.move(first + (last - first) * float(share))
        self.release(places[-1])

    def key(self, key: str, modifier: Any = NO_KEY) -> None:
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"), modifier)
        self.settle()

    def undo(self) -> None:
        self.key("Z", Qt.KeyboardModifier.ControlModifier)

    def redo(self) -> None:
        self.key("Z", Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)

    def objects(self) -> dict[str, list[int]]:
        """Which objects labels, contours and table show."""
        labels: Labels = self.layer()
        contours: Shapes = self.layer("cells contours")
        return {
            "labels": [int(label) for label in np.unique(labels.data) if label],
            "contours": sorted({int(label) for label in contours.features["label"]}),
            "table": [int(label) for label in labels.features["index"]],
        }


@pytest.fixture
def cells() -> NDArray[np.uint16]:
    """Bright squares at (4..11, 4..11), (20..25, 30..35) and (40..43, 50..53), and a dim one at (4..11, 40..47)."""
    image = np.zeros((48, 64), np.uint16)
    image[4:12, 4:12] = image[20:26, 30:36] = image[40:44, 50:54] = 1000
    image[4:12, 40:48] = 400
    return image


@pytest.fixture
def make_hand(
    make_widget: Callable[..., SegmentationWidget], press_run: Callable[[SegmentationWidget], None], qtbot: Any
) -> Callable[..., Hand]:
    """Open a window with a result, and the tools."""

    def make(*images: Any, run: bool = True, **arguments: Any) -> Hand:
        widget = make_widget(*images, show=True, **arguments)
        hand = Hand(widget, qtbot)
        if run:
            press_run(widget)
        hand.open()
        return hand

    return make


@pytest.fixture
def hand(make_hand: Callable[..., Hand], cells: NDArray[np.uint16]) -> Hand:
    return make_hand(cells)
