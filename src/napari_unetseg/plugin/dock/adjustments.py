"""From probabilities to objects, and what to show of them: the lower rows of the widget."""

from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSizePolicy, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.postprocessing.layer_data import Output
from napari_unetseg.postprocessing.parameters import DecodeParameters

_TIPS = {
    "threshold": mark(
        "Confidence from which a pixel belongs to an object.\n"
        "Lower it when dim objects or their rims are missed; raise it when background is marked."
    ),
    "min_size": mark("Objects smaller than this are dropped. Raise it when debris is counted."),
    "split": mark(
        "How readily touching objects are divided.\n"
        "Raise it when neighbours come out as one; lower it when single objects are cut."
    ),
    "min_confidence": mark(
        "Objects whose mean confidence is lower are dropped, as it stands in the table.\n"
        "Raise it to keep only objects of which the model is sure; 0 keeps all."
    ),
    "fill_holes": mark(
        "Holes that one object encloses become part of it. Turn it off for rings and objects with gaps."
    ),
    "smoothing": mark(
        "Evens out spikes and notches of outlines that are narrower than this radius.\n"
        "Raise it when outlines are ragged; objects smaller than half a disc of this radius vanish. 0 does nothing."
    ),
    "labels": mark("A Labels layer: every object has a number, with its measurements in the layer's features."),
    "contours": mark("A Shapes layer: the outline of every object, holes included."),
    "confidence": mark(
        "An Image layer: for each pixel, how sure the model is that it belongs to an object, 0 to 1.\n"
        "Averaged over flips, another layer shows how far the eight answers agree."
    ),
    "table": mark("Opens a table below the image: a row an object, with sorting, a histogram and CSV export."),
}
MORE_TIP = mark("What is seldom needed: smoothing, holes, the diameter of the objects, averaging over flips.")
_LARGEST = 1000  # pixels; a model with larger objects stretches the slider
_SMOOTHEST = 10  # pixels; what a card may ask for beyond it stretches the slider
_WIDE_AREA = "px · 8,888 µm²"


class Adjustments(QWidget):
    """What acts on the last result at once, without the network, and the outputs.

    Attributes
    ----------
    more
        The rows that are seldom needed, to be shown elsewhere: hole filling and smoothing.
    table
        Whether there is a table of the objects; to be shown elsewhere, too.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.threshold = _fraction(tr(_TIPS["threshold"]))
        self.min_size = _whole(_LARGEST, tr(_TIPS["min_size"]))
        self.split = _fraction(tr(_TIPS["split"]))
        self.min_confidence = _fraction(tr(_TIPS["min_confidence"]))
        self.fill_holes = QCheckBox(tr("Fill holes"))
        self.fill_holes.setToolTip(tr(_TIPS["fill_holes"]))
        self.smoothing = _whole(_SMOOTHEST, tr(_TIPS["smoothing"]))
        self.area = _AreaLabel()
        self.area.setToolTip(tr(_TIPS["min_size"]))
        self.table = QCheckBox(tr("Table"))
        self.table.setToolTip(tr(_TIPS["table"]))
        self.outputs: dict[Output, QCheckBox] = {
            "labels": QCheckBox(tr("Labels")),
            "contours": QCheckBox(tr("Contours")),
            "confidence": QCheckBox(tr("Confidence map")),
        }
        self._pixel_area: tuple[float, str] | None = None
        for output, box in self.outputs.items():
            box.setChecked(output != "confidence")
            box.setToolTip(tr(_TIPS[output]))
        self._sliders = (self.threshold, self.min_size, self.split, self.min_confidence, self.smoothing)
        self.more = QWidget()
        self._arrange()
        self._arrange_more()
        for slider in self._sliders:
            slider.valueChanged.connect(self._on_changed)
        self.fill_holes.toggled.connect(self._on_changed)

    def parameters(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment` and `Segmentation.relabel`."""
        return {
            "threshold": round(float(self.threshold.value()), 2),
            "min_size": int(self.min_size.value()),
            "split": round(float(self.split.value()), 2),
            "fill_holes": bool(self.fill_holes.isChecked()),
            "smoothing": int(self.smoothing.value()),
            "min_confidence": round(float(self.min_confidence.value()), 2),
        }

    def set_parameters(self, parameters: DecodeParameters) -> None:
        """Show a model's defaults."""
        before = self.blockSignals(True)
        self.min_size.setMaximum(max(_LARGEST, 4 * parameters.min_size))
        self.smoothing.setMaximum(max(_SMOOTHEST, parameters.smoothing))
        for slider, value in zip(
            self._sliders,
            (
                *(parameters.threshold, parameters.min_size, parameters.split),
                *(parameters.min_confidence, parameters.smoothing),
            ),
            strict=True,
        ):
            slider.setValue(value)
        self.fill_holes.setChecked(parameters.fill_holes)
        self.blockSignals(before)
        self._on_changed()

    def chosen_outputs(self) -> tuple[Output, ...]:
        """Return the outputs that are ticked, with the confidence map the agreement that belongs to it."""
        ticked: list[Output] = [output for output, box in self.outputs.items() if box.isChecked()]
        return (*ticked, "agreement") if "confidence" in ticked else tuple(ticked)

    def set_pixel_area(self, pixel_area: tuple[float, str] | None) -> None:
        """Say the minimum size in physical units as well, where a pixel's area is known."""
        self._pixel_area = pixel_area
        self._show_area()

    def lock(self, locked: bool) -> None:
        """Grey out everything during a run; the table stays, since it shows what is there."""
        for widget in (*self._sliders, self.fill_holes, *self.outputs.values()):
            widget.setEnabled(not locked)

    def _on_changed(self) -> None:
        self._show_area()
        self.changed.emit()

    def _show_area(self) -> None:
        # The number of pixels stands in the slider's own box, to the left of this.
        words = "px"
        if self._pixel_area is not None:
            area, unit = self._pixel_area
            size = int(self.min_size.value()) * area
            words += f" · {f'{size:,.0f}' if size >= 100 else f'{size:.3g}'} {unit}"
        self.area.setText(words)

    def _arrange(self) -> None:
        grid = form_grid(self, 2)
        rows = (
            (QLabel(tr("Threshold")), self.threshold),
            (QLabel(tr("Minimum size")), self.min_size),
            (QLabel(tr("Split")), self.split),
            (QLabel(tr("Confidence ≥")), self.min_confidence),
        )
        for row, (label, slider) in enumerate(rows):
            label.setToolTip(slider.toolTip())
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1, 1, 1 if slider is self.min_size else 2)
        grid.addWidget(self.area, 1, 2)
        boxes = QHBoxLayout()
        boxes.setSpacing(6)
        for box in self.outputs.values():
            boxes.addWidget(box)
        boxes.addStretch()
        grid.addLayout(boxes, len(rows), 0, 1, 3)

    def _arrange_more(self) -> None:
        grid = form_grid(self.more, 2)
        label = QLabel(tr("Smoothing"))
        label.setToolTip(self.smoothing.toolTip())
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.smoothing, 0, 1)
        grid.addWidget(self.fill_holes, 1, 0, 1, 2)


class _AreaLabel(QLabel):
    """Has room for any area in whichever font the window has, so that the slider beside it keeps its length."""

    def sizeHint(self) -> QSize:  # noqa: N802
        hint = super().sizeHint()
        shown, wide = (self.fontMetrics().size(0, text).width() for text in (self.text(), _WIDE_AREA))
        return QSize(hint.width() + max(0, wide - shown), hint.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self.sizeHint()


def _fraction(tip: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.01)  # type: ignore[arg-type]
    slider.setDecimals(2)
    slider.setToolTip(tip)
    return slider


def _whole(largest: int, tip: str) -> QLabeledSlider:
    slider = QLabeledSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, largest)
    slider.setToolTip(tip)
    # Its own wish for width would widen the column.
    slider.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return slider
