"""Keys of servers in the keyring of the system: Windows' credential manager, macOS' keychain, a desktop's wallet."""

from types import ModuleType

from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config.settings import ClientSettings
from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence

SERVICE = "napari-unetseg"
"""Under this name the keyring has them; the address of the server is the user."""


class NoKeyring(UnetsegError):
    """There is no keyring on this machine, or it stays locked."""


def key_for(server: ServerAddress, settings: ClientSettings) -> str | None:
    """Return the key for a server where a caller names none: that of the settings, if meant for it, or a kept one.

    Raises
    ------
    NoKeyring
        If there is a keyring, but it cannot be read.
    """
    is_meant = settings.server is None or ServerAddress.of(settings.server) == server
    return settings.key if settings.key is not None and is_meant else read_key(server.url)


def read_key(address: str) -> str | None:
    """Return the key for a server; None where there is none, or nothing that could keep one.

    Raises
    ------
    NoKeyring
        If there is a keyring, but it cannot be read.
    """
    keyring = _keyring()
    if keyring is None:
        return None
    try:
        key: str | None = keyring.get_password(SERVICE, ServerAddress.of(address).url)
    except keyring.errors.NoKeyringError:
        return None
    except keyring.errors.KeyringError as error:
        raise _locked(error) from error
    return key


def save_key(address: str, key: str) -> None:
    """Keep the key for a server.

    Raises
    ------
    NoKeyring
        If it cannot be kept.
    """
    keyring = _keyring()
    try:
        if keyring is None:
            raise _none()
        keyring.set_password(SERVICE, ServerAddress.of(address).url, key)
    except Exception as error:
        raise _explained(keyring, error) from error


def forget_key(address: str) -> None:
    """Forget the key for a server; nothing happens where none is kept.

    Raises
    ------
    NoKeyring
        If there is a keyring, but it cannot be changed.
    """
    keyring = _keyring()
    if keyring is None or read_key(address) is None:
        return
    try:
        keyring.delete_password(SERVICE, ServerAddress.of(address).url)
    except Exception as error:
        raise _explained(keyring, error) from error


def has_keyring() -> bool:
    """Whether something keeps keys here."""
    keyring = _keyring()
    if keyring is None:
        return False
    from keyring.backends.fail import Keyring

    return not isinstance(keyring.get_keyring(), Keyring)


def _keyring() -> ModuleType | None:
    """Return the library, which is in the extra ``[client]``; it takes a while to load."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    return keyring


def _explained(keyring: ModuleType | None, error: Exception) -> Exception:
    if keyring is not None and isinstance(error, keyring.errors.NoKeyringError):
        return _none()
    if keyring is not None and isinstance(error, keyring.errors.KeyringError):
        return _locked(error)
    return error


def _none() -> NoKeyring:
    return NoKeyring(
        Sentence(
            "This machine has no keyring that could keep the key. It is used until this program ends; to have it at "
            "every start, set the variable UNET_CLIENT_KEY."
        )
    )


def _locked(error: Exception) -> NoKeyring:
    return NoKeyring(
        Sentence(
            "The keyring of this machine cannot be used ({reason}). Unlock it, or set the variable UNET_CLIENT_KEY.",
            reason=str(error) or type(error).__name__,
        )
    )
