import hmac
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_unetseg.config import Settings
from napari_unetseg.errors import UnetsegError
from napari_unetseg.server import keys
from napari_unetseg.server.keys import (
    KeyCheck,
    KeyFileError,
    add_key,
    is_loopback,
    keys_path,
    keys_required,
    read_keys,
    revoke_key,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "keys.json"


def test_a_key_opens_under_its_name_and_nothing_else_does(path):
    ada, bob = add_key(path, "Ada"), add_key(path, "Bob, desk 3")
    check = KeyCheck(path)
    assert check.holder(ada.encode()) == "Ada"
    assert check.holder(bob.encode()) == "Bob, desk 3"
    for other in (b"", b"unetseg_", ada[:-1].encode(), f"{ada}x".encode(), b"\xff\xfe", 300 * b"a"):
        assert check.holder(other) is None


def test_keys_are_random_and_have_256_bits(path):
    made = {add_key(path, str(number)) for number in range(20)}
    assert len(made) == 20
    assert {len(key.removeprefix("unetseg_")) for key in made} == {43}  # of 6 bits each


def test_the_file_holds_no_key(path):
    key = add_key(path, "Ada")
    text = path.read_text(encoding="utf-8")
    assert key.removeprefix("unetseg_") not in text
    (stored,) = json.loads(text)["keys"]
    assert (stored["name"], stored["last_digits"], stored["revoked"]) == ("Ada", key[-4:], None)
    assert len(stored["sha256"]) == 64


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_nobody_else_may_read_the_file(path):
    add_key(path, "Ada")
    add_key(path, "Bob")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir() if "unetseg-" in one.name] == []


def test_a_running_check_notices_keys_as_they_come_and_go(path):
    check = KeyCheck(path)
    assert check.holder(b"unetseg_nothing") is None
    key = add_key(path, "Ada")
    assert check.holder(key.encode()) == "Ada"
    assert check.count == 1
    revoke_key(path, "Ada")
    assert check.holder(key.encode()) is None
    assert check.count == 0
    again = add_key(path, "Ada")
    assert check.holder(again.encode()) == "Ada"
    assert check.holder(key.encode()) is None
    path.unlink()
    assert check.holder(again.encode()) is None


def test_the_file_is_read_only_when_it_changed(path, monkeypatch):
    key = add_key(path, "Ada").encode()
    reads = []
    monkeypatch.setattr(keys, "read_keys", lambda path: reads.append(path) or read_keys(path))
    check = KeyCheck(path)
    for _ in range(5):
        assert check.holder(key) == "Ada"
    assert len(reads) == 1


def test_all_keys_are_compared_and_in_constant_time(path, monkeypatch):
    made = [add_key(path, str(number)).encode() for number in range(4)]
    revoke_key(path, "2")
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or compare(a, b))
    check = KeyCheck(path)
    for key in (made[0], made[2], b"another"):
        compared.clear()
        check.holder(key)
        assert len(set(compared)) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"keys": 3}',
        b'{"version": 2, "keys": []}',
        b'{"version": 1, "keys": [{"name": "Ada"}]}',
        b'{"version": 1, "keys": [{"name": "Ada", "sha256": "", "last_digits": "", "created": ""}]}',
        b"\xff\xfe",
        2**22 * b" " + b"{}",
    ],
)
def test_a_damaged_file_opens_to_nobody_and_the_log_says_why(path, caplog, content):
    key = add_key(path, "Ada").encode()
    check = KeyCheck(path)
    assert check.holder(key) == "Ada"
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR, "napari_unetseg.server.keys"):
        assert [check.holder(key), check.holder(b""), check.holder(key)] == [None, None, None]
    (record,) = caplog.records  # told once, not at each request
    assert str(path) in record.getMessage()
    assert "not a file of keys" in record.getMessage()
    with pytest.raises(KeyFileError, match="not a file of keys"):
        add_key(path, "Bob")
    assert path.read_bytes() == content


def test_a_folder_in_its_place_opens_to_nobody(path, caplog):
    path.mkdir(parents=True)
    assert KeyCheck(path).holder(b"") is None
    assert "cannot be read" in caplog.text


def test_what_the_file_says_is_not_repeated_in_errors(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "keys": [{"name": "Ada", "sha256": "secret"}]}), encoding="utf-8")
    with pytest.raises(KeyFileError) as caught:
        read_keys(path)
    assert "secret" not in str(caught.value)
    assert "keys.0.sha256" in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\nb", " Ada", 65 * "a", "\x1b[1m"])
def test_a_name_that_cannot_be_shown_is_refused(path, name):
    with pytest.raises(KeyFileError, match="cannot be the name"):
        add_key(path, name)
    assert not path.exists()


def test_a_name_has_one_key_that_opens(path):
    add_key(path, "Ada")
    with pytest.raises(KeyFileError, match="already"):
        add_key(path, "Ada")
    with pytest.raises(KeyFileError, match="keys list"):
        revoke_key(path, "Bob")
    revoke_key(path, "Ada")
    with pytest.raises(KeyFileError, match="keys list"):
        revoke_key(path, "Ada")
    add_key(path, "Ada")
    assert [key.revoked is None for key in read_keys(path)] == [False, True]


def test_keys_made_at_the_same_time_are_all_kept(path):
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: add_key(path, str(number)), range(24)))
    check = KeyCheck(path)
    assert [check.holder(key.encode()) for key in made] == [str(number) for number in range(24)]


def test_a_folder_that_cannot_be_made_is_an_error_for_people(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnetsegError, match="keys_file"):
        add_key(tmp_path / "file" / "keys.json", "Ada")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_addresses_of_this_machine_alone(host):
    assert is_loopback(host)
    assert not keys_required(Settings(server={"host": host}).server)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab", "localhost.lab.org", "127.0.0.1.lab.org"])
def test_other_addresses_need_keys_unless_they_are_waived_aloud(host):
    assert not is_loopback(host)
    assert keys_required(Settings(server={"host": host}).server)
    assert not keys_required(Settings(server={"host": host, "require_keys": False}).server)


def test_the_file_lies_in_the_configuration_folder_or_where_the_settings_say(tmp_path):
    assert keys_path(Settings().server).name == "keys.json"
    assert keys_path(Settings().server).parent.name == "napari-unetseg"
    assert keys_path(Settings(server={"keys_file": tmp_path / "a.json"}).server) == tmp_path / "a.json"
