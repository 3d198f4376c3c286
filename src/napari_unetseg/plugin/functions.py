"""Segmentation as a function of a layer, for scripts, magicgui and menus."""

from collections.abc import Callable
from typing import Literal

import napari
from napari.components import Dims
from napari.layers import Image as ImageLayer
from napari.qt.threading import FunctionWorker
from napari.types import LayerDataTuple
from napari.utils import cancelable_progress
from qtpy.QtCore import QTimer

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.background import Reports
from napari_unetseg.plugin.layers import Plane, shown_plane
from napari_unetseg.plugin.outputs import OUTPUTS, LayerData, Output, fresh_names, layer_data, named
from napari_unetseg.plugin.services import shared_service
from napari_unetseg.zoo.registry import DEFAULT_MODEL


def segment_layer(
    layer: ImageLayer,
    model: str = DEFAULT_MODEL,
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
    threshold: float | None = None,
    min_size: int | None = None,
    split: float | None = None,
    labels: bool = True,
    contours: bool = True,
    confidence: bool = False,
) -> FunctionWorker[list[LayerDataTuple]]:
    """Segment the plane of a layer that its viewer shows, in a background thread.

    Progress and a cancel button appear in napari's activity area. Wrapped by ``magicgui`` or called
    from a menu, the layers are added when the worker is done; in a script connect to ``returned``.

    Parameters
    ----------
    layer
        Image layer: grey or RGB, n-D, multiscale or lazy.
    model
        Name or path of a model package.
    device
        Where the network runs.
    threshold, min_size, split
        Decoder parameters; None takes the model's own.
    labels, contours, confidence
        Which layers to make.

    Returns
    -------
    FunctionWorker
        Starts when the event loop next runs, so there is time to connect to its signals. Returns data
        of layers with names that no layer of the viewer has; returns nothing if it was cancelled.
        Errors are shown as napari's notifications.
    """
    viewer = napari.current_viewer()
    in_viewer = viewer is not None and layer in viewer.layers
    plane = shown_plane(layer, viewer.dims if in_viewer else Dims(ndim=layer.ndim))
    wanted = {"labels": labels, "contours": contours, "confidence": confidence}
    outputs = tuple(output for output in OUTPUTS if wanted[output])
    parameters = {"threshold": threshold, "min_size": min_size, "split": split}
    reports = Reports()
    bar = cancelable_progress(total=0, desc=f"Segmenting {plane.name}")

    def taken() -> set[str]:
        return {str(other.name) for other in viewer.layers} if viewer is not None else set()

    def work() -> list[LayerData]:
        try:
            return _segment(plane, model, device, parameters, outputs, taken, reports, cancelled)
        except Cancelled:
            worker.quit()
            return []

    def cancelled() -> bool:
        return bool(bar.is_canceled or worker.abort_requested)

    def show_progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    worker = FunctionWorker(work)
    reports.progressed.connect(show_progress)
    worker.finished.connect(bar.close)
    # Not at once: a quick run could end before the caller has connected to the worker's signals.
    QTimer.singleShot(0, lambda: worker.start())
    return worker


def _segment(
    plane: Plane,
    model: str,
    device: str,
    parameters: dict[str, float | int | None],
    outputs: tuple[Output, ...],
    taken: Callable[[], set[str]],
    reports: Reports,
    cancelled: Callable[[], bool],
) -> list[LayerData]:
    service = shared_service(model, device)
    segmentation = service.segment(
        plane.read(),
        progress=reports.progressed.emit,
        cancel=cancelled,
        **parameters,  # type: ignore[arg-type]
    )
    data = layer_data(segmentation, plane, outputs)
    names = fresh_names(plane.name, outputs, taken())
    return [named(one, names[output]) for output, one in data.items()]
