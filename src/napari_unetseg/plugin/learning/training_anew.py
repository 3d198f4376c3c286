"""The tab "Train a new model": looks at what was chosen, and starts runs."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import error_sentence, tr, translated
from napari_unetseg.plugin.layers.current_result import FindResult
from napari_unetseg.plugin.layers.plane import shown_plane
from napari_unetseg.plugin.layers.result_layers import unwrapped
from napari_unetseg.plugin.layers.run_areas import is_result
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.data_look import DataAnswer, DataQuestion, prepare_look
from napari_unetseg.plugin.learning.labelled_planes import labelled_planes
from napari_unetseg.plugin.learning.learning_panel import LearningPanel
from napari_unetseg.plugin.learning.run_shown import RunShown
from napari_unetseg.plugin.learning.training_request import (
    PREVIEW_SIDE,
    Lesson,
    Preview,
    TrainingRequest,
    preview_part,
)
from napari_unetseg.plugin.learning.viewer_watch import ViewerWatch
from napari_unetseg.plugin.workers.latest_worker import LatestWorker

if TYPE_CHECKING:
    from napari.components import ViewerModel

_PAUSE_MS = 200


class TrainingAnew(QObject):
    """Keeps the form in line with its images, and starts runs.

    Parameters
    ----------
    viewer
        Its labels are offered.
    panel
        Has the form.
    find_result
        Gives the selected result, on whose image previews are shown.
    shown
        Starts runs.
    parent
        Owner.
    """

    _looked_at = Signal(int, int)

    def __init__(
        self,
        viewer: "ViewerModel",
        panel: LearningPanel,
        find_result: FindResult,
        shown: RunShown,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._form, self._shown, self._find_result = viewer, panel.train, shown, find_result
        self._answer: DataAnswer | None = None
        self._problem = tr(words.NO_FOLDER)
        self._look: LatestWorker[DataQuestion, DataAnswer] = LatestWorker(
            prepare_look(self._looked_at.emit), _PAUSE_MS, self
        )
        self._look.answered.connect(self._on_answer)
        self._look.failed.connect(self._on_failure)
        self._looked_at.connect(self._on_progress)
        self._watch = ViewerWatch(viewer, self.refresh, self)
        self._form.source_changed.connect(self._ask_look)
        self._form.changed.connect(self._allow)
        self._form.run_requested.connect(lambda: self._ask(self._shown.start))
        self._form.copy_requested.connect(lambda: self._ask(self._shown.copy_line))
        shown.changed.connect(self._allow)

    @property
    def busy(self) -> bool:
        """Whether images are being looked at."""
        return self._look.busy

    def begin(self) -> None:
        """Offer what there is."""
        self._form.offer_last_folder()
        self._watch.begin()
        self.refresh()
        self._ask_look()

    def stop(self) -> None:
        """Follow the viewer no more."""
        self._look.stop()
        self._watch.end()

    def refresh(self) -> None:
        """Show which labels there are now."""
        self._form.labels.show_planes(labelled_planes(self._viewer))
        self._allow()

    def _ask_look(self) -> None:
        self._answer = None
        folder, lessons = self._form.data_folder(), self._lessons()
        if folder is None and not lessons:
            self._look.stop()
            self._problem = tr(self._missing())
            self._form.table.show_rows(())
        else:
            self._problem = tr(words.CHECKING)
            self._look.ask(DataQuestion(folder, lessons))
        self._form.say(self._problem)
        self._allow()

    def _missing(self) -> str:
        if self._form.from_folder:
            return words.NO_FOLDER
        return words.NOTHING_TICKED if self._form.labels.planes() else words.NO_LABELS

    def _lessons(self) -> Sequence[Lesson]:
        return [] if self._form.from_folder else [Lesson(plane) for plane in self._form.labels.ticked()]

    def _on_progress(self, done: int, total: int) -> None:
        if self._answer is None and self._look.busy:
            self._form.say(f"{tr(words.CHECKING)} {done} / {total}")

    def _on_answer(self, question: DataQuestion, answer: DataAnswer) -> None:
        self._answer = answer
        report = answer.report
        self._form.table.show_rows(answer.rows)
        self._form.say(words.report_line(len(report.pairs), [translated(finding) for finding in report.findings]))
        self._form.suggest_objects(report.suggested)
        self._problem = "" if report.usable else tr(words.UNUSABLE)
        self._allow()

    def _on_failure(self, question: DataQuestion, error: Exception) -> None:
        self._form.table.show_rows(())
        self._problem = translated(error_sentence(error))
        self._form.say(self._problem)
        self._allow()

    def _request(self) -> TrainingRequest:
        """Return what is asked for.

        Raises
        ------
        UnetsegError
            If the images cannot be learnt from, or were not looked at yet.
        """
        form = self._form
        if self._answer is None or not self._answer.report.usable:
            raise UnetsegError(self._problem)
        return TrainingRequest(
            "train",
            form.title.text().strip() or tr("My model"),
            form.minutes.value(),
            objects=form.chosen_objects(),
            size=form.chosen_size(),
            data=form.data_folder(),
            lessons=self._lessons(),
            preview=self._preview(),
        )

    def _preview(self) -> Preview | None:
        """Preview on what is learnt from, else on the selected result's image, else on the topmost image."""
        lessons = self._lessons()
        if lessons:
            plane = lessons[0].plane
            middle = (plane.size[0] / 2, plane.size[1] / 2)
            return Preview(plane.plane(preview_part(plane, middle)), plane.channel)
        result = self._find_result()
        layers = [unwrapped(layer) for layer in reversed(self._viewer.layers)]
        images = [layer for layer in layers if isinstance(layer, ImageLayer) and not is_result(layer) and layer.visible]
        image = next(iter(images), None) if result is None else result.shown.plane.source
        if image is None:
            return None
        height, width = shown_plane(image, self._viewer.dims).size
        top, left = max(height - PREVIEW_SIDE, 0) // 2, max(width - PREVIEW_SIDE, 0) // 2
        region = ((top, min(top + PREVIEW_SIDE, height)), (left, min(left + PREVIEW_SIDE, width)))
        return Preview(shown_plane(image, self._viewer.dims, region=region))

    def _ask(self, act: Callable[[TrainingRequest], None]) -> None:
        try:
            request = self._request()
        except UnetsegError as error:
            self._shown.say(error)
            return
        self._form.remember_folder()
        act(request)

    def _allow(self) -> None:
        if self._shown.busy:
            self._form.allow(tr(words.BUSY))
            return
        usable = self._answer is not None and self._answer.report.usable
        self._form.allow(None if usable else self._problem)
