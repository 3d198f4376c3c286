"""A file says which process it belongs to, and only those of processes that have ended are swept away."""

import os
import subprocess
import sys
import time

import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.file_owner import (
    Owner,
    disk_time,
    has_ended,
    owner_of_temporary,
    sweep_temporaries,
    temporary_beside,
    this_process,
)

DAY = 86_400


@pytest.fixture(scope="module")
def ended() -> Owner:
    """A process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Owner(process.pid, this_process().host)


def elsewhere() -> Owner:
    return Owner(os.getpid(), "0" * 8)


def temporary_of(owner, folder, name="a_labels.tif"):
    return folder / f".unetseg-{owner.pid}-{owner.host}-{name}"


def test_this_process_goes_on_and_one_that_ended_has_ended(ended):
    now = time.time()
    assert not has_ended(this_process(), now, now)
    assert has_ended(ended, now, now)


@pytest.mark.skipif(sys.platform == "win32", reason="there, no process waits to be asked what became of it")
def test_a_process_that_was_killed_has_ended_before_anybody_asks_what_became_of_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and keeps its number
    assert has_ended(Owner(process.pid, this_process().host), touched=time.time(), now=time.time())
    process.communicate()


def test_a_process_that_began_after_the_file_has_its_number_by_chance():
    now = time.time()
    assert has_ended(this_process(), now - 10 * DAY, now)


@pytest.mark.parametrize(("silent", "expected"), [(0, False), (99, False), (101, True)])
def test_a_process_of_another_machine_ends_when_it_is_silent(silent, expected):
    now = time.time()
    assert has_ended(elsewhere(), now - silent, now, 100) is expected


def test_a_temporary_path_names_its_process_and_keeps_the_suffix(tmp_path):
    path = temporary_beside(tmp_path / "a.ome.tif")
    assert path.parent == tmp_path
    assert path.name.startswith(".")
    assert path.name.endswith("a.ome.tif")
    assert owner_of_temporary(path) == this_process()


@pytest.mark.parametrize("name", ["a" * 251 + ".tif", "é" * 125 + ".tif", "細胞" * 41 + ".tif"])
def test_the_longest_names_can_be_written(tmp_path, name):
    path = tmp_path / name
    with whole_file(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".tif"
    assert [found.read_text() for found in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("name", ["a.tif", ".a.tif", ".unetseg-1.tif", ".unetseg-x-00000000-a", ".unetseg-1-0000-a"])
def test_other_names_are_nobodys(tmp_path, name):
    assert owner_of_temporary(tmp_path / name) is None


def test_only_files_of_processes_that_have_ended_are_swept(tmp_path, ended):
    def write(path, age=0.0):
        path.write_text("half")
        os.utime(path, (time.time() - age,) * 2)
        return path

    stay = [
        write(temporary_beside(tmp_path / "a.tif")),
        write(temporary_of(elsewhere(), tmp_path)),
        write(temporary_of(elsewhere(), tmp_path, "slow.tif"), DAY / 2),
        write(tmp_path / ".unetseg-notes"),
        write(tmp_path / f".{ended.pid}-a.tif"),
        write(tmp_path / "a_labels.tif"),
    ]
    write(temporary_of(ended, tmp_path))
    write(temporary_of(elsewhere(), tmp_path, "old.tif"), 2 * DAY)
    sweep_temporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(stay)


def test_a_folder_that_is_not_there_has_nothing_to_sweep(tmp_path):
    sweep_temporaries(tmp_path / "none")


def test_the_clock_of_a_disk_leaves_no_file(tmp_path):
    assert abs(disk_time(tmp_path) - time.time()) < 60
    assert list(tmp_path.iterdir()) == []


def test_content_is_on_the_disk_before_the_file_is_there(tmp_path, monkeypatch):
    synced, path = [], tmp_path / "a.txt"
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(path.exists()), fsync(number)))
    with whole_file(path) as temporary:
        temporary.write_text("whole")
    assert synced == [False]


def test_what_cannot_be_synced_is_not_there(tmp_path, monkeypatch):
    def refuse(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UnetsegError, match="No space left"), whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == []
