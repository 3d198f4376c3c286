"""A file is whole or not there."""

import io

import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import open_or_whole, whole_file


def test_makes_folders_and_leaves_only_the_file(tmp_path):
    path = tmp_path / "new" / "deep" / "a.txt"
    with whole_file(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_keeps_the_earlier_file(tmp_path, interruption):
    path = tmp_path / "a.txt"
    path.write_text("earlier")

    def write_half():
        with whole_file(path) as temporary:
            temporary.write_text("ha")
            raise interruption

    with pytest.raises(interruption):
        write_half()
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_refusal_of_the_system_names_the_file(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    path = tmp_path / "taken" / "a.txt"
    with pytest.raises(UnetsegError, match=r"a\.txt: cannot be written"), whole_file(path) as temporary:
        temporary.write_text("whole")


def test_an_open_file_is_handed_out_as_it_is_and_stays_open(tmp_path):
    memory = io.BytesIO()
    with open_or_whole(memory) as opened:
        assert opened is memory
    assert not memory.closed
    with open_or_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "whole"
