"""The box of devices, among them servers; its last row sets one up."""

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.server_names import is_server, server_name

DEVICES = {
    "auto": mark("Automatic"),
    "cuda": mark("NVIDIA GPU (cuda)"),
    "mps": mark("Apple GPU (mps)"),
    "cpu": mark("CPU"),
}
SERVER = mark("Server...")

_TIP = mark(
    "Where the network runs. Automatic is what the settings say, else a GPU if there is one, else the CPU.\n"
    "Choose CPU when the GPU is busy or its memory is short; results are the same up to rounding."
)
_SERVER_TIP = mark(
    "Let a computer with a GPU run the network: images are sent to it, and all else stays on this computer."
)
ENTRY = mark("Server {server}")
_ENTRY_TIP = mark("The network runs on {address}. Images are sent there; all else stays on this computer.")
_ALLOWED_ROLE = 255  # flags of a row of Qt's own model: 0 greys it out, None is the default


class DeviceBox(QComboBox):
    """A combo box of this machine's devices, then of the servers that are known.

    The last row is a command: it asks for a server and leaves the choice as it was. Only the open list gives it: wheel
    and arrow keys stop before it.

    Parameters
    ----------
    parent
        Owner.

    Attributes
    ----------
    chosen
        Another device is chosen.
    server_requested
        A server is to be set up.
    """

    chosen = Signal()
    server_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tr(_TIP))
        self._before = 0
        for key, words in DEVICES.items():
            self.addItem(tr(words), key)
        self.insertSeparator(self.count())
        self.addItem(tr(SERVER))
        self._allow_command(False)
        self.currentIndexChanged.connect(self._on_changed)
        self.activated.connect(self._on_activated)

    def key(self) -> str:
        """Return ``"auto"``, ``"cuda"``, ``"mps"``, ``"cpu"``, or the address of a server; never the command."""
        return str(self.currentData())

    def server(self) -> str | None:
        """Return the address of the chosen server; None where the network runs on this machine."""
        return self.key() if is_server(self.key()) else None

    def servers(self) -> list[str]:
        """Return the addresses of all servers that are offered."""
        keys = (self.itemData(row) for row in range(self.count()))
        return [key for key in keys if isinstance(key, str) and is_server(key)]

    def add_server(self, address: str) -> None:
        """Offer a server, if it is not offered yet."""
        if self.findData(address) >= 0:
            return
        row = len(DEVICES) + len(self.servers())
        with QSignalBlocker(self):
            self.insertItem(row, tr(ENTRY).format(server=server_name(address)), address)
        self.setItemData(row, tr(_ENTRY_TIP).format(address=address), Qt.ItemDataRole.ToolTipRole)

    def remove_server(self, address: str) -> None:
        """Offer a server no longer; where it was chosen, the network runs on this machine again."""
        row = self.findData(address)
        if row < 0:
            return
        if row == self.currentIndex():
            self.setCurrentIndex(0)
        with QSignalBlocker(self):
            self.removeItem(row)

    def choose(self, key: str) -> None:
        """Choose a device by its key, if it is offered."""
        if (row := self.findData(key)) >= 0:
            self.setCurrentIndex(row)

    def showPopup(self) -> None:  # noqa: N802 (Qt's name)
        """Open the list, where the command can be given."""
        self._before = self.currentIndex()
        self._allow_command(True)
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802 (Qt's name)
        """Close the list."""
        super().hidePopup()
        self._allow_command(False)

    def _allow_command(self, allowed: bool) -> None:
        self.setItemData(self.count() - 1, None if allowed else 0, _ALLOWED_ROLE)
        self.setItemData(self.count() - 1, tr(_SERVER_TIP), Qt.ItemDataRole.ToolTipRole)

    def _on_changed(self, row: int) -> None:
        if row != self.count() - 1:
            self.chosen.emit()

    def _on_activated(self, row: int) -> None:
        if row == self.count() - 1:
            with QSignalBlocker(self):
                self.setCurrentIndex(self._before)
            self.server_requested.emit()
