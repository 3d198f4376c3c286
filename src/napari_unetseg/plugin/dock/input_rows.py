"""What is segmented, with which model, on which device: the upper rows of the widget."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock.axes_row import AxesDialog, AxesLine
from napari_unetseg.plugin.dock.channel_box import ChannelBox
from napari_unetseg.plugin.dock.device_box import DeviceBox
from napari_unetseg.plugin.dock.model_box import ModelBox
from napari_unetseg.plugin.dock.run_on_box import RunOnBox
from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.layer_channels import LayerChannels, channels_of, plane_of_channels
from napari_unetseg.plugin.layers.napari_types import ImageLike
from napari_unetseg.plugin.layers.plane import Plane, full_resolution, shown_axes, shown_plane, shown_stack
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes, why_not
from napari_unetseg.plugin.layers.sight import why_unseen
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.plugin.parts.pin_button import PinButton
from napari_unetseg.zoo.registry import Listed, ModelPackage

if TYPE_CHECKING:
    from napari.components import ViewerModel

_IMAGE_TIP = mark(
    "The image layer to segment, at full resolution: the one that was last selected in the layer list, unless it is "
    "pinned."
)
_PIN_TIP = mark("Keeps this image, whichever layer is selected.")
_CARD_TIP = mark("What this model was trained on, how well it does, and under which licence.")
_LINK_TIP = mark(
    "In a stack, what overlaps from plane to plane along Z gets one number, as one object in space, and what\n"
    "overlaps from time point to time point as well, as a track. Without it every plane has objects of its own.\n"
    "For the next run on a stack."
)
_SIDE_WIDTH = 26  # of the buttons beside a box

Box = TypeVar("Box", bound=QComboBox)


class Inputs(QWidget):
    """Combo boxes for image, what of it is segmented, model and device.

    Parameters
    ----------
    models
        What the model box offers; those that are broken or need weights are listed but cannot be chosen.
    parent
        Owner.

    Attributes
    ----------
    pin
        Whether the image stays chosen, whatever is selected.
    image_changed
        Another image, or another reading or part of it, is chosen.
    axis_choices
        What the axes of layers mean.
    link
        Whether objects of a stack are linked; the window shows it with what is seldom needed.
    """

    image_changed = Signal()

    def __init__(self, models: Sequence[Listed], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = _narrow(QComboBox())
        self.image.setToolTip(tr(_IMAGE_TIP))
        self.pin = PinButton()
        self.pin.setToolTip(tr(_PIN_TIP))
        self.pin.setFixedWidth(_SIDE_WIDTH)
        self.axes = AxesLine()
        self.axis_choices = AxisChoices()
        self.channels = _narrow(ChannelBox())
        self.run_on = _narrow(RunOnBox())
        self.link = QCheckBox(tr("Link planes and time points"))
        self.link.setToolTip(tr(_LINK_TIP))
        self.model = _narrow(ModelBox(models))
        self.card = QPushButton("i")
        self.card.setFixedWidth(_SIDE_WIDTH)
        self.card.setToolTip(tr(_CARD_TIP))
        self.device = _narrow(DeviceBox())
        self._arrange()
        self.image.currentIndexChanged.connect(self.image_changed)
        self.channels.chosen.connect(self.image_changed)
        self.run_on.chosen.connect(self.image_changed)
        self.axes.pressed.connect(self._ask_axes)

    def set_layers(self, layers: Sequence[ImageLayer], chosen: ImageLayer | None) -> None:
        """Offer these image layers, and choose one of them; None where there is none."""
        with QSignalBlocker(self.image):
            self.image.clear()
            for layer in layers:
                self.image.addItem(str(layer.name), layer)
            self.choose_layer(chosen)
        self.pin.setEnabled(bool(layers))
        self.image_changed.emit()

    def choose_layer(self, wanted: ImageLayer | None) -> None:
        """Choose a layer, if it is offered, until another one is selected in the layer list."""
        for row in range(self.image.count()):
            if self.image.itemData(row) == wanted:
                self.image.setCurrentIndex(row)

    def choose_model(self, name: str) -> None:
        """Choose a model by name, if it is offered."""
        self.model.choose(name)

    def layer(self) -> ImageLayer | None:
        """Return the chosen image layer; None if there is none."""
        layer: ImageLayer | None = self.image.currentData()
        return layer

    def package(self) -> ModelPackage | None:
        """Return the chosen model; None if none can be used."""
        return self.model.package()

    @property
    def readings(self) -> AxisChoices:
        """How the axes of layers are read, as `plugin.run_on.choose_planes` takes it; the same as `axis_choices`."""
        return self.axis_choices

    def device_key(self) -> str:
        """Return ``"auto"``, ``"cuda"``, ``"mps"``, ``"cpu"``, or the address of a server."""
        return self.device.key()

    def show_viewer(self, viewer: "ViewerModel") -> Plane | None:
        """Show how the axes of the image are read and what a run can be on; return the plane on display."""
        layer = self.layer()
        self.run_on.refresh(lambda choice: why_not(choice, self.layer(), viewer, self.axis_choices))
        self.show_channels(viewer)
        if layer is None:
            self.axes.show_axes("")
            return None
        self._shown = shown_axes(layer, viewer.dims)
        layer_axes = self.axis_choices.of(layer, self._shown)
        plane = shown_plane(layer, viewer.dims, layer_axes)
        whole = self.run_on.choice() is RunOn.STACK
        description = (shown_stack(layer, viewer.dims, layer_axes) if whole else plane).description
        self.axes.show_axes(" ".join([*self.unseen(viewer), description]))
        return plane

    def show_channels(self, viewer: "ViewerModel") -> None:
        """Offer the channels of the image to the model; where there are none to choose, the row takes no room."""
        found, package = self._channels(viewer), self.package()
        card = None if package is None else package.card
        self.channels.show_channels(
            () if found is None else found.names,
            3 if card is None else card.input_channels,
            () if card is None else card.channel_roles,
            beside=bool(found is not None and found.layers),
            count_all=self.run_on.choice() is not RunOn.SELECTED,
        )
        for part in (self._channels_label, self.channels):
            part.setVisible(self.channels.several)

    def chosen_planes(self, viewer: "ViewerModel") -> tuple[Plane, ...]:
        """Describe what a run is on, with the channels that are chosen; nothing is read.

        Raises
        ------
        UnetsegError
            If that does not apply; in words that say why.
        """
        layer, choice = self.layer(), self.channels.choice()
        planes = choose_planes(self.run_on.choice(), layer, viewer, self.axis_choices)
        found = self._channels(viewer)
        if layer is None or choice is None or found is None or self.run_on.choice() is RunOn.SELECTED:
            return planes
        layer_axes = self.axis_choices.of(layer, shown_axes(layer, viewer.dims))
        return tuple(plane_of_channels(plane, found, layer_axes, choice) for plane in planes)

    def _channels(self, viewer: "ViewerModel") -> LayerChannels | None:
        layer = self.layer()
        if layer is None:
            return None
        return channels_of(layer, self.axis_choices.of(layer, shown_axes(layer, viewer.dims)), viewer.layers)

    def targets(self, viewer: "ViewerModel") -> list[ImageLike]:
        """Return the images that a run would be on."""
        chosen = self.layer()
        if chosen is None:
            return []
        try:
            return [plane.source for plane in choose_planes(self.run_on.choice(), chosen, viewer, self.axis_choices)]
        except UnetsegError:  # which Run says
            return [chosen]

    def unseen(self, viewer: "ViewerModel") -> list[str]:
        """Say which of the images that a run would be on cannot be seen, and why."""
        reasons = [why_unseen(layer, viewer) for layer in self.targets(viewer)]
        return [reason for reason in reasons if reason is not None]

    def segment_options(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment`."""
        chosen = self.channel_options() if self.run_on.choice() is not RunOn.SELECTED else {}
        return {"link": bool(self.link.isChecked())} | chosen

    def channel_options(self) -> dict[str, Any]:
        """Those of them that say which channels are segmented; none for what is shown."""
        choice = self.channels.choice()
        return {} if choice is None else {"channels": choice}

    def lock(self, locked: bool) -> None:
        """Grey out the choices during a run; the model's card stays open to reading."""
        for box in (self.image, self.pin, self.axes, self.channels, self.run_on, self.model, self.device, self.link):
            box.setEnabled(not locked and (box is not self.channels or self.channels.several))

    def _ask_axes(self) -> None:
        layer = self.layer()
        if layer is None:
            return

        def choose(roles: tuple[str, ...] | None) -> None:
            self.axis_choices.choose(layer, roles)
            self.image_changed.emit()

        lengths = [int(length) for length in full_resolution(layer).shape[: layer.ndim]]
        AxesDialog(self.axis_choices.of(layer, self._shown), lengths, choose, self).open()

    def _arrange(self) -> None:
        grid = form_grid(self, 4)
        rows: dict[int, tuple[str, QComboBox]] = {
            0: (mark("Image"), self.image),
            2: (mark("Channels"), self.channels),
            3: (mark("Run on"), self.run_on),
            4: (mark("Model"), self.model),
            5: (mark("Device"), self.device),
        }
        for row, (words, box) in rows.items():
            label = QLabel(tr(words))
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            if box is self.channels:
                self._channels_label = label
            grid.addWidget(label, row, 0)
            grid.addWidget(box, row, 1, 1, 1 if box in (self.image, self.model) else 2)
        grid.addWidget(self.pin, 0, 2)
        grid.addWidget(self.axes, 1, 0, 1, 3)
        grid.addWidget(self.card, 4, 2)
        order = (self.image, self.pin, self.axes, self.channels, self.run_on, self.model, self.card, self.device)
        for first, second in pairwise(order):
            QWidget.setTabOrder(first, second)


def _narrow(box: Box) -> Box:
    """Keep long names from widening the dock."""
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box
