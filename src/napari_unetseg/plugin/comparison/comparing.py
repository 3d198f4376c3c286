"""Opens the comparison of two models, and decides what its window and its layers show."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_unetseg.errors import Cancelled
from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY, PREVIEW_KEY
from napari_unetseg.plugin.comparison import comparison_words as words
from napari_unetseg.plugin.comparison.compare_dialog import CompareDialog
from napari_unetseg.plugin.comparison.comparison_job import Compared, ComparisonJob, compare
from napari_unetseg.plugin.comparison.comparison_layers import ComparisonLayers, LayerTuple, in_plane, make_layers
from napari_unetseg.plugin.layers.current_result import CurrentResult, FindResult
from napari_unetseg.plugin.layers.result_layers import unwrapped
from napari_unetseg.plugin.layers.world import pixel_offset, world_place
from napari_unetseg.plugin.parts import words as common_words
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.services import AUTOMATIC, ServiceFactory
from napari_unetseg.postprocessing.label_differences import Difference
from napari_unetseg.zoo.registry import ModelPackage, usable_models

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer


class Comparing(QObject):
    """Opens the window of a comparison.

    Parameters
    ----------
    viewer
        Gets the layers that are compared.
    find_result
        Gives the selected result.
    services
        Gives the service of a model and device, in workers.
    parent
        Owner.
    models
        Lists the models that can be used.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        find_result: FindResult,
        services: ServiceFactory,
        parent: QWidget | None = None,
        models: Callable[[], Sequence[ModelPackage]] = usable_models,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._find_result, self._services = viewer, find_result, services
        self._window, self._models = parent, models
        self._packages: list[ModelPackage] = []
        self.dialog: CompareDialog | None = None
        self.layers = ComparisonLayers(viewer)
        self._task: Task[tuple[Compared, dict[str, Layer]]] | None = None
        self._error: Exception | None = None
        self._made: tuple[Compared, dict[str, Layer]] | None = None
        self._compared: Compared | None = None
        self._first: CurrentResult | None = None
        self._shown: dict[Difference, int] = {}

    @property
    def busy(self) -> bool:
        """Whether a comparison runs."""
        return self._task is not None

    def open(self) -> None:
        """Show the window."""
        if self.dialog is None:
            self.dialog = dialog = CompareDialog(self._window)
            dialog.compare_requested.connect(self._start)
            dialog.cancel_requested.connect(self._cancel)
            dialog.beside_changed.connect(self.layers.put_beside)
            dialog.next_requested.connect(self._go_to_next)
            for event in self._events():
                event.connect(self._refresh)
        self._offer_models()
        self._refresh()
        self.dialog.use_theme(get_theme(self._viewer.theme))
        self.dialog.show_beside(self.dialog if self._window is None else self._window.window() or self._window)

    def stop(self) -> None:
        """Cancel what runs, and close the window; the layers stay."""
        self._cancel()
        if self.dialog is not None:
            for event in self._events():
                event.disconnect(self._refresh)
            self.dialog.close()
            self.dialog = None

    def _events(self) -> tuple[Any, ...]:
        layers = self._viewer.layers
        return layers.events.inserted, layers.events.removed, layers.selection.events.changed

    def _offer_models(self) -> None:
        """Offer the models there are now; first one that did not make the selected result."""
        result, self._packages = self._find_result(), list(self._models())
        others = [at for at, one in enumerate(self._packages) if result is None or not _is_of(result, one)]
        if self.dialog is not None and not self.busy:
            self.dialog.offer(self._packages, others[0] if others else 0)

    def _refresh(self, event: Any = None) -> None:
        """Offer what can be compared with the result that is selected now."""
        dialog, result = self.dialog, self._find_result()
        if dialog is None or self.busy:
            return
        if result is None:
            dialog.show_first(tr(words.NO_RESULT), possible=False)
            return
        dialog.show_first(f"{self._title(result)} · {result.shown.name}", possible=dialog.package() is not None)
        truths = self._truths(result)
        preferred = next((layer for layer in truths if METADATA_KEY not in layer.metadata), None)
        dialog.offer_truth(truths, preferred)
        if self._compared is None:
            dialog.message.show_message(tr(words.READY if dialog.package() else words.NO_MODEL))

    def _title(self, result: CurrentResult) -> str:
        """Return what people call the model of a result."""
        card = next((package.card for package in self._packages if _is_of(result, package)), None)
        return result.segmentation.provenance.model if card is None else tr(card.display_name)

    def _start(self) -> None:
        dialog, result = self.dialog, self._find_result()
        package = None if dialog is None else dialog.package()
        if dialog is None or result is None or package is None or self.busy:
            return
        plane, truth = result.shown.plane, dialog.truth.currentData()
        job = ComparisonJob(
            plane,
            _reader(result),
            package,
            _device(result),
            _options(result, with_first=bool(dialog.settings.currentData())),
            None if truth is None else self._truth_reader(truth, result),
        )
        source: Any = unwrapped(plane.source)
        image = source.as_layer_data_tuple() if source in self._viewer.layers else None
        self._first, self._error, self._made = result, None, None
        dialog.show_running(True)
        dialog.message.show_message(tr(words.RUNNING).format(model=tr(package.card.display_name)))
        self._task = Task(lambda task: _work(job, image, self._services, task))
        self._task.reports.progressed.connect(dialog.show_progress)
        start(self._task, returned=self._on_returned, errored=self._on_errored, finished=self._on_finished)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.quit()

    def _on_returned(self, made: "tuple[Compared, dict[str, Layer]]") -> None:
        self._made = made

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        if self._task is None:
            return
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        error, made, self._task = self._error, self._made, None
        dialog = self.dialog
        if dialog is None:
            return
        dialog.show_running(False)
        self._refresh()
        if cancelled or (made is None and error is None):
            dialog.message.show_message(tr(words.CANCELLED), "warning")
        elif error is not None or made is None:
            dialog.message.show_failure(common_words.describe_error(error or RuntimeError()))
        else:
            self._show(*made)

    def _show(self, compared: Compared, layers: "dict[str, Layer]") -> None:
        dialog, first = self.dialog, self._first
        if dialog is None or first is None:
            return
        if not first.shown.layers:
            dialog.message.show_message(tr(words.GONE), "warning")
            return
        self._compared, self._shown = compared, {}
        self.layers.show(layers, compared.job.plane, beside=dialog.beside.isChecked())
        dialog.show_compared(self._title(first), compared)
        differs = any(count for kind, count in compared.differences.counts.items() if kind is not Difference.SAME)
        text = tr(words.DONE).format(layer=layers["differences"].name) if differs else tr(words.SAME)
        truth = dialog.truth.currentText()
        if compared.scores is not None and compared.scores[0].average_precision is None:
            text = tr(words.ONE_VALUE).format(layer=truth)
        dialog.message.show_message(text, "good")

    def _truths(self, result: CurrentResult) -> list[Labels]:
        """Return the layers that may hold the true objects of what was segmented."""
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(unwrapped(layer), Labels)
            and not result.shown.owns(layer)
            and not self.layers.own(layer)
            and PREVIEW_KEY not in layer.metadata
            and self._offset(layer, result) is not None
        ]

    def _offset(self, layer: Labels, result: CurrentResult) -> tuple[int, ...] | None:
        """Return which pixel of a layer the first one of a result is; None if the layer does not cover it."""
        own = result.shown.layers
        offset = pixel_offset(own[0], layer) if own and not layer.multiscale else None
        if offset is None:
            return None
        lengths = result.shown.plane.placement.expand(result.segmentation.labels).shape
        inside = all(
            at >= 0 and at + length <= whole
            for at, length, whole in zip(offset, lengths, layer.data.shape, strict=True)
        )
        return offset if inside else None

    def _truth_reader(self, layer: Labels, result: CurrentResult) -> Callable[[], NDArray[np.integer]] | None:
        offset = self._offset(layer, result)
        if offset is None:
            return None
        plane, data = result.shown.plane, layer.data
        lengths = plane.placement.expand(result.segmentation.labels).shape
        span = tuple(slice(at, at + length) for at, length in zip(offset, lengths, strict=True))
        return lambda: in_plane(np.asarray(data[span]), plane)

    def _go_to_next(self, kind: Difference) -> None:
        """Show the next place of a kind in the middle of the canvas, at the zoom there is."""
        layer, compared = self.layers.differences, self._compared
        if layer is None or compared is None or not compared.places[kind]:
            return
        places = compared.places[kind]
        at = self._shown.get(kind, -1) + 1
        self._shown[kind] = at % len(places)
        placement = compared.job.plane.placement
        pixel = np.zeros(layer.ndim)
        pixel[[*placement.stack_axes, *placement.plane_axes]] = places[self._shown[kind]]
        dims = self._viewer.dims
        world = world_place(layer, pixel, dims)
        offset = dims.ndim - len(world)
        shown = [axis - offset for axis in dims.displayed]
        for axis in set(range(len(world))) - set(shown):
            dims.set_point(axis + offset, world[axis])
        # napari has moved its camera to a scene in 0.9.
        getattr(self._viewer, "scene", self._viewer).camera.center = tuple(world[shown])


def _work(
    job: ComparisonJob, image: LayerTuple | None, services: ServiceFactory, task: "Task[Any]"
) -> "tuple[Compared, dict[str, Layer]]":
    compared = compare(job, services, task)
    return compared, make_layers(compared, image)


def _is_of(result: CurrentResult, package: ModelPackage) -> bool:
    provenance = result.segmentation.provenance
    return (provenance.model, provenance.sha256) == (package.card.name, package.card.weights.sha256)


def _reader(result: CurrentResult) -> Callable[[], NDArray[np.integer]]:
    """Return what reads the labels as they are shown now, edits included."""
    layer, segmentation, plane = result.shown.layer("labels"), result.segmentation, result.shown.plane
    if layer is None or layer.data.shape != plane.placement.expand(segmentation.labels).shape:
        return lambda: segmentation.labels
    data = layer.data
    return lambda: in_plane(data, plane)


def _device(result: CurrentResult) -> str:
    """Return where the second model runs: on the server that ran the first one, or where the settings say."""
    server = result.segmentation.provenance.server
    return AUTOMATIC if server is None else str(server["address"])


def _options(result: CurrentResult, *, with_first: bool) -> dict[str, Any]:
    """Return how the second model runs: on the same channels, and with its own settings or those of the first."""
    provenance, segmentation = result.segmentation.provenance, result.segmentation
    options: dict[str, Any] = {"channel": provenance.channel, "link": segmentation.link}
    if provenance.channels is not None:
        options["channels"] = provenance.channels
    if with_first:
        options |= segmentation.parameters.model_dump()
        options |= {"diameter": provenance.diameter, "augment": provenance.augmented}
    return options
