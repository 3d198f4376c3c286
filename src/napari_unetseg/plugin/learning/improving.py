"""The tab "Improve": what it offers, and what it asks for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.current_result import FindResult
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.improve_form import ModelToImprove, Part
from napari_unetseg.plugin.learning.labelled_planes import LabelledPlane, labelled_planes
from napari_unetseg.plugin.learning.learning_panel import LearningPanel
from napari_unetseg.plugin.learning.regions import MarkedRegion, RegionKind, draw_region, marked_regions
from napari_unetseg.plugin.learning.run_shown import RunShown
from napari_unetseg.plugin.learning.training_request import Lesson, Preview, TrainingRequest, preview_part
from napari_unetseg.plugin.learning.viewer_watch import ViewerWatch
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.zoo.registry import Listed, ModelPackage

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Improving(QObject):
    """Keeps the form in line with the viewer, and starts runs.

    Parameters
    ----------
    viewer
        Its labels are offered.
    panel
        Has the form.
    find_result
        Gives the selected result, whose model is improved.
    models
        Lists the models there are; called in workers.
    shown
        Starts runs.
    parent
        Owner.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        panel: LearningPanel,
        find_result: FindResult,
        models: Callable[[], Sequence[Listed]],
        shown: RunShown,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panel, self._find_result = viewer, panel, find_result
        self._form, self._shown, self._models = panel.improve, shown, models
        self._given_model: str | None = None
        self._titles: dict[str, str] = {}
        self._obstacle: str | None = None
        self._regions: dict[LabelledPlane, list[MarkedRegion]] = {}
        self._form.labels.set_ticked(self._is_lesson)
        self._listing: LatestWorker[bool, Sequence[Listed]] = LatestWorker(self._prepare_listing, 0, self)
        self._listing.answered.connect(self._on_listed)
        self._listing.failed.connect(lambda _, error: shown.say(error))
        self._watch = ViewerWatch(viewer, self.refresh, self)
        self._form.changed.connect(self._allow)
        self._form.draw_requested.connect(lambda: self._draw(RegionKind.CORRECTED))
        self._form.exclude_requested.connect(lambda: self._draw(RegionKind.NOT_ANNOTATED))
        self._form.run_requested.connect(self._run)
        self._form.copy_requested.connect(self._copy)
        shown.changed.connect(self._allow)

    @property
    def busy(self) -> bool:
        """Whether models are being listed."""
        return self._listing.busy

    def begin(self, given: tuple[Path, str] | None) -> None:
        """Offer the labels of the viewer, or a folder that is learnt from and the model that is improved on it."""
        self._given_model = None if given is None else given[1]
        self._form.show_folder(None if given is None else given[0])
        self._listing.ask(True, at_once=True)
        self._watch.begin()
        self.refresh()

    def stop(self) -> None:
        """Follow the viewer no more."""
        self._listing.stop()
        self._watch.end()

    def refresh(self) -> None:
        """Show what there is to learn from now."""
        self._form.show_model(self._model())
        planes = labelled_planes(self._viewer)
        self._regions = marked_regions(self._viewer, planes)
        self._form.labels.show_planes(planes)
        ticked = self._form.labels.ticked()
        self._form.show_regions(sum(len(self._regions.get(plane, ())) for plane in ticked))
        self._allow()

    def _model(self) -> ModelToImprove | None:
        """Return the model of the folder, of the selected result, else of the newest labels that have one."""
        if self._given_model is not None:
            return ModelToImprove(self._given_model, self._titles.get(self._given_model, self._given_model))
        record = self._record()
        source = str(record.get("model_source") or record.get("model") or "")
        if not source or record.get("server"):
            return None
        name = str(record.get("model", source))
        return ModelToImprove(source, self._titles.get(source) or self._titles.get(name) or name)

    def _record(self) -> dict[str, Any]:
        result = self._find_result()
        if result is not None:
            return dict(result.segmentation.provenance.as_dict()) | {"model_source": result.model}
        records = [dict(plane.record) for plane in labelled_planes(self._viewer)]
        return next((record for record in records if record.get("model")), {})

    def _is_lesson(self, plane: LabelledPlane) -> bool:
        """Whether labels are ticked at first: results of the model that were corrected, and what has regions on it."""
        of_model = plane.record.get("sha256") == self._record().get("sha256")
        corrected = any(region.kind is RegionKind.CORRECTED for region in self._regions.get(plane, ()))
        return (plane.changed > 0 and of_model) or (corrected and bool(plane.record))

    def _lessons(self) -> list[Lesson]:
        """Return what is learnt from.

        Raises
        ------
        UnetsegError
            If nothing is; in words that say why.
        """
        ticked = self._form.labels.ticked()
        if not ticked:
            raise UnetsegError(tr(words.NOTHING_TICKED))
        part = self._form.chosen_part()
        if part is Part.WHOLE:
            return [Lesson(plane) for plane in ticked]
        if part is Part.VISIBLE:
            return _visible(ticked, self._viewer)
        found = [Lesson(plane, tuple(self._regions[plane])) for plane in ticked if plane in self._regions]
        if not found:
            raise UnetsegError(tr(words.NO_REGION))
        return found

    def _request(self) -> TrainingRequest:
        """Return what is asked for.

        Raises
        ------
        UnetsegError
            If something is missing; in words that say what.
        """
        form = self._form
        model = form.model_to_improve
        if model is None:
            raise UnetsegError(tr(words.NO_SERVER if self._record().get("server") else words.NO_RESULT))
        lessons = [] if form.folder is not None else self._lessons()
        title = form.title.text().strip() or form.suggested
        return TrainingRequest(
            "improve",
            title,
            form.minutes.value(),
            model=model.source,
            data=form.folder,
            lessons=lessons,
            preview=self._preview(lessons),
        )

    def _preview(self, lessons: Sequence[Lesson]) -> Preview | None:
        planes = [lesson.plane for lesson in lessons] or labelled_planes(self._viewer)
        result = self._find_result()
        chosen = None if result is None else next((plane for plane in planes if result.shown.owns(plane.labels)), None)
        plane = chosen or next(iter(planes), None)
        if plane is None:
            return None
        regions = next((lesson.regions for lesson in lessons if lesson.plane is plane), ())
        centre = np.array(plane.size) / 2 if not regions else regions[0].corners.mean(axis=0)
        return Preview(plane.plane(preview_part(plane, (float(centre[0]), float(centre[1])))), plane.channel)

    def _run(self) -> None:
        self._ask(self._shown.start)

    def _copy(self) -> None:
        self._ask(self._shown.copy_line)

    def _ask(self, act: Callable[[TrainingRequest], None]) -> None:
        self.refresh()
        try:
            act(self._request())
        except UnetsegError as error:
            self._shown.say(error)

    def _allow(self) -> None:
        if self._shown.busy:
            self._form.allow(tr(words.BUSY))
            return
        try:
            self._request()
        except UnetsegError as error:
            self._form.allow(str(error))
        else:
            self._form.allow(None)

    def _draw(self, kind: RegionKind) -> None:
        planes = self._form.labels.ticked() or self._form.labels.planes()
        draw_region(self._viewer, planes[0].labels if planes else None, kind)

    def _prepare_listing(self, _: bool) -> Callable[[Task[Sequence[Listed]]], Sequence[Listed]]:
        return lambda task: self._models()

    def _on_listed(self, _: bool, listed: Sequence[Listed]) -> None:
        packages = [model for model in listed if isinstance(model, ModelPackage)]
        self._titles = {package.name: tr(package.card.display_name) for package in packages}
        self._titles |= {str(package.source): tr(package.card.display_name) for package in packages}
        self._titles |= {str(package.path): tr(package.card.display_name) for package in packages}
        self.refresh()


def _visible(planes: Sequence[LabelledPlane], viewer: "ViewerModel") -> list[Lesson]:
    """Return of each plane the part in view; those out of view are left out, unless all are.

    Raises
    ------
    UnetsegError
        If none is in view.
    """
    lessons: list[Lesson] = []
    problem: UnetsegError | None = None
    for plane in planes:
        try:
            shown = choose_planes(RunOn.VISIBLE, plane.image, viewer, AxisChoices())[0].region
        except UnetsegError as error:
            problem = error
            continue
        spans = zip(shown or (), plane.region, strict=True)
        inside = [(max(a, low) - low, min(b, high) - low) for (a, b), (low, high) in spans]
        if all(first < last for first, last in inside):
            # Between the centres of the first and the last pixel there are all centres, so half a pixel more is meant.
            (top, bottom), (left, right) = [(first - 0.5, last - 0.5) for first, last in inside]
            corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
            lessons.append(Lesson(plane, (MarkedRegion(RegionKind.CORRECTED, corners),)))
    if not lessons:
        raise problem or UnetsegError(tr(words.OUT_OF_VIEW))
    return lessons
