"""The servers that the windows of this process know: their keys, and what they say of themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.plugin.parts.server_names import is_server

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
        ParameterError
            If it is none.
        """
        from napari_unetseg.client.server_address import ServerAddress

        return ServerAddress.of(text).url

    def check(self, address: str, key: str | None = None) -> "ServerReport":
        """Ask a server what it is, and which models it has.

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

    def key(self, address: str) -> str | None:
        """Return the key that was given for this session; None leaves it to keyring and settings."""
        with self._lock:
            return self._session_keys.get(address)

    def known_key(self, address: str) -> KnownKey:
        """Say whether there is a key for a server, be it in the settings, and where another one would be kept.

        Raises
        ------
        ConfigError
            If the settings are wrong.
        """
        from napari_unetseg.client.key_store import NoKeyring, has_keyring, key_for
        from napari_unetseg.client.server_address import ServerAddress
        from napari_unetseg.config import load_settings

        try:
            kept, in_keyring = key_for(ServerAddress.of(address), load_settings().settings.client), has_keyring()
        except NoKeyring:
            kept, in_keyring = None, False
        return KnownKey(address, kept is not None or self.key(address) is not None, in_keyring)

    def keep_key(self, address: str, key: str) -> None:
        """Keep the key for a server, in this process where no keyring takes it."""
        from napari_unetseg.client.key_store import NoKeyring, save_key

        try:
            save_key(address, key)
        except NoKeyring:
            with self._lock:
                self._session_keys[address] = key
        else:
            with self._lock:
                self._session_keys.pop(address, None)

    def forget_key(self, address: str) -> None:
        """Forget the key for a server.

        Raises
        ------
        NoKeyring
            If it is in a keyring that cannot be changed.
        """
        from napari_unetseg.client.key_store import forget_key

        with self._lock:
            self._session_keys.pop(address, None)
        forget_key(address)


@contextmanager
def cancellable_questions(device: str, cancel: CancelFlag) -> Iterator[None]:
    """Let `cancel` end what a server is asked in the block; it may be long in answering, or never do."""
    if not is_server(device):
        yield
        return
    from napari_unetseg.client.connection import questions_end_with

    with questions_end_with(cancel):
        yield
