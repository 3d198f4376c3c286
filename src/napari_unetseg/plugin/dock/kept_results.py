"""The results of a window: each owns its parameters, and the rows show and change those of the selected one."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Layer
from qtpy.QtCore import QObject

from napari_unetseg.language import tr, translated
from napari_unetseg.layer_style import MAX_CONTOURS, METADATA_KEY
from napari_unetseg.plugin.blocks.stored_layer import is_stored
from napari_unetseg.plugin.dock.adjustable_result import LET_GO_TIP, KeptResult, is_made_by, show_owner, show_stored
from napari_unetseg.plugin.dock.adjustments import with_agreement
from napari_unetseg.plugin.dock.headline import Headline, ResultReport
from napari_unetseg.plugin.dock.relabelling import Details, RelabelController, Relabelled
from napari_unetseg.plugin.dock.remembered_settings import apply_opacities, hides_older_results
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.current_result import CurrentResult
from napari_unetseg.plugin.layers.editing import EDITED, UPDATE_TIP
from napari_unetseg.plugin.layers.following import Followed
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY, ShownResult, lies_over, unwrapped
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.table.table_dock import TableDock
from napari_unetseg.plugin.workers.run_controller import RunController
from napari_unetseg.plugin.workers.segment_job import Outcome
from napari_unetseg.postprocessing.layer_data import OUTPUTS, Outlines, Output
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.plugin.layers.plane import Plane

KEPT_BYTES = 1024**3
"""Most memory of the probability maps that are kept, as much as one stack may take before its maps go to disk: those
of 80 planes of 1024 x 1024, or of five of 4096 x 4096."""

KEPT_ANYWAY = 2
"""Results whose maps are kept however large they are: the selected one, and the one before, to go back and forth."""


class KeptResults(QObject):
    """Shows results of runs, and keeps each in line with the rows while it is selected, and with edits.

    Selected is the result of which a layer is. While another layer is, it stays the one that was, if it is of the
    chosen image, else the last one of that image; without any, the rows are about the next run.
    During a run results rest, and nothing is said over the run's own messages.

    Parameters
    ----------
    viewer
        Gets the layers.
    controller
        Knows whether a run is under way.
    rows
        Which image and model are chosen, what the sliders say, and where a result is summed up.
    table
        Shows the objects.
    headline
        Sums up the selected result.
    parent
        Owner.

    Attributes
    ----------
    selected
        The result that the rows show; None if there is none.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        controller: RunController,
        rows: Rows,
        table: TableDock,
        headline: Headline,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._controller, self._rows, self._table = viewer, controller, rows, table
        self._headline = headline
        self._idle = RelabelController(self)
        self._results: list[KeptResult] = []
        self.selected: KeptResult | None = None
        self._afresh = False
        self._stored: Layer | None = None
        rows.adjustments.changed.connect(self._on_adjusted)
        rows.adjustments.reset_requested.connect(self._on_reset)
        rows.adjustments.output_chosen.connect(self._on_output)
        rows.inputs.image_changed.connect(self.choose)
        viewer.layers.selection.events.changed.connect(self.choose)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        table.failed.connect(self._on_failed)

    @property
    def relabelling(self) -> RelabelController:
        """What reads the labels of the selected result again."""
        return self._idle if self.selected is None else self.selected.relabelling

    def current(self) -> CurrentResult | None:
        """Return the selected result; None if there is none, or its probabilities were let go."""
        result = self.selected
        segmentation = None if result is None else result.relabelling.segmentation
        if result is None or segmentation is None:
            return None
        return CurrentResult(result.shown, segmentation, segmentation.provenance.model_source)

    @property
    def busy(self) -> bool:
        """Whether labels of any result are on their way."""
        return any(result.relabelling.busy for result in self._results)

    def add(self, outcome: Outcome) -> KeptResult:
        """Add the layers of a run, and keep its probabilities; older results that lie below are hidden."""
        apply_opacities(outcome.layers)
        segmentation, plane = outcome.segmentation, outcome.job.plane
        if hides_older_results():
            for older in self._results:
                if lies_over(plane, older.shown.plane):
                    older.shown.hide()
        shown = ShownResult(self._viewer, plane, outcome.layers, segmentation.labels, self._on_edit, segmentation.fixes)
        relabelling = RelabelController(self)
        provenance = segmentation.provenance
        result = KeptResult(
            shown,
            relabelling,
            segmentation.parameters,
            (provenance.model, provenance.sha256),
            outcome.suggested,
            ResultReport(shown, outcome.summary, segmentation.parameters, outcome.seconds),
            found_nothing=outcome.summary.count == 0,
        )
        as_labels = isinstance(outcome.layers.get("contours"), Labels)
        relabelling.follow(segmentation, shown, outlines_as_labels=as_labels)
        relabelling.relabelled.connect(partial(self._on_relabelled, result))
        relabelling.detailed.connect(partial(self._on_detailed, result))
        relabelling.made.connect(partial(self._on_made, result))
        relabelling.failed.connect(self._on_failed)
        relabelling.stale.connect(partial(self._on_stale, result))
        relabelling.followed.connect(partial(self._on_followed, result))
        shown.on_outputs = self._show_outputs
        self._results.append(result)
        self._select(result)
        return result

    def show(self, outcome: Outcome) -> None:
        """Add the layers of a run that is done, and sum it up."""
        if outcome.remarks:
            # Of several layers the last one, which the sliders act on.
            self._rows.inputs.choose_layer(outcome.job.plane.source)
        else:
            for older in [older for older in self._results if older.found_nothing]:
                older.shown.remove_if_empty()
        result = self.add(outcome)
        fit = outcome.segmentation.fit
        warnings = [translated(warning) for warning in (*outcome.faults, *outcome.segmentation.warnings)]
        if isinstance(outcome.layers.get("contours"), Labels):
            warnings.append(words.too_many_contours(MAX_CONTOURS))
        result.report = replace(
            result.report,
            warning=" ".join(warnings),
            remark=" ".join(outcome.remarks),
            unlike=fit is not None and fit.is_unlike,
        )
        self._headline.show(result.report)

    def update(self) -> None:
        """Bring labels, contours and table of the selected result in line with what was edited by hand."""
        self._update(self.selected)

    def choose(self, event: Any = None) -> None:
        """Find out which result is selected, and let the rows show it."""
        active = self._active()
        self._stored = self._selected_stored()
        if active is None and self._stored is None:
            image = unwrapped(self._rows.inputs.layer())
            fitting = [
                result
                for result in self._results
                if result.adjustable and (image is None or unwrapped(result.shown.plane.source) is image)
            ]
            active = self.selected if self.selected in fitting else next(reversed(fitting), None)
        self._select(active)

    def show_next_run(self) -> None:
        """Say what the next run does, now that another model may be chosen."""
        package = self._rows.inputs.package()
        if self.selected is None and package is not None:
            self._rows.adjustments.set_parameters(package.card.parameters)
        self._show_owner()

    def use_model_values(self) -> None:
        """Let the next run use what the chosen model itself suggests, whatever the selected result was read with."""
        self._afresh = True
        self.show_next_run()

    def plane(self, chosen: "Plane | None") -> "Plane | None":
        """Return the plane that the rows are about: that of the selected result, else the one chosen for a run."""
        return chosen if self.selected is None else self.selected.shown.plane

    def stop(self) -> None:
        """Act on no result any more."""
        for result in self._results:
            result.relabelling.stop()

    def _active(self) -> KeptResult | None:
        """Return the one result that layers are selected of; None if there are none or several."""
        layers = list(self._viewer.layers.selection)
        owners = [result for result in self._results if any(result.shown.owns(layer) for layer in layers)]
        return owners[0] if len(owners) == 1 else None

    def _selected_stored(self) -> Layer | None:
        """Return the one selected layer where its labels are on disk, and no slider acts on them."""
        layers = list(self._viewer.layers.selection)
        return layers[0] if len(layers) == 1 and is_stored(layers[0]) else None

    def _select(self, result: KeptResult | None) -> None:
        before, self.selected = self.selected, result
        adjustments = self._rows.adjustments
        if result is not before:
            self._afresh = False
            package = self._rows.inputs.package()
            if result is not None:
                adjustments.set_parameters(result.parameters)
                adjustments.set_pixel_area(result.shown.plane.pixel_area)
                self._table.follow(result.shown)
                self._let_go()
            elif before is not None and package is not None and not is_made_by(before, package.card):
                adjustments.set_parameters(package.card.parameters)
            self._show_outputs()
            if not self._controller.running:
                self._headline.select(None if result is None else result.report)
        self._show_owner()

    def _show_owner(self) -> None:
        package = self._rows.inputs.package()
        if self._stored is not None:
            show_stored(self._rows.adjustments, self._stored)
        else:
            show_owner(self._rows.adjustments, self.selected, None if package is None else package.card, self._afresh)

    def _show_outputs(self) -> None:
        result = self.selected
        if result is None:
            self._rows.adjustments.show_outputs(None)
            return
        present = [output for output in OUTPUTS if result.shown.has(output) or output in result.shown.wanted]
        self._rows.adjustments.show_outputs(present, OUTPUTS if result.adjustable else present)

    def _let_go(self) -> None:
        """Free the probabilities of results that were selected longest ago, as far as there are too many."""
        if self.selected in self._results:
            # In the order in which they were selected.
            self._results.remove(self.selected)
            self._results.append(self.selected)
        total = 0
        kept = [result for result in reversed(self._results) if result.adjustable]
        for place, result in enumerate(kept):
            total += result.kept_bytes
            if place >= KEPT_ANYWAY and total > KEPT_BYTES and not result.relabelling.busy:
                result.relabelling.stop()
                result.adjustable = False
                tip = tr(LET_GO_TIP).format(result=result.shown.name)
                result.report = replace(result.report, warning=tip)

    def _on_adjusted(self) -> None:
        if self._afresh:
            self._afresh = False
            self._show_owner()
        result = self.selected
        if result is None or not result.adjustable or self._controller.running:
            return
        if result.shown.refuses:
            self._rows.message.show_message(words.edited(result.shown.refuses), "warning")
            return
        self._request(result, result.parameters.override(self._rows.adjustments.parameters()))

    def _on_reset(self) -> None:
        package, result = self._rows.inputs.package(), self.selected
        if result is not None:
            self._rows.adjustments.set_parameters(result.defaults)
            self._on_adjusted()
        elif package is not None:
            self._rows.adjustments.set_parameters(package.card.parameters)

    def _request(self, result: KeptResult, parameters: DecodeParameters) -> None:
        result.parameters = parameters
        result.relabelling.request(parameters.model_dump())

    def _on_output(self, output: Output, ticked: bool) -> None:
        result = self.selected
        if result is None or self._controller.running:
            return
        for one in with_agreement([output]):
            if not ticked:
                result.shown.put_away(one)
            elif not result.shown.bring_back(one):
                if result.shown.refuses and one in ("labels", "contours"):
                    # What was painted on a stack is in its layer alone: new layers would not show the same objects.
                    self._rows.message.show_message(words.edited(result.shown.refuses), "warning")
                    self._show_outputs()
                    continue
                result.relabelling.make([one])
                if result.shown.edited is not None and not (result.shown.refuses or result.shown.follows):
                    self._update(result)  # a new layer shows what was drawn on the others, too

    def _on_inserted(self, event: Any) -> None:
        layer: Layer = event.value
        if METADATA_KEY in layer.metadata:
            for name in ("paint", "data"):
                if name in layer.events.emitters:
                    layer.events.emitters[name].connect(self._on_edited)

    def _on_edited(self, event: Any) -> None:
        """Record that a copy of a layer, or a result from a file, was edited: nothing else follows it."""
        layer: Layer = event.source
        record = layer.metadata.get(METADATA_KEY, {})
        if EDITED_KEY not in record and not any(result.shown.owns(layer) for result in self._results):
            layer.metadata[METADATA_KEY] = {**record, EDITED_KEY: 1}

    def _on_removed(self, event: Any) -> None:
        layer: Layer | None = event.value
        for result in [result for result in self._results if result.shown.owns(layer)]:
            result.shown.on_removed(layer)
            if not result.shown.layers:
                result.relabelling.stop()
                self._results.remove(result)
        self.choose()
        self._show_outputs()

    def _update(self, result: KeptResult | None) -> None:
        if result is not None and not self._controller.running:
            self._request(result, result.parameters)

    def _on_edit(self, layer: str) -> None:
        result = next((result for result in self._results if result.shown.edited == layer), None)
        if result is None or self._controller.running:
            return
        if result is self.selected:
            self._headline.update_line()
        if result.shown.follows:
            contours = result.shown.layer("contours")
            if contours is not None and layer == contours.name:
                self._update(result)
            return
        if result.adjustable and not result.shown.refuses:
            update = (tr("Update"), tr(UPDATE_TIP), partial(self._update, result))
            self._rows.message.show_message(tr(EDITED).format(layer=layer), action=update)

    def _on_relabelled(self, result: KeptResult, update: Relabelled) -> None:
        edited = 0 if update.edits is None else update.edits.count
        result.shown.show_labels(update.segmentation, update.data, edited)
        result.report = ResultReport(
            result.shown, update.summary, update.segmentation.parameters, result.report.seconds
        )
        if result is self.selected and not self._controller.running:
            self._headline.show(result.report)

    def _on_followed(self, result: KeptResult, update: Followed) -> None:
        result.report = replace(result.report, by_hand=update.count)
        if result is self.selected and not self._controller.running:
            self._headline.select(result.report)

    def _on_detailed(self, result: KeptResult, details: Details) -> None:
        result.shown.show_details(details.features, details.outlines)
        if not (isinstance(details.outlines, Outlines) or self._controller.running):
            self._rows.message.show_message(words.too_many_contours(MAX_CONTOURS), "warning")

    def _on_made(self, result: KeptResult, layers: Mapping[Output, Layer]) -> None:
        apply_opacities(layers)
        if result is self.selected:
            self._table.follow(result.shown)
            self._show_outputs()
        if isinstance(layers.get("contours"), Labels):
            self._rows.message.show_message(words.too_many_contours(MAX_CONTOURS), "warning")

    def _on_stale(self, result: KeptResult, stale: bool) -> None:
        if result is self.selected:
            self._table.set_stale(stale)

    def _on_failed(self, error: Exception) -> None:
        for result in self._results:
            if (parameters := result.relabelling.parameters) is not None:
                result.parameters = parameters
        if self.selected is not None and not self.relabelling.busy:
            self._rows.adjustments.set_parameters(self.selected.parameters)
        self._show_outputs()
        if not self._controller.running:
            self._rows.message.show_failure(words.describe_error(error))
