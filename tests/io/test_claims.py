"""Of several processes one alone has an image, and that of a process that has ended is taken over."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import claims
from napari_unetseg.io.claims import Claims, claim_path, is_claimed, sweep
from napari_unetseg.io.file_owner import Owner, this_process


@pytest.fixture
def target(tmp_path):
    return claim_path(tmp_path / "out", "a")


@pytest.fixture(scope="module")
def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Owner(process.pid, this_process().host)


def leave(path, owner, age=0.0, content=None):
    """Leave a claim as another process would."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(owner)) if content is None else content)
    os.utime(path, (time.time() - age,) * 2)


def hidden(target):
    return [path.name for path in target.parent.iterdir()]


def test_one_alone_has_a_claim_until_it_lets_go(target):
    with Claims() as first, Claims() as second:
        assert first.claim(target)
        assert first.claim(target)
        assert is_claimed(target)
        assert not second.claim(target)
        assert not second.claim(claim_path(target.parent, "A"))
        assert second.claim(claim_path(target.parent, "b"))
        first.release(target)
        assert not is_claimed(target)
        assert second.claim(target)
    assert hidden(target) == []


def test_a_run_that_ended_lets_go_and_gets_none_any_more(target):
    with Claims() as ended_run:
        ended_run.claim(target)
    assert hidden(target) == []
    assert not ended_run.claim(target)
    assert hidden(target) == []


def test_of_many_that_claim_at_once_one_has_it(target):
    runs, barrier, won = [Claims() for _ in range(16)], threading.Barrier(16), []

    def claim(run):
        barrier.wait()
        won.append(run.claim(target))

    threads = [threading.Thread(target=claim, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == 15 * [False] + [True]
    for run in runs:
        run.__exit__()
    assert hidden(target) == []


@pytest.mark.parametrize("links", [True, False])
def test_that_of_a_process_that_has_ended_is_taken_over(target, ended, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
    leave(target, ended)
    assert not is_claimed(target)
    with Claims() as run, Claims() as other:
        assert run.claim(target)
        assert is_claimed(target)
        assert not other.claim(target)
    assert hidden(target) == []


@pytest.mark.parametrize(("age", "theirs"), [(0, True), (60, True), (600, False)])
@pytest.mark.parametrize("content", [None, "", "[", "{}", '{"pid": "x", "host": 1}'])
def test_that_of_another_machine_or_nobody_is_its_own_as_long_as_it_is_touched(target, age, theirs, content):
    leave(target, Owner(os.getpid(), "0" * 8), age, content)
    assert is_claimed(target) is theirs
    with Claims() as run:
        assert run.claim(target) is not theirs


def test_the_clock_of_the_disk_counts(target, monkeypatch):
    leave(target, Owner(os.getpid(), "0" * 8), age=600)
    monkeypatch.setattr(claims, "disk_time", lambda folder: time.time() - 590)
    assert is_claimed(target)


def test_a_claim_that_is_held_is_touched(target, monkeypatch):
    touched = threading.Event()
    utime = os.utime
    monkeypatch.setattr(claims, "SILENT_AFTER", 0.06)
    monkeypatch.setattr(os, "utime", lambda path: (utime(path), touched.set()))
    with Claims() as run:
        run.claim(target)
        assert touched.wait(60)


def test_what_another_took_over_is_not_removed(target):
    with Claims() as run:
        run.claim(target)
        leave(target, Owner(os.getpid(), "0" * 8))
    assert is_claimed(target)


def test_sweeping_leaves_the_claims_of_others(target, ended):
    leave(target, ended)
    leave(claim_path(target.parent, "b"), Owner(os.getpid(), "0" * 8))
    leave(claim_path(target.parent, "c"), this_process())
    sweep(target.parent)
    assert [is_claimed(claim_path(target.parent, stem)) for stem in "abc"] == [False, True, True]
    assert len(hidden(target)) == 2


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with Claims() as run, pytest.raises(UnetsegError, match="cannot be written"):
        run.claim(claim_path(tmp_path / "file", "a"))


def test_that_of_an_earlier_run_with_the_same_process_number_is_taken_over(target):
    leave(target, this_process(), content=json.dumps(asdict(this_process()) | {"run": "before the restart"}))
    assert not is_claimed(target)
    with Claims() as run:
        assert run.claim(target)
        assert is_claimed(target)


def test_what_another_took_over_before_it_is_removed_stays_theirs(target, ended, monkeypatch):
    leave(target, ended)
    theirs, is_stale = Claims(), claims._is_stale

    def overtaken(path):
        stale = is_stale(path)
        monkeypatch.setattr(claims, "_is_stale", is_stale)
        assert theirs.claim(path)
        return stale

    with theirs, Claims() as run:
        monkeypatch.setattr(claims, "_is_stale", overtaken)
        assert not run.claim(target)
        assert is_claimed(target)


def test_a_full_disk_leaves_no_claim_that_nobody_holds(target):
    resource = pytest.importorskip("resource")
    target.parent.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # files can be made, and nothing written to them
    try:
        with Claims() as run, pytest.raises(UnetsegError, match="cannot be written"):
            run.claim(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(target.parent.iterdir()) == []
