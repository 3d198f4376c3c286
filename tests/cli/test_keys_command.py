import pytest

from napari_unetseg.server.keys import KeyCheck


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The file of the keys, by the settings."""
    monkeypatch.setenv("UNET_SERVER_KEYS_FILE", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def test_the_key_alone_is_printed_and_opens(call, path):
    result = call("keys", "add", "Ada")
    assert result.exit_code == 0
    (key,) = result.stdout.splitlines()
    assert KeyCheck(path).holder(key.encode()) == "Ada"
    assert "this once" in result.stderr
    assert key not in result.stderr


def test_the_list_tells_keys_apart_and_shows_none(call, path):
    keys = [call("keys", "add", name).stdout.strip() for name in ("Ada", "Bob")]
    assert call("keys", "revoke", "Ada").exit_code == 0
    listed = call("keys", "list").stdout
    title, ada, bob = listed.splitlines()
    assert title.split() == ["name", "ends", "in", "made", "revoked"]
    assert ada.split()[:2] == ["Ada", keys[0][-4:]]
    assert len(ada.split()) == 4
    assert bob.split()[:2] == ["Bob", keys[1][-4:]]
    assert len(bob.split()) == 3
    assert not any(key in listed for key in keys)


def test_a_revoked_key_opens_nothing(call, path):
    key = call("keys", "add", "Ada").stdout.strip()
    assert call("keys", "revoke", "Ada").exit_code == 0
    assert KeyCheck(path).holder(key.encode()) is None


def test_without_keys_the_list_says_how_to_make_one(call, path):
    result = call("keys", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "keys add NAME" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"), [(("revoke", "Bob"), "No key that opens is named Bob"), (("add", "Ada"), "already")]
)
def test_what_cannot_be_done_is_said_in_a_line(call, path, words, said):
    call("keys", "add", "Ada")
    before = path.read_bytes()
    result = call("keys", *words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert path.read_bytes() == before


def test_a_damaged_file_is_said_in_a_line_and_left_as_it_is(call, path):
    path.write_text("{")
    for words in (("list",), ("add", "Ada"), ("revoke", "Ada")):
        result = call("keys", *words)
        assert result.exit_code == 1
        assert "not a file of keys" in result.stderr
    assert path.read_text() == "{"
