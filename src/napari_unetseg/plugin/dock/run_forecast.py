"""What a run would take, said under the Run button before it starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr, translated
from napari_unetseg.plugin.dock.device_box import ENTRY
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.plane import Plane, full_resolution
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.server_names import is_server, server_name
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.plugin.workers.services import known_service, requested_device
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.service.forecast import Forecast

_PAUSE_MS = 150
_DEVICES = {"cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (MPS)"}

_BASIS = {
    "runs": mark("The time is that of this session's runs with this model."),
    "benchmark": mark("The time is what 'napari-unetseg benchmark --save' measured on this machine."),
    "guess": mark("The time is a rough guess from the size of the network, until a first run was timed."),
}
_UNKNOWN = mark("The time is not known before a first run.")
_MEMORY = mark("Memory for tiles and results, beside the image and the model: about {needed} of {free} that are free.")
_LONG = mark("That is long. Try a small part first ('Run on'), to see whether the settings fit.")
_LARGE = mark(
    "That may be more than is free. Close other programs, or run on 'Whole image, to disk', which takes little memory."
)
_STORED = mark("Only a few blocks of the image are in memory at a time, and the labels are kept on disk.")
_TO_DISK = mark("to disk")


@dataclass(frozen=True)
class PlannedRun:
    """What would be run.

    Attributes
    ----------
    package, device
        The model, and where the user wants it.
    shape, planes
        Height and width, and how many of such planes.
    diameter, augment
        As `SegmentationService.segment` takes them.
    stored
        Whether the labels go to disk, block by block, so that the memory does not matter.
    """

    package: ModelPackage
    device: str
    shape: tuple[int, int]
    planes: int
    diameter: float | None = None
    augment: bool = False
    stored: bool = False


class RunForecast(QObject):
    """Says what a run would take, whenever the rows change.

    Parameters
    ----------
    viewer
        Where the images are.
    rows
        What would be run, and where the forecast is shown.
    parent
        Owner.
    """

    def __init__(self, viewer: "ViewerModel", rows: Rows, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._rows = viewer, rows
        self._planned: PlannedRun | None = None
        self._worker: LatestWorker[PlannedRun, Forecast | None] = LatestWorker(_prepare, _PAUSE_MS, self)
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)
        inputs, object_size = rows.inputs, rows.object_size
        for changed in (
            *(inputs.image_changed, inputs.model.chosen, inputs.device.chosen),
            *(object_size.diameter.valueChanged, object_size.augment.toggled),
        ):
            changed.connect(self._on_changed)

    @property
    def busy(self) -> bool:
        """Whether a forecast is still to come."""
        return self._worker.busy

    def update(self, *, recompute: bool = False) -> None:
        """Say what a run would take now.

        Parameters
        ----------
        recompute
            Whether to ask even if nothing changed: after a run it is known how fast the next one will be.
        """
        inputs = self._rows.inputs
        try:
            planes = choose_planes(inputs.run_on.choice(), inputs.layer(), self._viewer, inputs.axis_choices)
        except UnetsegError:  # which the rows say themselves
            planes = ()
        options = self._rows.object_size.segment_options()
        planned = plan_run(inputs.package(), inputs.device_key(), planes, options)
        if planned is not None:
            planned = replace(planned, stored=inputs.run_on.choice() is RunOn.STORED)
        if planned is None:
            self.stop()
        elif planned != self._planned or recompute:
            self._planned = planned
            self._worker.ask(planned)

    def stop(self) -> None:
        """Say nothing, and forget the run that was asked about."""
        self._planned = None
        self._worker.stop()
        self._show(None)

    def _on_changed(self, *_: object) -> None:
        self.update()

    def _on_answered(self, planned: PlannedRun, forecast: "Forecast | None") -> None:
        self._show(forecast, planned.device, stored=planned.stored)

    def _on_failed(self, planned: PlannedRun, error: Exception) -> None:
        # The run itself will say what is wrong; a forecast is not worth a message.
        self._show(None, planned.device)

    def _show(self, forecast: "Forecast | None", device: str = "", *, stored: bool = False) -> None:
        warn = forecast is not None and (forecast.is_long or forecast.is_large)
        server = server_name(device) if is_server(device) else ""
        line, explanation = forecast_line(forecast, server), explain_forecast(forecast, server)
        if stored:
            line, explanation = " · ".join(filter(None, (line, tr(_TO_DISK)))), f"{explanation}\n{tr(_STORED)}".strip()
        self._rows.runner.show_forecast(line, explanation, warn)


def plan_run(
    package: ModelPackage | None, device: str, planes: Sequence[Plane], segment_options: Mapping[str, Any]
) -> PlannedRun | None:
    """Describe the run that the rows ask for; None where nothing could be run. Reads no pixels."""
    shapes = [_shape(plane) for plane in planes if plane.source is not None]
    if package is None or not shapes:
        return None
    first = shapes[0][0]
    pixels = sum(prod(shape) * count for shape, count in shapes)
    return PlannedRun(
        package,
        device,
        first,
        ceil(pixels / prod(first)),
        segment_options.get("diameter"),
        bool(segment_options.get("augment")),
    )


def _shape(plane: Plane) -> tuple[tuple[int, int], int]:
    """Return height and width of a plane, and how many there are."""
    whole, placement = full_resolution(plane.source).shape, plane.placement
    spans = plane.region or tuple((0, whole[axis]) for axis in placement.plane_axes)
    height, width = (int(last - first) for first, last in spans)
    return (height, width), prod(int(whole[axis]) for axis in placement.stack_axes)


def compute_forecast(planned: PlannedRun) -> "Forecast | None":
    """Forecast a run; call it in a worker. Loads neither torch nor the model.

    Returns
    -------
    Forecast or None
        None of a server that ran nothing for this window yet.

    Raises
    ------
    UnetsegError
        If it could not be run.
    """
    from napari_unetseg.config import load_settings
    from napari_unetseg.service.forecast import Workload, forecast_run

    work = Workload(planned.shape, planned.planes, planned.diameter, planned.augment)
    service = known_service(str(planned.package.path), planned.device)
    if service is not None:
        forecast = service.forecast(work)
    elif is_server(planned.device):
        return None
    else:
        forecast = forecast_run(planned.package, work, load_settings().settings, requested_device(planned.device))
    return replace(forecast, memory_mb=None) if planned.stored else forecast


def _prepare(planned: PlannedRun) -> "Callable[[Task[Forecast | None]], Forecast | None]":
    return lambda task: compute_forecast(planned)


def forecast_line(forecast: "Forecast | None", server: str = "") -> str:
    """Return ``"CPU · about 4 s · 180 MB"``; if nothing is known the name of the server, if any."""
    if forecast is None:
        return tr(ENTRY).format(server=server) if server else ""
    device = _DEVICES[forecast.device]
    parts = [device if forecast.precision in (None, "float32") else f"{device} {forecast.precision}"]
    if forecast.seconds is not None:
        parts.append(tr("about {time}").format(time=_about(forecast.seconds)))
    if forecast.memory_mb is not None:
        parts.append(_memory(forecast.memory_mb))
    return " · ".join(parts)


def explain_forecast(forecast: "Forecast | None", server: str = "") -> str:
    """Say why this device, and where the figures come from."""
    if forecast is None:
        return tr(_UNKNOWN) if server else ""
    sentences = [translated(forecast.reason), tr(_UNKNOWN if forecast.basis is None else _BASIS[forecast.basis])]
    if forecast.memory_mb is not None:
        sentences.append(tr(_MEMORY).format(needed=_memory(forecast.memory_mb), free=_memory(forecast.free_mb)))
    sentences += [tr(_LONG)] * forecast.is_long + [tr(_LARGE)] * forecast.is_large
    return "\n".join(sentences)


def _about(seconds: float) -> str:
    """Return a duration without more digits than a forecast has: ``"4 s"``, ``"3 min"``, ``"2.5 h"``."""
    if seconds >= 5400:
        return f"{seconds / 3600:.2g} h"
    return words.duration(max(10, seconds)) if seconds >= 9.5 else f"{max(1, round(seconds))} s"


def _memory(megabytes: float) -> str:
    """Return two digits of an amount of memory: ``"180 MB"``, ``"6.1 GB"``."""
    if megabytes >= 1000:
        return f"{megabytes / 1024:.2g} GB" if megabytes < 99 * 1024 else f"{megabytes / 1024:.0f} GB"
    return f"{float(f'{max(megabytes, 1):.2g}'):.0f} MB"
