"""The small window that asks which channels are segmented: which are combined, or which one plays each role."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QDialogButtonBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.channels import ChannelChoice, ChannelPart, Combination
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.form import ok_and_cancel

_WHICH = mark("Which channels show the objects?")
_BY_ROLE = mark("Which channel shows what the model asks for?")
_COMBINE_TIP = mark(
    "How several channels become one picture: each pixel as bright as in its brightest channel, or as all together."
)
_TICK_TIP = mark("Whether the model sees this channel.")
_ROLE_TIP = mark("The channel that the model gets as its {role}.")
_COMBINATIONS: dict[Combination, str] = {"max": mark("the brightest of them"), "sum": mark("their sum")}


class ChannelDialog(QDialog):
    """Ask which channels a model gets.

    Parameters
    ----------
    names
        Of the channels of the image.
    roles
        What the model calls the channels of its input; empty where it sees one picture.
    now
        What is chosen; None for nothing in particular.
    choose
        Called with what was chosen, as `ChannelChoice` reads it.
    parent
        Owner.

    Attributes
    ----------
    ticks
        A box for each channel; none where there are roles.
    combination
        How those that are ticked become one.
    roles
        A box for each role, with its channel.
    """

    def __init__(
        self,
        names: Sequence[str],
        roles: Sequence[str],
        now: ChannelChoice | None,
        choose: Callable[[str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Channels"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._choose, self._names, self._role_names = choose, names, roles
        self.ticks: list[QCheckBox] = []
        self.roles: list[QComboBox] = []
        self.combination = QComboBox()
        self.buttons = ok_and_cancel()
        column = QVBoxLayout(self)
        column.addWidget(QLabel(tr(_BY_ROLE if roles else _WHICH)))
        column.addLayout(self._role_rows(now) if roles else self._tick_rows(now))
        column.addWidget(self.buttons)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._check()

    def choice(self) -> ChannelChoice | None:
        """Return what is chosen; None where nothing is."""
        if self._role_names:
            pairs = zip(self._role_names, self.roles, strict=True)
            return ChannelChoice(tuple(ChannelPart((str(box.currentData()),), None, role) for role, box in pairs))
        names = tuple(name for name, tick in zip(self._names, self.ticks, strict=True) if tick.isChecked())
        if len(names) < 2:
            return ChannelChoice((ChannelPart(names),)) if names else None
        return ChannelChoice((ChannelPart(names, self.combination.currentData()),))

    def _role_rows(self, now: ChannelChoice | None) -> QGridLayout:
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, role in enumerate(self._role_names):
            box = QComboBox()
            for name in self._names:
                box.addItem(name, name)
            part = None if now is None or row >= len(now.parts) else now.parts[row]
            box.setCurrentIndex(self._names.index(part.names[0]) if part and part.names[0] in self._names else -1)
            box.setToolTip(tr(_ROLE_TIP).format(role=role))
            box.currentIndexChanged.connect(self._check)
            label = QLabel(role)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            grid.addWidget(label, row, 0)
            grid.addWidget(box, row, 1)
            self.roles.append(box)
        return grid

    def _tick_rows(self, now: ChannelChoice | None) -> QGridLayout:
        grid = QGridLayout()
        part = None if now is None else now.parts[0]
        for row, name in enumerate(self._names):
            tick = QCheckBox(name)
            tick.setToolTip(tr(_TICK_TIP))
            tick.setChecked(part is None or name in part.names)
            tick.toggled.connect(self._check)
            grid.addWidget(tick, row, 0, 1, 2)
            self.ticks.append(tick)
        for combination, title in _COMBINATIONS.items():
            self.combination.addItem(tr(title), combination)
        if part is not None and part.combination is not None:
            self.combination.setCurrentIndex(list(_COMBINATIONS).index(part.combination))
        self.combination.setToolTip(tr(_COMBINE_TIP))
        label = QLabel(tr("Together as"))
        label.setBuddy(self.combination)
        label.setToolTip(self.combination.toolTip())
        grid.addWidget(label, len(self._names), 0)
        grid.addWidget(self.combination, len(self._names), 1)
        return grid

    def _check(self) -> None:
        chosen = all(box.currentIndex() >= 0 for box in self.roles) if self._role_names else self.choice() is not None
        self.combination.setEnabled(sum(tick.isChecked() for tick in self.ticks) > 1)
        if (ok := self.buttons.button(QDialogButtonBox.StandardButton.Ok)) is not None:
            ok.setEnabled(chosen)

    def _accept(self) -> None:
        choice = self.choice()
        if choice is not None:
            self._choose(str(choice))
        self.accept()
