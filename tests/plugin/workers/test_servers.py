"""Keys of servers: in the keyring or, where there is none, in this process."""

from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from napari_unetseg.client import key_store
from napari_unetseg.errors import ParameterError
from napari_unetseg.plugin.workers.servers import KnownKey, Servers

LAB = "http://lab:8001"


class Memory(KeyringBackend):
    """A keyring that keeps its passwords in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked("locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


@pytest.fixture
def memory() -> Iterator[Memory]:
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(NoBackend())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("lab:8001", LAB),
        (" lab ", "http://lab"),
        ("10.0.0.7:80", "http://10.0.0.7:80"),
        ("https://lab.example.org/", "https://lab.example.org"),
        ("[::1]:8001", "http://[::1]:8001"),
    ],
)
def test_an_address_may_do_without_its_scheme(typed: str, kept: str) -> None:
    assert Servers().checked_address(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "ftp://lab", "file:///etc/passwd", "http://", "http://user:word@lab", "lab:port"]
)
def test_other_texts_are_no_address(typed: str) -> None:
    with pytest.raises(ParameterError):
        Servers().checked_address(typed)


def test_a_key_is_kept_in_the_keyring(memory: Memory) -> None:
    servers = Servers()
    assert servers.known_key(LAB) == KnownKey(LAB, exists=False, in_keyring=True)
    servers.keep_key(LAB, "secret")
    assert memory.kept == {(key_store.SERVICE, LAB): "secret"}
    assert servers.known_key(LAB) == KnownKey(LAB, exists=True, in_keyring=True)
    assert servers.key(LAB) is None  # the keyring has it, and nothing else
    servers.forget_key(LAB)
    assert memory.kept == {}
    assert not servers.known_key(LAB).exists


@pytest.mark.usefixtures("no_keyring")
def test_without_a_keyring_a_key_is_kept_for_this_session() -> None:
    servers = Servers()
    assert servers.known_key(LAB) == KnownKey(LAB, exists=False, in_keyring=False)
    servers.keep_key(LAB, "secret")
    assert servers.key(LAB) == "secret"
    assert servers.known_key(LAB) == KnownKey(LAB, exists=True, in_keyring=False)
    assert Servers().key(LAB) is None
    servers.forget_key(LAB)
    assert servers.key(LAB) is None


def test_a_keyring_that_stays_locked_is_as_none(memory: Memory) -> None:
    memory.locked = True
    servers = Servers()
    servers.keep_key(LAB, "secret")
    assert servers.known_key(LAB) == KnownKey(LAB, exists=True, in_keyring=False)
    memory.locked = False
    servers.keep_key(LAB, "newer")
    assert servers.key(LAB) is None
    assert memory.kept == {(key_store.SERVICE, LAB): "newer"}
