"""The last result: it follows the sliders and what users draw on it, and the rows say what became of it."""

from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_unetseg.language import tr, translated
from napari_unetseg.layer_style import MAX_CONTOURS
from napari_unetseg.plugin.dock.relabelling import Details, RelabelController, Relabelled
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.dock.try_all import channels_left, try_all_action
from napari_unetseg.plugin.layers.editing import EDITED, UPDATE_TIP
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.result_summary import Summary
from napari_unetseg.plugin.table.table_dock import TableDock
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import Outcome
from napari_unetseg.postprocessing.layer_data import Outlines
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari.components import ViewerModel


class LastResult(QObject):
    """Shows the result of a run and keeps it in line with sliders and edits until the next one.

    During a run it rests, and it says nothing over the run's own messages.

    Parameters
    ----------
    viewer
        Gets the layers.
    controller
        Knows whether a run is under way.
    rows
        Which image is chosen, what the sliders say, and where a result is summed up.
    table
        Shows the objects.
    parent
        Owner.

    Attributes
    ----------
    relabelling
        Reads the labels again, in workers.
    shown
        The layers of the last result; None before the first run.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        controller: RunController,
        rows: Rows,
        table: TableDock,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._controller, self._rows, self._table = viewer, controller, rows, table
        self.relabelling = RelabelController(self)
        self.shown: ShownResult | None = None
        self._source: ImageLayer | None = None
        self._seconds = 0.0
        self._unlike = False
        rows.adjustments.changed.connect(self._on_adjusted)
        self.relabelling.relabelled.connect(self._on_relabelled)
        self.relabelling.detailed.connect(self._on_detailed)
        self.relabelling.failed.connect(self._on_failed)
        self.relabelling.stale.connect(table.set_stale)
        table.failed.connect(self._on_failed)

    def show(self, outcome: Outcome) -> None:
        """Add the layers of a run that is done, and act on them from now on."""
        self._seconds, self._source = outcome.seconds, outcome.job.plane.source
        if outcome.remarks:
            self._rows.inputs.choose_layer(self._source)  # of several layers the last one, which the sliders act on
        labels = outcome.segmentation.labels
        if self.shown is not None:
            self.shown.remove_if_empty()
        self._unlike = outcome.segmentation.fit is not None and outcome.segmentation.fit.is_unlike
        self.shown = ShownResult(self._viewer, outcome.job.plane, outcome.layers, labels, self._on_edit)
        as_labels = isinstance(outcome.layers.get("contours"), Labels)
        self._table.follow(self.shown)
        self.relabelling.follow(outcome.segmentation, self.shown, outlines_as_labels=as_labels)
        warnings = [translated(warning) for warning in (*outcome.faults, *outcome.segmentation.warnings)]
        if as_labels:
            warnings.append(words.too_many_contours(MAX_CONTOURS))
        remark = " ".join(outcome.remarks)
        self._show_summary(outcome.summary, outcome.segmentation.parameters, " ".join(warnings), remark)

    def update(self) -> None:
        """Bring labels, contours and table in line with what was edited by hand."""
        if self.shown is not None and not self._controller.running:
            self.relabelling.request(self._rows.adjustments.parameters())

    def _on_adjusted(self) -> None:
        if self.shown is None or self._controller.running or self._rows.inputs.layer() != self._source:
            return
        if self.shown.refuses:
            self._rows.message.show_message(words.edited(self.shown.refuses), "warning")
            return
        self.relabelling.request(self._rows.adjustments.parameters())

    def _on_edit(self, layer: str) -> None:
        if self.shown is not None and not self._controller.running and not self.shown.refuses:
            update = (tr("Update"), tr(UPDATE_TIP), self.update)
            self._rows.message.show_message(tr(EDITED).format(layer=layer), action=update)

    def _on_relabelled(self, update: Relabelled) -> None:
        if self.shown is None:
            return
        self.shown.show_labels(update.segmentation, update.data, len(update.names))
        if not self._controller.running:
            self._show_summary(update.summary, update.segmentation.parameters, "")

    def _on_detailed(self, details: Details) -> None:
        if self.shown is None:
            return
        self.shown.show_details(details.features, details.outlines)
        if not (isinstance(details.outlines, Outlines) or self._controller.running):
            self._rows.message.show_message(words.too_many_contours(MAX_CONTOURS), "warning")

    def _on_failed(self, error: Exception) -> None:
        if not self._controller.running:
            self._rows.message.show_failure(words.describe_error(error))

    def _show_summary(self, summary: Summary, parameters: DecodeParameters, warning: str, remark: str = "") -> None:
        self._rows.runner.result.setText(f"{words.count(summary.count)} · {words.duration(self._seconds)}")
        if summary.count:
            text = f"{warning} {remark}".strip() or tr(words.DONE)
            offer = try_all_action(self._rows) if warning and self._unlike else None
            self._rows.message.show_message(text, "warning" if warning else "plain", action=offer)
            return
        action = None
        if (suggestion := summary.suggestion) is not None:
            tip = tr("Sets the threshold to where the model is just sure enough of something.")
            action = (
                tr("Set to {threshold:.2f}").format(threshold=suggestion),
                tip,
                lambda: self._rows.adjustments.threshold.setValue(suggestion),
            )
        left = "" if self.shown is None else channels_left(self._viewer, self._rows, self.shown.plane)
        text = " ".join(filter(None, (words.nothing_found(summary, parameters), left, warning, remark)))
        actions = [*([action] if action else []), try_all_action(self._rows)]
        self._rows.message.show_message(text, "warning", action=actions[0], second=(*actions, None)[1])
