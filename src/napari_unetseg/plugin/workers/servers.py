"""The servers that the windows of this process know: their keys, what they say of themselves, and their models."""

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.client import ServerReport


@dataclass(frozen=True)
class KnownKey:
    """What is known of the key for a server.

    Attributes
    ----------
    exists
        Whether one is kept.
    in_keyring
        Whether keys are kept in the keyring; else, where there is none, as long as this process runs.
    """

    address: str
    exists: bool
    in_keyring: bool


@dataclass(frozen=True)
class ServerModels:
    """Which models a server has, and the version of its napari-unetseg."""

    packages: tuple[ModelPackage, ...]
    version: str

    def has(self, package: ModelPackage) -> bool:
        """Whether the server has a model of this name."""
        return any(one.name == package.name for one in self.packages)


class Servers:
    """Asks servers, and keeps their keys: in the keyring or, where there is none, in this process.

    All but `checked_address` waits for the network or for the keyring: call it in a worker thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._session_keys: dict[str, str] = {}

    def checked_address(self, text: str) -> str:
        """Return the address that somebody typed in the form in which it is kept.

        Raises
        ------
        ServerError
            If it is none.
        """
        from napari_unetseg.client.server_address import read_address

        return read_address(text)

    def check(self, address: str, key: str | None) -> "ServerReport":
        """Ask a server what it is.

        Parameters
        ----------
        key
            None for the one that is kept.

        Raises
        ------
        ServerError
            If it does not answer, or does not take the key.
        """
        from napari_unetseg.client import check_server

        return check_server(address, key or self.key(address))
