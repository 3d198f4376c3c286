"""How large the objects are, to the model and in the image, and how thoroughly to look."""

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)
from superqt import QElidingLabel

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock import size_words
from napari_unetseg.plugin.dock.size_estimation import SizeEstimator
from napari_unetseg.plugin.parts.badge import Badge
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.plugin.layers.plane import Plane

_DIAMETER_TIP = mark(
    "Typical diameter of the objects in this image. The model then sees the image rescaled, so that its objects\n"
    "are as large as those it was trained on; results keep the image's own size.\n"
    "Set it where objects are more than twice as large or as small as the model expects. At its lowest value\n"
    "the model sees the image as it is ('not rescaled'), and again where it finds other sizes ('automatic')."
)
_RESCALE_TIP = mark(
    "Shows the image to the model at the size at which its objects are as large as those it knows: sets the diameter\n"
    "under More to that of your objects, for the next run. Pressed again, the model sees the image as it is."
)
_NO_SIZE_TIP = mark(
    "This model cannot rescale: it names no object size that it expects, or sees all images at one size."
)
_UNKNOWN_TIP = mark("The size of your objects is not known yet. Run once, or type their diameter.")
_FAR_TIP = mark("Your objects are more than twice as large or as small as the model expects. Press Rescale, then Run.")
_AUGMENT_TIP = mark(
    "Runs the model on eight flips and turns of the image and averages what it says: a little more reliable,\n"
    "and eight times as slow. Each object's row in the table then also tells how far the eight agree."
)
_LARGEST = 9999.0


class ObjectSize(QWidget):
    """The model's object size beside that of the image, with a button to rescale by it.

    The size of the image's objects is guessed from its pixels until a run has found some; see
    `napari_unetseg.plugin.dock.size_words.believed`.

    Attributes
    ----------
    more
        The rows that are seldom needed, to be shown elsewhere: the diameter to rescale by, and averaging over flips.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.estimator = SizeEstimator(self)
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(0, _LARGEST)
        self.diameter.setDecimals(1)
        self.diameter.setSuffix(" px")
        self.diameter.setToolTip(tr(_DIAMETER_TIP))
        self.diameter.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.rescale = QPushButton(tr("Rescale"))
        self.rescale.setCheckable(True)
        self.badge = Badge()
        self.text = QElidingLabel()
        self.text.setElideMode(Qt.TextElideMode.ElideRight)
        # A little smaller than the rest, so that both sizes can be read beside the button.
        self.text.setStyleSheet("font-size: 8pt")
        self.text.setFixedHeight(self.text.fontMetrics().height() + 2)
        self.augment = QCheckBox(tr("Average over flips (8x slower)"))
        self.augment.setToolTip(tr(_AUGMENT_TIP))
        self._card: ModelCard | None = None
        self._subject: Any = None
        self._found: float | None = None
        self._guessed: float | None = None
        self._locked = False
        self._arrange()
        self.estimator.estimated.connect(self._on_estimated)
        self.rescale.clicked.connect(self._rescale)
        self.diameter.valueChanged.connect(self._show)
        self._show()

    @property
    def yours(self) -> float | None:
        """Diameter of the image's objects in pixels, found or guessed; None if not known."""
        return size_words.believed(self._found, self._guessed)

    def segment_options(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment`."""
        return {"diameter": self._diameter() if size_words.can_rescale(self._card) else None, "augment": self.augmented}

    @property
    def augmented(self) -> bool:
        """Whether to average over flips."""
        return bool(self.augment.isChecked())

    def use_card(self, card: ModelCard | None) -> None:
        """Compare with what this model expects."""
        self._card = card
        self._show()

    def look_at(self, layer: Any, plane: "Plane | None") -> None:
        """Forget the size of other objects and guess that of this plane's; what is known of it already stays."""
        subject = None if plane is None else (layer, tuple(plane.index.items()))
        if subject == self._subject:
            return
        self._subject = subject
        self._found = self._guessed = None
        self.estimator.look_at(plane)
        self._show()

    def show_found(self, diameter: float | None) -> None:
        """Take over what a run found; None, of too few objects, leaves the guess."""
        self._found = diameter
        self._show()

    def lock(self, locked: bool) -> None:
        """Grey out everything during a run."""
        self._locked = locked
        self._show()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.badge.use_theme(theme)

    def _diameter(self) -> float | None:
        return round(float(self.diameter.value()), 1) or None

    def _on_estimated(self, diameter: float | None) -> None:
        self._guessed = diameter
        self._show()

    def _rescale(self) -> None:
        # A second press takes the first one back, unless another image's objects ask for another diameter.
        back = self._diameter() is not None and not size_words.is_far_off(self._card, self.yours, self._diameter())
        self.diameter.setValue(0 if back or self.yours is None else self.yours)
        self._show()

    def _show(self) -> None:
        can, yours = size_words.can_rescale(self._card), self.yours
        text = size_words.comparison(self._card, self._found, self._guessed)
        far = size_words.is_far_off(self._card, yours, self._diameter())
        self.badge.show_kind("warning" if far else "plain")
        self.text.setText(text)
        self.text.setToolTip(f"{text}.\n{tr(_FAR_TIP)}" if far else text)
        by_itself = size_words.rescales_by_itself(self._card)
        self.diameter.setSpecialValueText(tr("automatic") if by_itself else tr("not rescaled"))
        self.diameter.setEnabled(can and not self._locked)
        self.rescale.setChecked(can and self._diameter() is not None)
        self.rescale.setEnabled(can and yours is not None and not self._locked)
        self.rescale.setToolTip(tr(_NO_SIZE_TIP if not can else _UNKNOWN_TIP if yours is None else _RESCALE_TIP))
        self.augment.setEnabled(not self._locked)

    def _arrange(self) -> None:
        policy = self.badge.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.badge.setSizePolicy(policy)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.badge)
        line.addWidget(self.text, 1)
        line.addWidget(self.rescale)
        self.more = QWidget()
        label = QLabel(tr("Diameter"))
        label.setBuddy(self.diameter)
        label.setToolTip(tr(_DIAMETER_TIP))
        grid = form_grid(self.more, 4)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.diameter, 0, 1)
        grid.addWidget(self.augment, 1, 0, 1, 2)
