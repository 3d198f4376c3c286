"""What is segmented, with which model, and where: the upper rows of the widget."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget
from superqt import QElidingLabel

from napari_unetseg.zoo.registry import Listed, ModelPackage, WeightsNeeded

DEVICES = {"auto": "Automatic", "cuda": "NVIDIA GPU (cuda)", "mps": "Apple GPU (mps)", "cpu": "CPU"}
LABEL_WIDTH = 84
# The model behind a combo box keeps the flags of its items here; 0 greys an item out.
_FLAGS_ROLE = 255

_IMAGE_TIP = "The image layer to segment: the plane on display, at full resolution."
_AXES_TIP = "How the image is read: axes, position, size, pixel type and pixel size.\n\n"
_MODEL_TIP = "The trained network. Choose the one whose training images look like yours; (i) tells what they were."
_CARD_TIP = "What this model was trained on, how well it does, and under which licence."
_DEVICE_TIP = (
    "Where the network runs. Automatic takes a GPU if there is one, else the CPU.\n"
    "Choose CPU when the GPU is busy or its memory is short; results are the same up to rounding."
)


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

    def __init__(self, models: Sequence[Listed], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = _combo(_IMAGE_TIP)
        self.axes = QElidingLabel()
        self.axes.setElideMode(Qt.TextElideMode.ElideRight)
        self.axes.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.axes.setFixedHeight(self.axes.fontMetrics().height() + 2)
        self.model = _combo(_MODEL_TIP)
        self.card = QPushButton("i")
        self.card.setFixedWidth(26)
        self.card.setToolTip(_CARD_TIP)
        self.device = _combo(_DEVICE_TIP)
        for key, words in DEVICES.items():
            self.device.addItem(words, key)
        self._add_models(models)
        self._arrange()
        self.image.currentIndexChanged.connect(self.image_changed)
        self.model.currentIndexChanged.connect(self.model_changed)
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
        row = self.model.findText(name)
        for candidate in range(self.model.count()):
            package = self.model.itemData(candidate)
            if isinstance(package, ModelPackage) and package.name == name:
                row = candidate
        if row >= 0:
            self.model.setCurrentIndex(row)

    def layer(self) -> Any:
        """Return the chosen image layer; None if there is none."""
        return self.image.currentData()

    def package(self) -> ModelPackage | None:
        """Return the chosen model; None if none can be used."""
        package = self.model.currentData()
        return package if isinstance(package, ModelPackage) else None

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

    def _add_models(self, models: Sequence[Listed]) -> None:
        for model in models:
            if isinstance(model, ModelPackage):
                self.model.addItem(f"{model.card.display_name} ({model.origin})", model)
                tip = model.card.description
            else:
                if isinstance(model, WeightsNeeded):
                    self.model.addItem(f"{model.model.display_name} (weights needed)", model)
                else:
                    self.model.addItem(f"{model.path.name} (broken)", model)
                self.model.setItemData(self.model.count() - 1, 0, _FLAGS_ROLE)
                tip = model.reason
            self.model.setItemData(self.model.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        usable = [row for row in range(self.model.count()) if isinstance(self.model.itemData(row), ModelPackage)]
        self.model.setCurrentIndex(usable[0] if usable else -1)

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


def _combo(tip: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(tip)
    # Long layer names must not widen the dock.
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box
