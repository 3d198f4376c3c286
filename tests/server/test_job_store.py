"""Jobs on disk: whole or not there, each seen by its own key alone, kept as long and as many as may be."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from napari_unetseg.api.models import ErrorDetail, SegmentChoices
from napari_unetseg.io.claims import claim_path
from napari_unetseg.io.file_owner import Owner, temporary_beside, this_process
from napari_unetseg.server import job_store
from napari_unetseg.server.job_record import JobProgress, JobsUnavailable, NoRoomForJobs
from napari_unetseg.server.job_store import JobStore

HOUR = 3600
RESULTS = {"json": b"{}", "tiff": b"II*", "geojson": b"[]"}


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "jobs"


@pytest.fixture
def open_store(folder, clock):
    """Open the folder's store as another start of the server would."""

    def open_it(**changes):
        return JobStore(folder, **({"keep_hours": 24, "max_gb": 1, "clock": clock} | changes))

    return open_it


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Owner(process.pid, this_process().host)


def add(store, image=b"pixels", owner="anna", **choices):
    return store.add(image, SegmentChoices(**choices), owner=owner, request_id="r1", media_type="image/png")


def finish(store, job):
    with store.claimed(job.job_id) as ours:
        store.start(ours)
        store.complete(ours, RESULTS)


def started(store, job):
    """Start a job as a process would that is killed then."""
    with store.claimed(job.job_id) as ours:
        store.start(ours)


def state(store, job):
    return store.find(job.job_id, job.owner).state


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_job_is_there_after_a_restart_with_all_that_was_asked(store, open_store):
    job = add(store, b"the image", diameter=17.0, return_labels=True)
    found = open_store().find(job.job_id, "anna")
    assert found == job
    assert (found.state, found.choices.diameter, found.choices.return_labels) == ("waiting", 17.0, True)
    assert (found.media_type, found.request_id) == ("image/png", "r1")
    assert open_store().image(found) == b"the image"


def test_results_are_there_after_a_restart_and_the_image_is_not(store, open_store, folder):
    job = add(store)
    finish(store, job)
    again = open_store()
    assert state(again, job) == "done"
    for kind, content in RESULTS.items():
        with again.open_result(job, kind) as file:
            assert file.read() == content
    assert names(folder / job.job_id) == ["job.json", "result.geojson", "result.json", "result.tiff"]


def test_ids_are_drawn_and_no_two_are_equal(store):
    ids = {add(store).job_id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids)


@pytest.mark.parametrize("job_id", ["", "..", "../jobs", "a" * 32 + "/..", "A" * 32, "a" * 31, "a" * 32 + "\n", "\0"])
def test_what_is_no_id_never_becomes_a_path(store, job_id, monkeypatch):
    add(store)
    monkeypatch.setattr(Path, "stat", lambda self: pytest.fail("a path was looked at"))
    assert store.find(job_id, "anna") is None


def test_a_key_sees_its_own_jobs_alone(store):
    annas, nobodys = add(store), add(store, owner=None)
    assert store.find(annas.job_id, "ben") is None
    assert store.find(annas.job_id, None) is None
    assert store.find(nobodys.job_id, "anna") is None
    assert store.jobs("anna") == [annas]
    assert store.jobs(None) == [nobodys]
    assert store.jobs("ben") == []


def test_jobs_come_in_the_order_of_their_arrival(store, open_store, clock):
    jobs = []
    for _ in range(8):
        jobs.append(add(store, owner="anna" if len(jobs) % 2 else "ben"))
        clock.now += 1
    assert open_store().waiting() == jobs
    finish(store, jobs[0])
    assert store.waiting() == jobs[1:]


def test_no_job_is_no_folder_and_no_error(store, folder):
    assert store.jobs("anna") == store.waiting() == []
    store.tidy()
    assert not folder.exists()


def test_a_job_that_has_ended_is_removed_after_its_time(store, open_store, clock, folder):
    done, failed, waiting = add(store), add(store), add(store)
    finish(store, done)
    with store.claimed(failed.job_id) as ours:
        store.abandon(ours, "failed", ErrorDetail(code="image_unreadable", message="no"))
    assert store.expires(store.find(done.job_id, "anna")) == clock.now + 24 * HOUR
    assert store.expires(waiting) is None
    clock.now += 24 * HOUR - 1
    open_store().tidy()
    assert {state(store, job) for job in (done, failed, waiting)} == {"done", "failed", "waiting"}
    clock.now += 1
    assert store.find(done.job_id, "anna") is None
    assert store.jobs("anna") == [waiting]
    open_store().tidy()
    assert names(folder) == [waiting.job_id]


def test_room_counts_images_and_results_of_all_keys(open_store):
    store = open_store(max_gb=1e-4)
    first = add(store, b"x" * 50_000)
    with pytest.raises(NoRoomForJobs, match="no room for this job"):
        add(store, b"x" * 50_000, owner="ben")
    with store.claimed(first.job_id) as ours, pytest.raises(NoRoomForJobs):
        store.complete(ours, {"json": b"x" * 150_000})
    with store.claimed(first.job_id) as ours:
        store.abandon(ours, "cancelled")  # which lets the image go
    add(store, b"x" * 50_000)


def test_the_smallest_jobs_are_no_way_around_the_limit(store, monkeypatch):
    monkeypatch.setattr(job_store, "_MOST_JOBS", 3)
    for _ in range(3):
        add(store, b"")
    with pytest.raises(NoRoomForJobs):
        add(store, b"")


def test_many_threads_do_not_together_take_more_than_there_is(open_store):
    store = open_store(max_gb=4e-4)
    barrier, refused = threading.Barrier(8), []

    def send():
        barrier.wait()
        try:
            add(store, b"x" * 100_000)
        except NoRoomForJobs:
            refused.append(1)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.jobs("anna")) == 3
    assert len(refused) == 5


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [(errno.ENOSPC, NoRoomForJobs, "disk of the server is full"), (errno.EROFS, JobsUnavailable, "can keep no jobs")],
)
def test_a_disk_that_refuses_gives_a_sentence_and_leaves_nothing(store, folder, monkeypatch, number, kind, words):
    add(store)
    before = names(folder)
    for written in ("write_bytes", "write_text"):
        with monkeypatch.context() as patch:

            def refuse(self, *_args, **_kwargs):
                raise OSError(number, os.strerror(number), str(self))

            patch.setattr(Path, written, refuse)
            with pytest.raises(kind, match=words) as caught:
                add(store)
        assert str(folder) not in str(caught.value)
        assert names(folder) == before


def test_a_full_disk_at_the_end_leaves_a_job_that_says_so(store, monkeypatch):
    job = add(store)
    with store.claimed(job.job_id) as ours:
        store.start(ours)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            with pytest.raises(NoRoomForJobs):
                store.complete(ours, RESULTS)
        store.abandon(ours, "failed", ErrorDetail(code="no_room_for_jobs", message="full"))
    found = store.find(job.job_id, "anna")
    assert (found.state, found.error.code) == ("failed", "no_room_for_jobs")


def test_a_full_disk_keeps_no_job_from_being_removed(store, clock, folder, monkeypatch):
    removed, expired = add(store), add(store)
    finish(store, removed)
    finish(store, expired)
    for written in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, written, lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    monkeypatch.setattr(job_store, "disk_time", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    store.remove(store.find(removed.job_id, "anna"))
    assert names(folder) == [expired.job_id]
    clock.now += 24 * HOUR
    with pytest.raises(NoRoomForJobs):
        store.tidy()
    assert names(folder) == []


def test_one_alone_has_a_job(store, open_store):
    job = add(store)
    with (
        store.claimed(job.job_id) as ours,
        store.claimed(job.job_id) as again,
        open_store().claimed(job.job_id) as other,
    ):
        assert ours == job
        assert again is None
        assert other is None
    with open_store().claimed(job.job_id) as other:
        assert other == job


def test_what_is_claimed_is_the_job_as_it_stands_now(store):
    job = add(store)
    finish(store, job)
    with store.claimed(job.job_id) as ours:
        assert ours.state == "done"
    with store.claimed("0" * 32) as ours:
        assert ours is None


def test_a_job_that_ran_when_its_server_was_killed_is_interrupted(store, open_store, folder):
    job = add(store)
    started(store, job)
    (folder / job.job_id / temporary_beside(Path("result.json")).name).write_text("half")
    again = open_store()
    again.tidy()
    found = again.find(job.job_id, "anna")
    assert (found.state, found.error.code) == ("interrupted", "interrupted")
    assert "Send it again" in found.error.message
    assert names(folder / job.job_id) == ["job.json"]


@pytest.mark.parametrize("their_state", ["waiting", "running"])
def test_a_job_that_another_server_works_on_is_left_alone(store, open_store, folder, their_state):
    job = add(store)
    if their_state == "running":
        started(store, job)
    claim_path(folder, job.job_id).write_text(json.dumps(asdict(Owner(os.getpid(), "0" * 8))))
    open_store().tidy()
    assert state(store, job) == their_state
    with open_store().claimed(job.job_id) as ours:
        assert ours is None


def test_that_of_a_server_that_was_killed_is_free_again(store, open_store, folder, ended):
    job = add(store)
    claim_path(folder, job.job_id).write_text(json.dumps(asdict(ended)))
    open_store().tidy()
    assert names(folder) == [job.job_id]
    with store.claimed(job.job_id) as ours:
        assert ours == job


def test_a_job_that_was_to_stop_when_its_server_was_killed_is_cancelled(store, open_store):
    job = add(store)
    started(store, job)
    store.ask_to_stop(job)
    open_store().tidy()
    assert state(store, job) == "cancelled"


def test_any_store_sees_that_a_job_shall_stop(store, open_store):
    job, other = add(store), add(store)
    open_store().ask_to_stop(job)
    assert store.is_asked_to_stop(job)
    assert not store.is_asked_to_stop(other)


def test_a_removed_job_is_not_found(store, open_store, folder):
    job, other = add(store), add(store)
    finish(store, job)
    store.remove(store.find(job.job_id, "anna"))
    assert store.find(job.job_id, "anna") is None
    assert open_store().jobs("anna") == [other]
    assert names(folder) == [other.job_id]
    with pytest.raises(FileNotFoundError):
        store.open_result(job, "json")
    store.ask_to_stop(job)
    assert names(folder) == [other.job_id]


def test_half_written_jobs_of_killed_servers_are_swept_and_no_others(store, open_store, folder, ended):
    kept = add(store)
    mine = temporary_beside(folder / ("1" * 32))
    this = this_process()
    killed = folder / mine.name.replace(f"-{this.pid}-", f"-{ended.pid}-")
    elsewhere = folder / mine.name.replace(this.host, "0" * 8)
    long_ago = folder / mine.name.replace(this.host, "1" * 8)
    for draft in (mine, killed, elsewhere, long_ago):
        draft.mkdir()
        (draft / "image").write_bytes(b"half")
    os.utime(long_ago, (time.time() - 2 * HOUR,) * 2)
    open_store().tidy()
    assert names(folder) == sorted([mine.name, elsewhere.name, kept.job_id])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"job_id": "../.."}', None])
def test_a_damaged_record_is_said_and_moved_aside(store, open_store, clock, folder, caplog, content):
    job, other = add(store), add(store)
    record = folder / job.job_id / "job.json"
    record.write_bytes((folder / other.job_id / "job.json").read_bytes() if content is None else content)
    with caplog.at_level(logging.ERROR):
        assert store.find(job.job_id, "anna") is None
    assert f"job {job.job_id}: its record is damaged" in caplog.text
    assert open_store().jobs("anna") == [other]
    assert names(folder) == sorted([other.job_id, f"damaged-{job.job_id}"])
    open_store().tidy()
    assert len(names(folder)) == 2
    os.utime(folder / f"damaged-{job.job_id}", (time.time() - 25 * HOUR,) * 2)
    open_store().tidy()
    assert names(folder) == [other.job_id]


def test_progress_is_seen_by_all_and_a_broken_one_is_none(store, open_store, folder):
    job = add(store)
    assert store.progress(job) == JobProgress()
    store.write_progress(job, JobProgress(done=3, total=4, part=0.75))
    assert open_store().progress(job) == JobProgress(done=3, total=4, part=0.75)
    (folder / job.job_id / "progress.json").write_text("{")
    assert store.progress(job) == JobProgress()


def test_progress_that_cannot_be_written_ends_no_job(store, folder, caplog):
    job = add(store)
    shutil.rmtree(folder / job.job_id)
    with caplog.at_level(logging.WARNING):
        store.write_progress(job, JobProgress(done=1, total=4, part=0.25))
    assert f"the progress of job {job.job_id} cannot be written" in caplog.text


def test_a_job_that_is_started_again_begins_at_nothing(store):
    job = add(store)
    started(store, job)
    store.write_progress(job, JobProgress(done=3, total=4, part=0.75))
    with store.claimed(job.job_id) as ours:
        store.put_back(ours)
    assert store.waiting() == [job]
    started(store, job)
    assert store.progress(job) == JobProgress()


def test_a_store_sees_what_another_one_writes(store, open_store):
    job, other = add(store), open_store()
    assert state(other, job) == "waiting"
    finish(store, job)
    assert state(other, job) == "done"


KILLED_AT_EACH_STEP = """
import os, pathlib, signal, sys
from napari_unetseg.api.models import SegmentChoices
from napari_unetseg.server.job_store import JobStore

top, results = pathlib.Path(sys.argv[1]), eval(sys.argv[2])

def work(folder, last):
    steps = 0
    def count(event, arguments):
        nonlocal steps
        changes = event in {"os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir"}
        if event == "open" and str(arguments[0]).startswith(str(folder)):
            changes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if changes:
            steps += 1
            if steps > last:
                os.kill(os.getpid(), signal.SIGKILL)

    store = JobStore(folder, keep_hours=24, max_gb=1)
    sys.addaudithook(count)
    job = store.add(b"pixels", SegmentChoices(), owner="anna", request_id="r")
    with store.claimed(job.job_id) as ours:
        store.start(ours)
        store.complete(ours, results)

for step in range(1000):
    (top / str(step)).mkdir()
    child = os.fork()
    if not child:
        work(top / str(step), step)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != -signal.SIGKILL:  # it came to its end, or failed
        sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_kill_at_any_moment_leaves_a_job_that_is_whole_or_none(tmp_path):
    """A process is killed at each of its steps that change the folder, until one comes to its end."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path), repr(RESULTS)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    states = []
    for step in range(len(names(tmp_path))):
        folder = tmp_path / str(step)
        again = JobStore(folder, keep_hours=24, max_gb=1)
        again.tidy()
        assert [name for name in names(folder) if name.startswith(".")] == []
        states.append([job.state for job in again.jobs("anna")])
        for job in again.jobs("anna"):
            if job.state == "waiting":
                assert again.image(job) == b"pixels"
            for kind, content in RESULTS.items() if job.state == "done" else ():
                with again.open_result(job, kind) as file:
                    assert file.read() == content
    # In the order of the steps: nothing, then waiting, running and done, and never anything else or back.
    order = [[], ["waiting"], ["interrupted"], ["done"]]
    assert [state for number, state in enumerate(states) if state != states[number - 1] or not number] == order
