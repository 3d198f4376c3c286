"""Opens the review of a folder's results."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QDockWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.review_panel import ReviewPanel
from napari_unetseg.plugin.review.review_session import ChooseResults, ReviewSession, choose_results

if TYPE_CHECKING:
    import napari.viewer


class Reviewing(QObject):
    """Opens the window of a review: a dock, once.

    Parameters
    ----------
    viewer
        Shows the images under review.
    parent
        Owner.
    choose
        Asks for a folder.

    Attributes
    ----------
    improve_requested
        A model is to be improved on this exported training set (its folder as str, and the model's name or path).
    settled
        This layer shows labels as they are on the disk.
    """

    improve_requested = Signal(str, str)
    settled = Signal(object)

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        parent: QObject | None = None,
        choose: ChooseResults = choose_results,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choose = viewer, choose
        self.session: ReviewSession | None = None

    def open(self, folder: Path | None = None) -> None:
        """Review the results of a folder; None shows the review there is, else asks for a folder."""
        if self.session is None:
            folder = folder or self._choose(None, "")
            if folder is None:
                return
            self._make(ReviewPanel())
        if self.session is not None:
            _raise(self.session.panel)
            if folder is not None:
                self.session.open(folder)

    def stop(self) -> None:
        """Close the window."""
        if self.session is not None:
            panel = self.session.panel
            self._end()
            self._viewer.window.remove_dock_widget(panel)

    def _make(self, panel: ReviewPanel) -> None:
        self.session = ReviewSession(self._viewer, panel, self._choose, self)
        self.session.improve_requested.connect(self.improve_requested)
        self.session.settled.connect(self.settled)
        self._viewer.window.add_dock_widget(
            panel, name=tr(review_words.TITLE), area="right", tabify=True, add_vertical_stretch=False
        )
        panel.closed.connect(self._end)

    def _end(self) -> None:
        """Let go of the review when its dock is closed, by its own button or with the window."""
        if self.session is not None:
            session, self.session = self.session, None
            session.panel.closed.disconnect(self._end)
            session.stop()


def _raise(panel: ReviewPanel) -> None:
    """Bring the tab of the dock to the front."""
    dock = panel.parent()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parent()
    if dock is not None:
        dock.show()
        dock.raise_()
