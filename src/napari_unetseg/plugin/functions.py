"""Segmentation as a function of a layer, for scripts, magicgui and menus."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack

import napari
from napari.components import Dims
from napari.layers import Image as ImageLayer
from napari.qt.threading import FunctionWorker
from napari.types import LayerDataTuple
from napari.utils import cancelable_progress
from napari.utils.notifications import show_info, show_warning
from pydantic.fields import FieldInfo
from qtpy.QtCore import QTimer

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.languages import errors_in_users_language
from napari_unetseg.plugin.layers.outputs import fresh_names, layer_data, with_name
from napari_unetseg.plugin.layers.plane import Plane, shown_plane
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.workers.background import TaskSignals
from napari_unetseg.plugin.workers.services import shared_service
from napari_unetseg.postprocessing.layer_data import OUTPUTS, LayerData, Output
from napari_unetseg.segment_options import SegmentKeywords, SegmentOptions
from napari_unetseg.signatures import shows_fields
from napari_unetseg.zoo.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from napari_unetseg.service import Failure, Segmentation


def _form_row(name: str, field: FieldInfo) -> Any:
    # magicgui's spin boxes know no None and would pass 0 for it; a line takes a number, or None.
    may_be_none = field.default is None
    return Annotated[field.annotation, {"widget_type": "LiteralEvalLineEdit"}] if may_be_none else field.annotation


# A plane that is shown has no planes to link, and no channels beside it to choose.
_shows_options = shows_fields(
    SegmentOptions,
    before="labels",
    without=("channel", "channels", "link"),
    annotate=_form_row,
    left_out="None takes the model's own.",
)


@_shows_options
def segment_layer(
    layer: ImageLayer,
    model: str = DEFAULT_MODEL,
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
    *,
    labels: bool = True,
    contours: bool = True,
    confidence: bool = False,
    **options: Unpack[SegmentKeywords],
) -> FunctionWorker[list[LayerDataTuple]]:
    """Segment the plane of a layer that its viewer shows, in a background thread.

    Progress and a cancel button appear in napari's activity area. Wrapped by ``magicgui`` or called
    from a menu, the layers are added when the worker is done; in a script connect to ``returned``. With `augment`
    and `confidence` there is a layer of how far the eight answers agree, too.

    Parameters
    ----------
    layer
        Image layer: grey or RGB, n-D, multiscale or lazy.
    model
        Name or path of a model package.
    device
        Where the network runs.
    options
        What is wanted of the image; see `napari_unetseg.segment_options.SegmentOptions`.
    labels, contours, confidence
        Which layers to make.

    Returns
    -------
    FunctionWorker
        Starts when the event loop next runs, so there is time to connect to its signals. Returns data
        of layers with names that no layer of the viewer has; returns nothing if it was cancelled.
        Errors are shown as napari's notifications.
    """
    _refuse_others(segment_layer, options)
    viewer = napari.current_viewer()
    plane = _plane(layer, viewer)
    outputs = _outputs(labels, contours, confidence)

    def work(reports: TaskSignals, cancelled: CancelFlag) -> list[LayerData]:
        service = shared_service(model, device)
        segmentation = service.segment(plane.read(), progress=reports.progressed.emit, cancel=cancelled, **options)
        return _named_layers(segmentation, plane, outputs, _taken(viewer))

    return _start(tr("Segmenting {image}").format(image=plane.name), work)


@_shows_options
def segment_layers(
    layers: Sequence[ImageLayer],
    model: str = DEFAULT_MODEL,
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
    *,
    labels: bool = True,
    contours: bool = True,
    confidence: bool = False,
    **options: Unpack[SegmentKeywords],
) -> FunctionWorker[list[LayerDataTuple]]:
    """Segment the shown planes of many layers together, as `segment_layer` does one.

    A layer that cannot be segmented is named in a notification, and the others go on. Cancelling
    gives the results that were finished by then.

    Parameters
    ----------
    layers
        Image layers.
    model, device
        As of `segment_layer`, the same for all.
    options
        As of `segment_layer`, the same for all.
    labels, contours, confidence
        As of `segment_layer`, the same for all.

    Returns
    -------
    FunctionWorker
        As of `segment_layer`, with the data of all results in the order of the layers.
    """
    _refuse_others(segment_layers, options)
    viewer = napari.current_viewer()
    planes = [_plane(layer, viewer) for layer in layers]
    outputs = _outputs(labels, contours, confidence)

    def work(reports: TaskSignals, cancelled: CancelFlag) -> list[LayerData]:
        results = shared_service(model, device).segment_batch(
            [plane.read for plane in planes], progress=reports.progressed.emit, cancel=cancelled, **options
        )
        return _collect(zip(planes, results, strict=True), outputs, _taken(viewer))

    title = tr_count("Segmenting {n} image", "Segmenting {n} images", len(planes)).format(n=len(planes))
    return _start(title, work)


def _refuse_others(function: Callable[..., Any], options: SegmentKeywords) -> None:
    """Refuse options that a function does not show at once, as Python does, and not in the worker.

    Raises
    ------
    TypeError
        If there is one.
    """
    inspect.signature(function).bind_partial(**options)


def _start(
    title: str, work: Callable[[TaskSignals, CancelFlag], list[LayerData]]
) -> FunctionWorker[list[LayerDataTuple]]:
    """Make a worker with a bar in napari's activity area; it starts when the event loop next runs."""
    reports = TaskSignals()
    bar = cancelable_progress(total=0, desc=title)

    def cancelled() -> bool:
        return bool(bar.is_canceled or worker.abort_requested)

    def run() -> list[LayerData]:
        try:
            with errors_in_users_language():
                return work(reports, cancelled)
        except Cancelled:
            worker.quit()
            return []

    def show_progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    worker = FunctionWorker(run)
    reports.progressed.connect(show_progress)
    worker.finished.connect(bar.close)
    # Not at once: a quick run could end before the caller has connected to the worker's signals.
    QTimer.singleShot(0, lambda: worker.start())
    return worker


def _plane(layer: ImageLayer, viewer: Any) -> Plane:
    in_viewer = viewer is not None and layer in viewer.layers
    return shown_plane(layer, viewer.dims if in_viewer else Dims(ndim=layer.ndim))


def _outputs(labels: bool, contours: bool, confidence: bool) -> tuple[Output, ...]:
    wanted = {"labels": labels, "contours": contours, "confidence": confidence, "agreement": confidence}
    return tuple(output for output in OUTPUTS if wanted[output])


def _taken(viewer: Any) -> set[str]:
    return {str(layer.name) for layer in viewer.layers} if viewer is not None else set()


def _named_layers(
    segmentation: "Segmentation", plane: Plane, outputs: tuple[Output, ...], taken: set[str]
) -> list[LayerData]:
    data = layer_data(segmentation, plane, outputs)
    names = fresh_names(plane.name, outputs, taken)
    return [with_name(one, names[output]) for output, one in data.items()]


def _collect(
    results: "Iterable[tuple[Plane, Segmentation | Failure]]", outputs: tuple[Output, ...], taken: set[str]
) -> list[LayerData]:
    """Turn the results of a batch into layers with names of their own, and name what failed."""
    from napari_unetseg.service import Failure

    made: list[LayerData] = []
    images = objects = 0
    for plane, result in results:
        if not isinstance(result, Failure):
            layers = _named_layers(result, plane, outputs, taken)
            taken |= {str(layer[1]["name"]) for layer in layers}
            made += layers
            images, objects = images + 1, objects + result.count
        elif not isinstance(result.error, Cancelled):
            warning = tr("{image} was not segmented: {reason}")
            show_warning(warning.format(image=plane.name, reason=describe_error(result.error).sentence))
    message = tr_count("{objects} in {n} image.", "{objects} in {n} images.", images)
    show_info(message.format(objects=words.count(objects), n=images))
    return made
