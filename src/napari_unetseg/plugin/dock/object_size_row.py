"""How large the objects are, to the model and in the image, and how thoroughly to look."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
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

from napari_unetseg.inference.size_estimate import FAR_OFF, FAR_OFF_WITHIN, estimate_diameter
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.badge import Badge
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.zoo.card import ModelCard, is_within_sizes

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
_FAR_TIP = mark("Your objects are much larger or smaller than the model expects. Press Rescale, then Run.")
_UNSURE_TIP = mark(
    "The model is unsure of what it found, as where objects are much larger or smaller than it expects. Press\n"
    "Rescale, or type their diameter under More, then Run."
)
_AUGMENT_TIP = mark(
    "Runs the model on eight flips and turns of the image and averages what it says: a little more reliable,\n"
    "and eight times as slow. Each object's row in the table then also tells how far the eight agree."
)
_LARGEST = 9999.0
_PAUSE_MS = 300


class ObjectSize(QWidget):
    """The model's object size beside that of the image, with a button to rescale by it.

    The size of the image's objects is guessed from its pixels, once their user has stopped moving through the image,
    until a run has found some; see `likely_diameter`. Only planes that are in memory are looked at: reading others
    would cost what nobody asked for. A plane that cannot be read gives no guess; a run says why.

    Attributes
    ----------
    estimator
        Guesses, in workers.
    more
        The rows that are seldom needed, to be shown elsewhere: the diameter to rescale by, and averaging over flips.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.estimator: LatestWorker[Plane, float | None] = LatestWorker(_estimate, _PAUSE_MS, self)
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
        self._shown: tuple[ImageLayer | None, tuple[tuple[int, int], ...]] | None = None
        self._found: float | None = None
        self._unsure = False
        self._guessed: float | None = None
        self._locked = False
        self._arrange()
        self.estimator.answered.connect(self._on_estimated)
        self.estimator.failed.connect(self._on_not_estimated)
        self.rescale.clicked.connect(self._rescale)
        self.diameter.valueChanged.connect(self._show)
        self._show()

    @property
    def image_diameter(self) -> float | None:
        """Diameter of the image's objects in pixels, found or guessed; None if not known."""
        return likely_diameter(self._found, self._guessed)

    def segment_options(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment`."""
        return {"diameter": self._diameter() if can_rescale(self._card) else None, "augment": self.augmented}

    @property
    def augmented(self) -> bool:
        """Whether to average over flips."""
        return bool(self.augment.isChecked())

    def use_card(self, card: ModelCard | None) -> None:
        """Compare with what this model expects."""
        self._card = card
        self._show()

    def show_layer(self, layer: ImageLayer | None, plane: "Plane | None") -> None:
        """Forget the size of other objects and guess that of this plane's; what is known of it already stays."""
        shown = None if plane is None else (layer, tuple(plane.index.items()))
        if shown == self._shown:
            return
        self._shown = shown
        self._found = self._guessed = None
        self._unsure = False
        self.estimator.stop()
        if plane is not None and plane.in_memory:
            self.estimator.ask(plane)
        self._show()

    def show_found(self, diameter: float | None, *, unsure: bool = False) -> None:
        """Take over what a run found; None, of too few objects, leaves the guess.

        Parameters
        ----------
        diameter
            Typical diameter of the objects in pixels.
        unsure
            Whether the model was unsure of them and saw the image as it is.
        """
        self._found, self._unsure = diameter, unsure
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

    def _on_estimated(self, plane: "Plane", diameter: float | None) -> None:
        self._guessed = diameter
        self._show()

    def _on_not_estimated(self, plane: "Plane", error: Exception) -> None:
        self._on_estimated(plane, None)

    def _is_far_off(self) -> bool:
        unsure = self._unsure and self._diameter() is None
        return is_far_off(self._card, self.image_diameter, self._diameter(), found=self._found, unsure=unsure)

    def _rescale(self) -> None:
        # A second press takes the first one back, unless another image's objects ask for another diameter.
        back = self._diameter() is not None and not self._is_far_off()
        self.diameter.setValue(0 if back or self.image_diameter is None else self.image_diameter)
        self._show()

    def _show(self) -> None:
        can, image_diameter = can_rescale(self._card), self.image_diameter
        text = comparison(self._card, self._found, self._guessed)
        far = self._is_far_off()
        self.badge.show_kind("warning" if far else "plain")
        self.text.setText(text)
        tip = tr(_UNSURE_TIP if self._unsure and self._diameter() is None else _FAR_TIP)
        self.text.setToolTip(f"{text}.\n{tip}" if far else text)
        by_itself = rescales_by_itself(self._card)
        self.diameter.setSpecialValueText(tr("automatic") if by_itself else tr("not rescaled"))
        self.diameter.setEnabled(can and not self._locked)
        self.rescale.setChecked(can and self._diameter() is not None)
        self.rescale.setEnabled(can and image_diameter is not None and not self._locked)
        self.rescale.setToolTip(
            tr(_NO_SIZE_TIP if not can else _UNKNOWN_TIP if image_diameter is None else _RESCALE_TIP)
        )
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


def _estimate(plane: "Plane") -> Callable[[Task[float | None]], float | None]:
    return lambda task: estimate_diameter(plane.read())


def pixels(diameter: float) -> str:
    """Return ``"8.5"`` or ``"27"``: a decimal only where it tells something."""
    return f"{diameter:.1f}".removesuffix(".0") if diameter < 10 else f"{diameter:.0f}"


def comparison(card: ModelCard | None, found: float | None, guessed: float | None) -> str:
    """Say which size a model expects, and which the objects have as they were found or guessed."""
    if card is None:
        return ""
    if card.image_size is not None:
        height, width = card.image_size
        return tr("sees all images at {height} x {width} px").format(height=height, width=width)
    if card.object_size is None:
        return tr("does not say which object size it expects")
    expected, image_diameter = pixels(card.object_size), likely_diameter(found, guessed)
    if image_diameter is None:
        return tr("expects objects of {expected} px").format(expected=expected)
    size = f"{'' if image_diameter == found else '~'}{pixels(image_diameter)}"
    return tr("expects objects of {expected} px, yours: {yours} px").format(expected=expected, yours=size)


def likely_diameter(found: float | None, guessed: float | None) -> float | None:
    """Return the diameter to go by: what a run found, else what was guessed from the pixels.

    A model that sees objects much larger than those it knows finds pieces of them, so a guess that is far
    larger than what was found is believed instead.
    """
    if found is None or (guessed is not None and guessed > FAR_OFF * found):
        return guessed
    return found


def can_rescale(card: ModelCard | None) -> bool:
    """Whether a model knows its object size and can see images at another size."""
    return card is not None and card.image_size is None and card.object_size is not None


def rescales_by_itself(card: ModelCard | None) -> bool:
    """Whether a model, unless a diameter is set, sees an image again at another size where it did not see it well."""
    return card is not None and can_rescale(card) and card.object_sizes is not None


def is_far_off(
    card: ModelCard | None,
    image_diameter: float | None,
    diameter: float | None,
    *,
    found: float | None = None,
    unsure: bool = False,
) -> bool:
    """Whether the model sees objects far from the size it expects, as far as that can be told.

    Parameters
    ----------
    card
        Of the model.
    image_diameter
        Diameter of the image's objects in pixels, found or guessed; None if not known.
    diameter
        That by which the image is rescaled; None: it is not, unless the model does it by itself.
    found
        What a run found; None before one.
    unsure
        Whether that run saw the image as it is and was unsure. A model that sees objects far too large finds pieces
        of them, which may have any size, so that sizes alone do not tell.
    """
    if card is None or card.object_size is None or not can_rescale(card):
        return False
    if unsure:
        return True
    if image_diameter is None:
        return False
    if diameter is None and card.object_sizes is not None:
        if not is_within_sizes(image_diameter, card.object_sizes):
            # It looks again by itself, unless it took pieces of the size that it knows for whole.
            return is_within_sizes(found, card.object_sizes)
        return image_diameter > FAR_OFF_WITHIN * card.object_size
    ratio = image_diameter / (diameter or card.object_size)
    return not 1 / FAR_OFF <= ratio <= FAR_OFF
