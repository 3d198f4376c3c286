"""The line above the messages, which sums up a result, and what the messages say while nothing else happens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_unetseg.language import tr
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.dock.try_all import channels_left, try_all_action
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.messages import Action
from napari_unetseg.plugin.parts.result_summary import Summary
from napari_unetseg.postprocessing.layer_data import OUTPUTS
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True)
class ResultReport:
    """What there is to say of a result.

    Attributes
    ----------
    shown
        Its layers, and what was segmented.
    summary, parameters
        How many objects there are, and by which parameters.
    seconds
        How long its run took.
    warning
        What went otherwise than one would expect.
    remark
        What else there is to know.
    unlike
        Whether the image looks unlike what the model knows.
    by_hand
        How many objects there are since some were changed by hand; None where none was.
    """

    shown: ShownResult
    summary: Summary
    parameters: DecodeParameters
    seconds: float
    warning: str = ""
    remark: str = ""
    unlike: bool = False
    by_hand: int | None = None


class Headline(QObject):
    """Sums up a result as long as it has layers, and says what is to be known before the next run.

    The line names plane, channel and region where the image has more than that, and the image where another one is
    chosen. A message of somebody else stays until there is news.

    Parameters
    ----------
    viewer
        Has the layers.
    rows
        Where it is said, and which image is chosen.
    parent
        Owner.
    """

    def __init__(self, viewer: "ViewerModel", rows: Rows, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._rows = viewer, rows
        self._report: ResultReport | None = None
        self._obstacle: str | None = None
        self._unseen: list[str] = []
        self._said = ""
        self._line = ""
        viewer.layers.events.removed.connect(self._on_removed)

    def show(self, report: ResultReport) -> None:
        """Sum up a result that is new, or whose objects are, and say what there is to know of it."""
        self._take(report)
        self._say()

    def select(self, report: ResultReport | None) -> None:
        """Sum up a result that is selected, or none; what was said of it when it was shown stays."""
        self._take(report)
        self._renew()

    def show_line(self, line: str) -> None:
        """Sum up a result that the rows do not act on, until there is one that they do, or the next run begins."""
        self._report, self._line = None, line
        self.update_line()

    def clear(self) -> None:
        """Say nothing of a result: a run begins."""
        self._line = ""
        self._take(None)

    def update_line(self) -> None:
        """Sum up the result as it is now that its objects may have been changed by hand."""
        line = self._line
        if (report := self._report) is not None:
            plane = report.shown.plane
            elsewhere = self._rows.inputs.layer() != plane.source
            found = report.summary.count if report.by_hand is None else report.by_hand
            count = found if report.shown.in_line else None
            line = words.result_line(count, report.seconds, plane.place, plane.name if elsewhere else None)
        self._rows.runner.result.setText(line)
        self._rows.runner.result.setToolTip(line)

    def refresh(self, obstacle: str | None) -> None:
        """Speak of the images and layers as they are now.

        Parameters
        ----------
        obstacle
            Why nothing can be run; None if something can.
        """
        before, self._unseen = self._unseen, self._rows.inputs.unseen(self._viewer)
        self._obstacle = obstacle
        self._forget_removed()
        self.update_line()
        if obstacle is not None or (self._unseen and self._unseen != before):
            self._say()
        else:
            self._renew()

    def _take(self, report: ResultReport | None) -> None:
        self._report = report
        self.update_line()

    def _renew(self) -> None:
        """Say what there is to say, unless somebody else has the word."""
        if self._rows.message.text.text() in (self._said, ""):
            self._say()

    def _on_removed(self, event: Any = None) -> None:
        if self._forget_removed():
            self._renew()

    def _forget_removed(self) -> bool:
        """Clear the line if the layers of its result are gone; tell whether they are."""
        gone = self._report is not None and all(self._report.shown.layer(output) is None for output in OUTPUTS)
        if gone:
            self._take(None)
        return gone

    def _say(self) -> None:
        """Say which image cannot be seen, what there is to know of the result, and what can be done next."""
        report, unseen = self._report, [] if self._obstacle else self._unseen
        found = report is None or report.summary.count > 0
        notes = [] if report is None else [report.warning, report.remark]
        if report is not None and not found:
            left = channels_left(self._viewer, self._rows, report.shown.plane)
            notes = [words.nothing_found(report.summary, report.parameters), left, *notes]
        parts = [part for part in (*unseen, *notes, self._obstacle) if part]
        if report is None and not self._obstacle:
            parts.append(tr(words.READY_UNSEEN if unseen else words.READY))
        self._said = " ".join(parts) or tr(words.DONE)
        warn = unseen or not found or (report is not None and report.warning)
        first, second, *_ = [*([] if report is None else self._actions(report)), None, None]
        self._rows.message.show_message(self._said, "warning" if warn else "plain", action=first, second=second)

    def _actions(self, report: ResultReport) -> list[Action]:
        """Return the buttons that help on: one sets the threshold to where there is something, another tries all."""
        actions: list[Action] = []
        if (suggestion := report.summary.suggestion) is not None:
            tip = tr("Sets the threshold to where the model is just sure enough of something.")
            title = tr("Set to {threshold:.2f}").format(threshold=suggestion)
            actions.append((title, tip, lambda: self._rows.adjustments.threshold.setValue(suggestion)))
        if not report.summary.count or report.unlike:
            actions.append(try_all_action(self._rows))
        return actions
