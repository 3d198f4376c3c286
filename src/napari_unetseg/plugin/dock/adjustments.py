"""From probabilities to objects, and what to show of them: the lower rows of the widget."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy, QWidget
from superqt import QElidingLabel, QLabeledDoubleSlider, QLabeledSlider

from napari_unetseg.language import grouped, mark, tr
from napari_unetseg.plugin.parts.form import LABEL_WIDTH, form_grid
from napari_unetseg.postprocessing.layer_data import Output
from napari_unetseg.postprocessing.parameters import DecodeParameters

MORE_TIP = mark("What is seldom needed: smoothing, holes, the diameter of the objects, averaging over flips.")
_TABLE_TIP = mark("Opens a table below the image: a row an object, with sorting, a histogram and CSV export.")
_RESET_TIP = mark("Brings back the values that the model itself suggests.")
_VALUE_WIDTH = 40


class _FractionSlider(QLabeledDoubleSlider):
    """Sets a number from 0 to 1, in steps of 0.01; one that was given is kept to its last digit until it is moved."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0.0, 1.0)
        self.setSingleStep(0.01)  # type: ignore[arg-type]
        self.setDecimals(2)
        _even_value(self)
        self.edited = self.valueChanged
        self._given: float | None = None
        self.edited.connect(self._on_moved)

    def parameter(self) -> float:
        return round(float(self.value()), 2) if self._given is None else self._given

    def set_parameter(self, value: float) -> None:
        self.setValue(value)
        self._given = value

    def _on_moved(self) -> None:
        self._given = None


class _CountSlider(QLabeledSlider):
    """Sets a whole number from 0 to `largest`; a larger default of a model stretches it to `stretch` times that."""

    def __init__(self, largest: int, stretch: int = 1) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._largest, self._stretch = largest, stretch
        self.setRange(0, largest)
        # Its own preferred width would widen the column.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        _even_value(self)
        self.edited = self.valueChanged

    def parameter(self) -> int:
        return int(self.value())

    def set_parameter(self, value: int) -> None:
        self.setMaximum(max(self._largest, self._stretch * value))
        self.setValue(value)


def _even_value(slider: QLabeledSlider) -> None:
    """Give the box of a slider's value one width whatever its range, so that all sliders end at one line."""
    if (box := slider.findChild(QLineEdit)) is not None:
        # superqt computes the width anew with every range and font, by the style.
        box.setStyleSheet(f"background: transparent; border: 0; min-width: {_VALUE_WIDTH}px")


class _Switch(QCheckBox):
    """Turns something on or off; it bears its own name."""

    def __init__(self) -> None:
        super().__init__()
        self.edited = self.toggled

    def parameter(self) -> bool:
        return bool(self.isChecked())

    def set_parameter(self, value: bool) -> None:
        self.setChecked(value)


@dataclass(frozen=True)
class _Row:
    """The row of a decoder parameter; `seldom` ones are shown elsewhere."""

    title: str
    tip: str
    control: Callable[[], _FractionSlider | _CountSlider | _Switch]
    seldom: bool = False


# By the parameters of `DecodeParameters`, from the top of the window down.
_ROWS = {
    "threshold": _Row(
        mark("Threshold"),
        mark(
            "Confidence from which a pixel belongs to an object.\n"
            "Lower it when dim objects or their rims are missed; raise it when background is marked."
        ),
        _FractionSlider,
    ),
    "min_size": _Row(
        mark("Minimum size"),
        mark("Objects smaller than this are dropped. Raise it when debris is counted."),
        partial(_CountSlider, 1000, stretch=4),
    ),
    "split": _Row(
        mark("Split"),
        mark(
            "How readily touching objects are divided.\n"
            "Raise it when neighbours come out as one; lower it when single objects are cut."
        ),
        _FractionSlider,
    ),
    "min_confidence": _Row(
        mark("Confidence ≥"),
        mark(
            "Objects whose mean confidence is lower are dropped, as it stands in the table.\n"
            "Raise it to keep only objects of which the model is sure; 0 keeps all."
        ),
        _FractionSlider,
    ),
    "smoothing": _Row(
        mark("Smoothing"),
        mark(
            "Evens out spikes and notches of outlines that are narrower than this radius.\n"
            "Raise it when outlines are ragged; objects smaller than half a disc of this radius vanish. 0 does nothing."
        ),
        partial(_CountSlider, 10),
        seldom=True,
    ),
    "fill_holes": _Row(
        mark("Fill holes"),
        mark("Holes that one object encloses become part of it. Turn it off for rings and objects with gaps."),
        _Switch,
        seldom=True,
    ),
}
_OUTPUTS: dict[Output, tuple[str, str]] = {
    "labels": (
        mark("Labels"),
        mark("A Labels layer: every object has a number, with its measurements in the layer's features."),
    ),
    "contours": (mark("Contours"), mark("A Shapes layer: the outline of every object, holes included.")),
    "confidence": (
        mark("Confidence map"),
        mark(
            "An Image layer: for each pixel, how sure the model is that it belongs to an object, 0 to 1.\n"
            "Averaged over flips, another layer shows how far the eight answers agree."
        ),
    ),
}


class Adjustments(QWidget):
    """What acts on a result at once, without the network, and its outputs; without a result, what the next run does.

    `changed` tells that a parameter was moved, `output_chosen` that an output was ticked or unticked, and
    `reset_requested` that the model's own parameters are wanted: by somebody, not by the window itself.

    Attributes
    ----------
    controls
        What sets each decoder parameter, by its name; also attributes of that name.
    more
        The rows that are seldom needed, to be shown elsewhere: hole filling and smoothing.
    table
        Whether there is a table of the objects; to be shown elsewhere, too.
    next_run
        Parameters of the next run, where those that are shown are of a result of another model; None: as shown.
    """

    changed = Signal()
    output_chosen = Signal(str, bool)
    reset_requested = Signal()
    threshold: _FractionSlider
    min_size: _CountSlider

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.controls = {name: row.control() for name, row in _ROWS.items()}
        for name, control in self.controls.items():
            control.setToolTip(tr(_ROWS[name].tip))
            setattr(self, name, control)
        self.area = QLabel()
        self.area.setStyleSheet("font-size: 8pt")
        self.area.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.area.setToolTip(self.min_size.toolTip())
        self.table = QCheckBox(tr("Table"))
        self.table.setToolTip(tr(_TABLE_TIP))
        self.outputs = {output: QCheckBox(tr(title)) for output, (title, _) in _OUTPUTS.items()}
        self.owner = QElidingLabel()
        self.reset = QPushButton(tr("Reset"))
        self.reset.setToolTip(tr(_RESET_TIP))
        self.next_run: DecodeParameters | None = None
        self._locked = self._fixed = False
        self._offered: set[Output] = set(self.outputs)
        self._chosen: set[Output] = {"labels", "contours"}
        self._pixel_area: tuple[float, str] | None = None
        for output, box in self.outputs.items():
            box.setChecked(output in self._chosen)
            box.setToolTip(tr(_OUTPUTS[output][1]))
            box.toggled.connect(partial(self._on_output, output))
        self.more = QWidget()
        self._labels: list[QLabel] = []
        self._arrange()
        for control in self.controls.values():
            control.edited.connect(self._on_changed)
        self.reset.clicked.connect(self.reset_requested)

    def parameters(self) -> dict[str, Any]:
        """Return what the rows show: keyword arguments for `Segmentation.relabel`."""
        return {name: control.parameter() for name, control in self.controls.items()}

    def next_parameters(self) -> dict[str, Any]:
        """Return the parameters of the next run: keyword arguments for `SegmentationService.segment`."""
        return self.parameters() if self.next_run is None else self.next_run.model_dump()

    def set_parameters(self, parameters: DecodeParameters) -> None:
        """Show parameters of a model or a result; `changed` does not tell of it."""
        before = self.blockSignals(True)
        for name, control in self.controls.items():
            control.set_parameter(getattr(parameters, name))
        self.blockSignals(before)
        self._show_area()

    def show_owner(self, line: str, tip: str, next_run: DecodeParameters | None = None, fixed: bool = False) -> None:
        """Say whose parameters the rows show; where they are fixed, nobody can move them."""
        self.owner.setText(line)
        self.owner.setToolTip(tip)
        self.next_run, self._fixed = next_run, fixed
        self.lock(self._locked)

    def show_outputs(self, present: Collection[Output] | None, offered: Collection[Output] = tuple(_OUTPUTS)) -> None:
        """Tick what a result has, and offer what can be made of it; None: what was chosen last, for the next run."""
        self._offered = set(offered)
        for output, box in self.outputs.items():
            with QSignalBlocker(box):
                box.setChecked(output in (self._chosen if present is None else present))
        self.lock(self._locked)

    def chosen_outputs(self) -> tuple[Output, ...]:
        """Return the outputs that are ticked, with the confidence map the agreement that belongs to it."""
        return with_agreement([output for output, box in self.outputs.items() if box.isChecked()])

    def describe(self, parameters: DecodeParameters) -> str:
        """Name parameters with their values, as the rows would show them."""
        values = {tr(row.title): getattr(parameters, name) for name, row in _ROWS.items()}
        return " · ".join(
            f"{title} {('✓' if value else '-') if isinstance(value, bool) else f'{value:g}'}"
            for title, value in values.items()
        )

    def set_pixel_area(self, pixel_area: tuple[float, str] | None) -> None:
        """Say the minimum size in physical units as well, where a pixel's area is known."""
        self._pixel_area = pixel_area
        self._show_area()

    def lock(self, locked: bool) -> None:
        """Grey out everything during a run; the table stays, since it shows what is there."""
        self._locked = locked
        for widget in (*self.controls.values(), self.reset):
            widget.setEnabled(not (locked or self._fixed))
        for output, box in self.outputs.items():
            box.setEnabled(not locked and output in self._offered)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Give labels one width, in the font that comes with the first show, so that all sliders begin at one line."""
        super().showEvent(event)
        for label in self._labels:
            label.ensurePolished()
        for grid in self._grids:
            grid.setColumnMinimumWidth(0, max(LABEL_WIDTH, *(label.sizeHint().width() for label in self._labels)))

    def _on_changed(self) -> None:
        self._show_area()
        self.changed.emit()

    def _on_output(self, output: Output, ticked: bool) -> None:
        self._chosen = self._chosen | {output} if ticked else self._chosen - {output}
        self.output_chosen.emit(output, ticked)

    def _show_area(self) -> None:
        words = f"{grouped(int(self.min_size.value()))} px"
        if self._pixel_area is not None:
            area, unit = self._pixel_area
            size = int(self.min_size.value()) * area
            words += f" · {f'{size:,.0f}' if size >= 100 else f'{size:.3g}'} {unit}"
        self.area.setText(words)

    def _arrange(self) -> None:
        grid = form_grid(self, 2)
        self.reset.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.owner, 1)
        line.addWidget(self.reset)
        grid.addLayout(line, 0, 0, 1, 2)
        seldom = form_grid(self.more, 2)
        self._grids = (grid, seldom)
        self._add_rows(grid, [name for name, row in _ROWS.items() if not row.seldom])
        self._add_rows(seldom, [name for name, row in _ROWS.items() if row.seldom])
        boxes = QHBoxLayout()
        boxes.setSpacing(6)
        for box in self.outputs.values():
            boxes.addWidget(box)
        boxes.addStretch()
        grid.addLayout(boxes, grid.rowCount(), 0, 1, 2)

    def _add_rows(self, grid: QGridLayout, names: Sequence[str]) -> None:
        for name in names:
            control, title, at = self.controls[name], tr(_ROWS[name].title), grid.rowCount()
            if isinstance(control, _Switch):
                control.setText(title)
                grid.addWidget(control, at, 0, 1, 2)
                continue
            label = QLabel(title)
            label.setToolTip(control.toolTip())
            self._labels.append(label)
            grid.addWidget(label, at, 0)
            grid.addWidget(control, at, 1)
            if control is self.min_size:
                grid.addWidget(self.area, at + 1, 1)


def with_agreement(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """Add to the confidence map the agreement, which is made where the network ran several times."""
    return (*outputs, "agreement") if "confidence" in outputs else tuple(outputs)
