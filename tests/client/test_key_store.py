import sys

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoBackend

from napari_unetseg.client import key_store
from napari_unetseg.client.key_store import NoKeyring, forget_key, has_keyring, key_for, read_key, save_key
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config.settings import ClientSettings

LAB = "http://lab:8001"


class InMemory(KeyringBackend):
    priority = 0.5  # keyring itself chooses none below 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


class Locked(InMemory):
    def get_password(self, service, username):
        raise keyring.errors.KeyringLocked("it is locked")

    def set_password(self, service, username, password):
        raise keyring.errors.KeyringLocked("it is locked")


@pytest.fixture
def use():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_a_key_is_kept_by_its_server_and_forgotten(use):
    use(InMemory())
    save_key(f"{LAB}/", "secret")
    assert has_keyring()
    assert read_key(LAB) == "secret"
    assert read_key("http://other:8001") is None
    forget_key(LAB)
    forget_key(LAB)
    assert read_key(LAB) is None


def test_without_a_keyring_nothing_is_read_and_saving_says_so(use):
    use(NoBackend())
    assert not has_keyring()
    assert read_key(LAB) is None
    forget_key(LAB)
    with pytest.raises(NoKeyring, match="UNET_CLIENT_KEY"):
        save_key(LAB, "secret")


def test_without_the_library_it_is_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert not has_keyring()
    assert read_key(LAB) is None
    with pytest.raises(NoKeyring, match="no keyring"):
        save_key(LAB, "secret")


def test_a_locked_keyring_is_told(use):
    use(Locked())
    for ask in (lambda: read_key(LAB), lambda: save_key(LAB, "secret"), lambda: forget_key(LAB)):
        with pytest.raises(NoKeyring, match="it is locked"):
            ask()


def test_the_key_of_the_settings_is_for_their_server_alone(monkeypatch):
    monkeypatch.setattr(key_store, "read_key", lambda address: f"kept for {address}")
    lab, other = ServerAddress.of(LAB), ServerAddress.of("http://other")
    settings = ClientSettings(server=LAB, key="set")
    assert key_for(lab, settings) == "set"
    assert key_for(other, settings) == "kept for http://other"
    assert key_for(other, ClientSettings(key="set")) == "set"
    assert key_for(lab, ClientSettings()) == f"kept for {LAB}"
