"""The row that says which channels of the image are segmented."""

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_unetseg.channels import ChannelChoice, ChannelPart
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock.channel_dialog import ChannelDialog

_TIP = mark(
    "Which channels are segmented: the one that is shown, one by its name, or several combined. A model that wants\n"
    "several channels gets them here by what they show. The choice is kept by name for the next image."
)
_COLOURS = {1, 3}  # channels of a model that sees one picture


class ChannelBox(QComboBox):
    """A combo box of the channels of an image; the last row opens the window that asks.

    Only the open list gives that row: wheel and arrow keys stop before it.

    Parameters
    ----------
    parent
        Owner.

    Attributes
    ----------
    chosen
        Something else is chosen.
    dialog
        The window that asks; None while it is closed.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tr(_TIP))
        self.dialog: ChannelDialog | None = None
        self._names: tuple[str, ...] = ()
        self._roles: tuple[str, ...] = ()
        self._inputs, self._beside = 3, False
        # What somebody wants, by name: of models that see one picture, and of those that want several channels.
        self._wanted: dict[bool, str] = {False: "", True: ""}
        self._before = 0
        self._fill()
        self.activated.connect(self._on_activated)
        self.currentIndexChanged.connect(self._on_changed)

    @property
    def by_role(self) -> bool:
        """Whether the model wants several channels, each by what it shows."""
        return bool(self._roles) or self._inputs not in _COLOURS

    @property
    def several(self) -> bool:
        """Whether the image has channels to choose among."""
        return len(self._names) > 1

    def choice(self) -> str | None:
        """Return what is chosen, as `ChannelChoice` reads it; None for what is shown."""
        text = self.currentData()
        return str(text) if text else None

    def wanted(self, *, by_role: bool) -> str:
        """Return what was wanted last of models of one kind, whether or not this image has it; empty for nothing."""
        return self._wanted[by_role]

    def want(self, text: str, *, by_role: bool) -> None:
        """Choose it wherever an image has channels of these names; empty for what is shown."""
        self._wanted[by_role] = text
        self._fill()

    def show_channels(
        self, names: Sequence[str], inputs: int, roles: Sequence[str], *, beside: bool, count_all: bool = True
    ) -> None:
        """Offer the channels of an image to a model.

        Parameters
        ----------
        names
            Of the channels; none where there is no image.
        inputs, roles
            How many channels the model takes, and what it calls them.
        beside
            Whether each is a layer of its own.
        count_all
            Whether a choice means anything, which it does not where each of several layers is run by itself.
        """
        shown = tuple(names) if count_all else (), tuple(roles), inputs, beside
        if shown != (self._names, self._roles, self._inputs, self._beside):
            self._names, self._roles, self._inputs, self._beside = shown
            self._fill()

    def _fill(self) -> None:
        wanted = self._wanted[self.by_role]
        missing = [name for name in ChannelChoice.parse(wanted).names if name not in self._names] if wanted else []
        several = self.several
        rows: list[tuple[str, str]] = []
        if self.by_role:
            text = self.choice_for(self._inputs, self._roles) or ""
            shown = text.replace(",", ", ").replace("=", ": ") or tr("not chosen")
            rows = [(_without(shown, missing) if several else shown, text)]
        else:
            shown = tr("this layer") if self._beside else tr("the one shown")
            rows = [(_without(shown, missing) if several else shown, "")]
            if several:
                rows += [(name, str(ChannelChoice((ChannelPart((name,)),)))) for name in self._names]
                brightest, total = (
                    str(ChannelChoice((ChannelPart(self._names, "max"),))),
                    str(ChannelChoice((ChannelPart(self._names, "sum"),))),
                )
                rows += [(tr("brightest of all"), brightest), (tr("sum of all"), total)]
                if wanted and not missing and wanted not in [text for _, text in rows]:
                    rows.append((wanted, wanted))
        with QSignalBlocker(self):
            self.clear()
            for title, text in rows:
                self.addItem(title, text)
                self.setItemData(self.count() - 1, title, Qt.ItemDataRole.ToolTipRole)
            self._choices = len(rows)
            if several:
                self.insertSeparator(self.count())
                self.addItem(tr("Choose..."))
            texts = [text for _, text in rows]
            self.setCurrentIndex(texts.index(wanted) if wanted in texts else 0)
            self._before = self.currentIndex()
        self.setEnabled(several)
        self.setToolTip(f"{tr(_TIP)}\n\n{self.currentText()}".strip())

    def choice_for(self, inputs: int, roles: Sequence[str]) -> str | None:
        """Return what a model of several channels gets of this image; None where it has too few.

        That is what was chosen for models of these roles, if the image has it; else the channels that are called as
        the roles are; else the first ones.
        """
        words, plain = list(roles) or [""] * inputs, [name.casefold() for name in self._names]
        wanted = ChannelChoice.parse(self._wanted[True]) if self._wanted[True] else ChannelChoice(())
        if [part.role for part in wanted.parts] == words and set(wanted.names) <= set(self._names):
            return str(wanted)
        if len(plain) < len(words):
            return None
        called = [plain.index(role.casefold()) if role.casefold() in plain else -1 for role in words]
        numbers = range(len(words)) if -1 in called else called
        parts = zip(words, numbers, strict=True)
        return str(ChannelChoice(tuple(ChannelPart((self._names[number],), None, role) for role, number in parts)))

    def _on_changed(self, row: int) -> None:
        if row < self._choices:
            self._before = row
            self._wanted[self.by_role] = str(self.currentData() or "")
            self.setToolTip(f"{tr(_TIP)}\n\n{self.currentText()}")
            self.chosen.emit()
        else:
            self._back()

    def _on_activated(self, row: int) -> None:
        if row >= self._choices:
            self._back()
            self._ask()

    def _back(self) -> None:
        with QSignalBlocker(self):
            self.setCurrentIndex(self._before)

    def _ask(self) -> None:
        text = self.choice()
        words = self._roles or [tr("channel {number}").format(number=at + 1) for at in range(self._inputs)]
        roles = words if self.by_role else ()
        now = None if text is None else ChannelChoice.parse(text)
        self.dialog = ChannelDialog(self._names, roles, now, self._on_asked, self)
        self.dialog.finished.connect(self._on_closed)
        self.dialog.open()

    def _on_asked(self, text: str) -> None:
        if self.by_role and not self._roles:
            # The words of the window are no roles of the model.
            parts = ChannelChoice.parse(text).parts
            text = str(ChannelChoice(tuple(ChannelPart(part.names, part.combination) for part in parts)))
        self.want(text, by_role=self.by_role)
        self.chosen.emit()

    def _on_closed(self) -> None:
        self.dialog = None


def _without(shown: str, missing: Sequence[str]) -> str:
    """Say beside what is chosen instead which channels the image does not have."""
    if not missing:
        return shown
    return tr("{channel} (no {missing} here)").format(channel=shown, missing=", ".join(missing))
