"""What is segmented, with which model, and where: the upper rows of the widget."""

from collections.abc import Sequence
from typing import Any, TypeVar

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget
from superqt import QElidingLabel

from napari_unetseg.plugin.model_box import ModelBox
from napari_unetseg.zoo.registry import Listed, ModelPackage

DEVICES = {"auto": "Automatic", "cuda": "NVIDIA GPU (cuda)", "mps": "Apple GPU (mps)", "cpu": "CPU"}
LABEL_WIDTH = 84

_IMAGE_TIP = "The image layer to segment: the plane on display, at full resolution."
_AXES_TIP = "How the image is read: axes, position, size, pixel type and pixel size.\n\n"
_CARD_TIP = "What this model was trained on, how well it does, and under which licence."
_DEVICE_TIP = (
    "Where the network runs. Automatic is what the settings say, else a GPU if there is one, else the CPU.\n"
    "Choose CPU when the GPU is busy or its memory is short; results are the same up to rounding."
)


Box = TypeVar("Box", bound=QComboBox)


class Inputs(QWidget):
    """Combo boxes for image, model and device.

    Parameters
    ----------
    models
        What the model box offers; those that are broken or need weights are listed but cannot be chosen.
    parent
        Owner.
    """

    image_changed = Signal()
    model_changed = Signal()
    device_changed = Signal()
    card_requested = Signal()
    add_requested = Signal()

    def __init__(self, models: Sequence[Listed], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = _narrow(QComboBox())
        self.image.setToolTip(_IMAGE_TIP)
        self.axes = QElidingLabel()
        self.axes.setElideMode(Qt.TextElideMode.ElideRight)
        self.axes.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.axes.setFixedHeight(self.axes.fontMetrics().height() + 2)
        self.model = _narrow(ModelBox(models))
        self.card = QPushButton("i")
        self.card.setFixedWidth(26)
        self.card.setToolTip(_CARD_TIP)
        self.device = _narrow(QComboBox())
        self.device.setToolTip(_DEVICE_TIP)
        for key, words in DEVICES.items():
            self.device.addItem(words, key)
        self._arrange()
        self.image.currentIndexChanged.connect(self.image_changed)
        self.model.chosen.connect(self.model_changed)
        self.model.add_requested.connect(self.add_requested)
        self.device.currentIndexChanged.connect(self.device_changed)
        self.card.clicked.connect(self.card_requested)

    def set_layers(self, layers: Sequence[Any]) -> None:
        """Offer these image layers; the chosen one stays chosen if it is among them."""
        chosen = self.layer()
        with QSignalBlocker(self.image):
            self.image.clear()
            for layer in layers:
                self.image.addItem(str(layer.name), layer)
            self.choose_layer(chosen)
        self.image_changed.emit()

    def choose_layer(self, wanted: Any) -> None:
        """Choose a layer, if it is offered."""
        for row in range(self.image.count()):
            if self.image.itemData(row) == wanted:
                self.image.setCurrentIndex(row)

    def choose_model(self, name: str) -> None:
        """Choose a model by name, if it is offered."""
        self.model.choose(name)

    def layer(self) -> Any:
        """Return the chosen image layer; None if there is none."""
        return self.image.currentData()

    def package(self) -> ModelPackage | None:
        """Return the chosen model; None if none can be used."""
        return self.model.package()

    def device_key(self) -> str:
        """Return ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``."""
        return str(self.device.currentData())

    def describe(self, text: str) -> None:
        """Say beneath the image how its axes are read."""
        self.axes.setText(text)
        self.axes.setToolTip(_AXES_TIP + text)

    def lock(self, locked: bool) -> None:
        """Grey out the choices during a run; the model's card stays open to reading."""
        for box in (self.image, self.model, self.device):
            box.setEnabled(not locked)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        grid.setColumnStretch(1, 1)
        for row, (words, box) in enumerate((("Image", self.image), ("Model", self.model), ("Device", self.device))):
            label = QLabel(words)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            grid.addWidget(label, 2 * row, 0)
            grid.addWidget(box, 2 * row, 1, 1, 1 if box is self.model else 2)
        grid.addWidget(self.axes, 1, 0, 1, 3)
        grid.addWidget(self.card, 2, 2)
        for first, second in ((self.image, self.model), (self.model, self.card), (self.card, self.device)):
            QWidget.setTabOrder(first, second)


def _narrow(box: Box) -> Box:
    """Keep long names from widening the dock."""
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box
