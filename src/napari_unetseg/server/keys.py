"""API keys: who may use the server, kept as hashes in one file that `napari-unetseg keys` writes.

A key has 256 random bits, so its plain SHA-256 tells nothing of it: there is no list of likely keys to try, which is
what a slow hash such as scrypt is against, and each request can be checked at no cost.
"""

import hashlib
import hmac
import ipaddress
import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.config.loading import user_config_file
from napari_unetseg.config.settings import ServerSettings
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file

_PREFIX = "unetseg_"  # by which people, and programs that look for leaked secrets, know what it is
_LARGEST_FILE = 2**22  # in bytes, some 15,000 keys
_LONGEST_NAME = 64
_LONGEST_KEY = 200

_log = logging.getLogger("napari_unetseg.server.keys")


class KeyFileError(UnetsegError):
    """The file of the keys cannot be read, or a key of that name is there already, or is not."""


class ApiKey(BaseModel):
    """What the file holds of a key.

    Attributes
    ----------
    name
        Whose it is.
    sha256
        Hash of the key, in hexadecimal digits.
    last_digits
        The last four characters of the key, to tell keys apart.
    created, revoked
        ISO 8601 times; `revoked` is None for a key that opens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=_LONGEST_NAME)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    last_digits: str = Field(max_length=8)
    created: str
    revoked: str | None = None


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    keys: list[ApiKey]


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is heard on this machine alone; False for names that would have to be asked."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def keys_required(server: ServerSettings) -> bool:
    """Whether requests need a key: at every address but this machine's own, unless the settings say aloud that not."""
    return server.require_keys and not is_loopback(server.host)


def keys_path(server: ServerSettings) -> Path:
    """Return where the keys of these settings are kept; the file need not exist."""
    return server.keys_file or user_config_file().with_name("keys.json")


def read_keys(path: Path) -> list[ApiKey]:
    """Read all keys, those that are revoked among them; none if there is no file.

    Raises
    ------
    KeyFileError
        If the file cannot be read or is not one of keys.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeyFileError(
            f"{path}: the keys cannot be read ({error.strerror or error}). Let the user that runs the server read it."
        ) from error
    try:
        if len(content) > _LARGEST_FILE:
            raise ValueError("it is too large")
        return _Content.model_validate_json(content).keys
    except ValueError as error:  # pydantic's ValidationError is one
        raise KeyFileError(
            f"{path}: this is not a file of keys ({_reason(error)}). Take back a copy of it, or remove it and make new "
            "keys with 'napari-unetseg keys add'."
        ) from error


def add_key(path: Path, name: str) -> str:
    """Make a key and write its hash down; return the key, which is kept nowhere.

    Raises
    ------
    KeyFileError
        If the name is taken, empty, too long or no plain text, or the file cannot be read.
    UnetsegError
        If the file cannot be written.
    """
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise KeyFileError(
            f"{name!r} cannot be the name of a key. Take up to {_LONGEST_NAME} letters, digits or signs."
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    with _being_changed(path):
        keys = read_keys(path)
        if _holder(keys, name) is not None:
            raise KeyFileError(f"There is a key {name} already. Choose another name, or revoke that one first.")
        made = ApiKey(name=name, sha256=_hash(key.encode()), last_digits=key[-4:], created=_now())
        _write(path, [*keys, made])
    return key


def revoke_key(path: Path, name: str) -> None:
    """Let the key of that name open nothing any more; a running server knows at its next request.

    Raises
    ------
    KeyFileError
        If no key has that name, or it is revoked already, or the file cannot be read.
    UnetsegError
        If the file cannot be written.
    """
    with _being_changed(path):
        keys = read_keys(path)
        found = _holder(keys, name)
        if found is None:
            raise KeyFileError(f"No key that opens is named {name}. See 'napari-unetseg keys list'.")
        revoked = found.model_copy(update={"revoked": _now()})
        _write(path, [revoked if key is found else key for key in keys])


class KeyCheck:
    """The keys as a running server knows them; it looks whether their file has changed at each question.

    A file that cannot be read opens to nobody, and the log says why.

    Parameters
    ----------
    path
        The file of the keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._keys: list[ApiKey] = []

    def holder(self, key: bytes) -> str | None:
        """Return the name of a key that opens; None for every other text."""
        self._look()
        given = _hash(key) if len(key) <= _LONGEST_KEY else ""
        holder = None
        for known in self._keys:  # all of them, so that the time taken tells nothing of where one lies
            if hmac.compare_digest(known.sha256, given) and known.revoked is None:
                holder = known.name
        return holder

    @property
    def count(self) -> int:
        """How many keys open."""
        self._look()
        return sum(key.revoked is None for key in self._keys)

    def _look(self) -> None:
        try:
            status = self._path.stat()
            seen: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except OSError as error:
            seen = error.errno
        if seen == self._seen:
            return
        self._keys, self._seen = [], seen
        try:
            self._keys = read_keys(self._path)
        except KeyFileError as error:
            _log.error("nobody gets in: %s", error)
            return
        if not self._keys:
            _log.warning("nobody gets in: %s has no keys; make one with 'napari-unetseg keys add NAME'", self._path)


def _holder(keys: list[ApiKey], name: str) -> ApiKey | None:
    return next((key for key in keys if key.name == name and key.revoked is None), None)


def _hash(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _reason(error: ValueError) -> str:
    """Say what is wrong without what stands there."""
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))


def _write(path: Path, keys: list[ApiKey]) -> None:
    content = {"version": 1, "keys": [key.model_dump() for key in keys]}
    with whole_file(path) as temporary:
        temporary.unlink(missing_ok=True)
        # Nobody else may read it, from its first byte on.
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")


@contextmanager
def _being_changed(path: Path) -> Iterator[None]:
    """Let commands that change the keys at the same time do so one after the other."""
    beside = path.with_name(f".{path.name}.lock")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        lock = beside.open("ab")
    except OSError as error:
        raise KeyFileError(
            f"{path}: the keys cannot be changed ({error.strerror or error}). Choose another file (server.keys_file)."
        ) from error
    with lock:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
