"""From probabilities to objects, and which layers to keep: the lower rows of the widget."""

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from napari_unetseg.plugin.inputs import LABEL_WIDTH
from napari_unetseg.plugin.outputs import Output
from napari_unetseg.postprocessing.parameters import DecodeParameters

_TIPS = {
    "threshold": (
        "Confidence from which a pixel belongs to an object.\n"
        "Lower it when dim objects or their rims are missed; raise it when background is marked."
    ),
    "min_size": "Objects smaller than this are dropped. Raise it when debris is counted.",
    "split": (
        "How readily touching objects are divided.\n"
        "Raise it when neighbours come out as one; lower it when single objects are cut."
    ),
    "labels": "A Labels layer: every object has a number, with its measurements in the layer's features.",
    "contours": "A Shapes layer: the outline of every object, holes included.",
    "confidence": "An Image layer: for each pixel, how sure the model is that it belongs to an object, 0 to 1.\n"
    "Averaged over flips, another layer shows how far the eight answers agree.",
}
_LARGEST = 1000  # pixels; a model with larger objects stretches the slider


class Adjustments(QWidget):
    """Threshold, minimum size and split, which act on the last result at once, and the outputs."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.threshold = _fraction(_TIPS["threshold"])
        self.min_size = QLabeledSlider(Qt.Orientation.Horizontal)
        self.min_size.setRange(0, _LARGEST)
        self.min_size.setToolTip(_TIPS["min_size"])
        self.split = _fraction(_TIPS["split"])
        self.area = QLabel()
        self.area.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.area.setFixedHeight(self.area.fontMetrics().height() + 2)
        self.outputs: dict[Output, QCheckBox] = {
            "labels": QCheckBox("Labels"),
            "contours": QCheckBox("Contours"),
            "confidence": QCheckBox("Confidence map"),
        }
        self._pixel_area: tuple[float, str] | None = None
        for output, box in self.outputs.items():
            box.setChecked(output != "confidence")
            box.setToolTip(_TIPS[output])
        self._arrange()
        for slider in (self.threshold, self.min_size, self.split):
            slider.valueChanged.connect(self._on_changed)

    def parameters(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment` and `Segmentation.relabel`."""
        return {
            "threshold": round(float(self.threshold.value()), 2),
            "min_size": int(self.min_size.value()),
            "split": round(float(self.split.value()), 2),
        }

    def set_parameters(self, parameters: DecodeParameters) -> None:
        """Show a model's defaults."""
        for slider in (self.threshold, self.min_size, self.split):
            slider.blockSignals(True)
        self.threshold.setValue(parameters.threshold)
        self.min_size.setMaximum(max(_LARGEST, 4 * parameters.min_size))
        self.min_size.setValue(parameters.min_size)
        self.split.setValue(parameters.split)
        for slider in (self.threshold, self.min_size, self.split):
            slider.blockSignals(False)
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
        """Grey out everything during a run."""
        for widget in (self.threshold, self.min_size, self.split, *self.outputs.values()):
            widget.setEnabled(not locked)

    def _on_changed(self) -> None:
        self._show_area()
        self.changed.emit()

    def _show_area(self) -> None:
        pixels = int(self.min_size.value())
        words = f"{pixels} px"
        if self._pixel_area is not None:
            area, unit = self._pixel_area
            words += f" · {pixels * area:.3g} {unit}"
        self.area.setText(words)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(5)
        grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        grid.setColumnStretch(1, 1)
        rows = (("Threshold", self.threshold), ("Minimum size", self.min_size), ("Split", self.split))
        for row, (words, slider) in zip((0, 1, 3), rows, strict=True):
            label = QLabel(words)
            label.setToolTip(slider.toolTip())
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1)
        grid.addWidget(self.area, 2, 1)
        boxes = QHBoxLayout()
        boxes.setSpacing(6)
        for box in self.outputs.values():
            boxes.addWidget(box)
        boxes.addStretch()
        grid.addLayout(boxes, 4, 0, 1, 2)


def _fraction(tip: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.01)  # type: ignore[arg-type]
    slider.setDecimals(2)
    slider.setToolTip(tip)
    return slider
