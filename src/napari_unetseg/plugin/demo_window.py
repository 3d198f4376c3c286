"""The real window with the sample in it, for `napari-unetseg demo` and for the pictures in the docs."""

from pathlib import Path

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_unetseg.errors import UnetsegError
from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.plugin.dock.remembered_settings import PLUGIN
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.zoo.registry import DEFAULT_MODEL

SAMPLE = "nuclei"
_SIZE = (1280, 800)


def open_demo(screenshot: Path | None) -> None:
    """Open napari with the sample, dock the widget and press Run.

    Parameters
    ----------
    screenshot
        Where to save a picture of the whole window once the results are there; the window closes
        then. None leaves it open until the user closes it.

    Raises
    ------
    UnetsegError
        If the run fails while a screenshot was asked for, or the picture cannot be written.
    """
    viewer = napari.Viewer(title="napari-unetseg")
    viewer.window.resize(*_SIZE)
    viewer.open_sample(PLUGIN, SAMPLE)
    widget = open_widget(viewer)
    # The sample shows what this model is for, whichever was used last.
    widget.inputs.choose_model(DEFAULT_MODEL)
    if screenshot is None:
        QTimer.singleShot(0, widget.runner.run.click)
        napari.run()
        return
    try:
        _run_and_wait(widget)
        widget.health.expand()
        viewer.reset_view()
        QApplication.processEvents()
        _save(viewer, screenshot)
    finally:
        viewer.close()


def _run_and_wait(widget: SegmentationWidget) -> None:
    loop = QEventLoop()
    failures: list[Exception] = []
    widget.controller.failed.connect(failures.append)
    for end in (widget.controller.done, widget.controller.failed, widget.controller.cancelled):
        end.connect(loop.quit)
    # Clicked inside the loop, so that an immediate end is not missed.
    QTimer.singleShot(0, widget.runner.run.click)
    loop.exec()
    if failures:
        raise failures[0]


def _save(viewer: napari.Viewer, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        viewer.screenshot(str(path), canvas_only=False, flash=False)
    except OSError as error:
        raise UnetsegError(f"{path}: the picture cannot be written ({error.strerror}).") from error
