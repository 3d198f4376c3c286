"""Jobs are worked on in the order of their arrival, one at a time, and every end is written down."""

import io
import json
import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_unetseg.api.images import ImageLimits
from napari_unetseg.api.models import SegmentChoices
from napari_unetseg.server.job_runner import JobRunner
from napari_unetseg.server.metrics import Metrics

LIMITS = ImageLimits(max_values=10**7, max_compression=1000)


@pytest.fixture
def service(bright_service):
    return bright_service


@pytest.fixture
def gate(make_gate):
    return make_gate()


@pytest.fixture
def store(tmp_path, watched_store):
    return watched_store(tmp_path / "jobs")


@pytest.fixture
def reopen(tmp_path, watched_store):
    """Open the folder as another server does, or this one after its next start."""
    return lambda: watched_store(tmp_path / "jobs")


@pytest.fixture
def make(store):
    """Make a runner; at the end it is stopped."""
    made = []

    def runner(service, its_store=store, **changes):
        made.append(JobRunner(its_store, service, LIMITS, Metrics(), **({"patience_s": 60} | changes)))
        return made[-1]

    yield runner
    for one in made:
        one._patience_s = 0
        one.stop()


def tiff(pixels, **metadata):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **metadata)
    return file.getvalue()


def squares(count, shape=(64, 64)):
    pixels = np.zeros(shape, np.uint8)
    for number in range(count):
        y, x = divmod(number, 4)
        pixels[..., 4 + 15 * y : 12 + 15 * y, 4 + 15 * x : 12 + 15 * x] = 200
    return pixels


def send(runner, pixels, owner="anna", identity="r1", **choices):
    return runner.add(
        tiff(pixels), SegmentChoices(**choices), owner=owner, request_id=identity, media_type="image/tiff"
    )


def content(store, job, kind):
    with store.open_result(job, kind) as file:
        return file.read()


def test_a_job_gives_what_a_request_gives(make, store, service):
    runner = make(service)
    runner.start()
    job = send(runner, squares(5), return_labels=True, return_contours=True)
    assert job.state == "waiting"
    done = store.wait_for(job, "done")
    answer = json.loads(content(store, done, "json"))
    assert (answer["success"], answer["object_count"], answer["request_id"]) == (True, 5, "r1")
    assert len(answer["contours"]) == answer["labels"]["count"] == 5
    labels = tifffile.imread(io.BytesIO(content(store, done, "tiff")))
    np.testing.assert_array_equal(labels, service.segment(squares(5)).labels)
    assert len(json.loads(content(store, done, "geojson"))["features"]) == 5
    assert store.progress(done).part == 1


def test_a_result_names_the_variant_of_its_model(make, store, gate):
    gate.model_info = lambda model: SimpleNamespace(model_variant="deep")
    gate.release.set()
    runner = make(gate)
    runner.start()
    done = store.wait_for(send(runner, squares(1)), "done")
    assert json.loads(content(store, done, "json"))["model_info"]["model_variant"] == "deep"


def test_a_stack_gives_the_labels_of_every_plane(make, store, service):
    runner = make(service)
    runner.start()
    job = runner.add(
        tiff(squares(3, (2, 64, 64)), metadata={"axes": "ZYX"}, ome=True),
        SegmentChoices(),
        owner=None,
        request_id="r1",
    )
    done = store.wait_for(job, "done", "failed")
    labels = tifffile.imread(io.BytesIO(content(store, done, "tiff")))
    assert labels.shape == (2, 64, 64)
    assert labels.max() == 6
    with pytest.raises(FileNotFoundError):
        store.open_result(done, "json")


def test_choices_and_the_id_of_the_request_reach_the_service(make, store, gate):
    runner = make(gate)
    gate.release.set()
    runner.start()
    store.wait_for(send(runner, squares(2), identity="mine-1", diameter=9.0, threshold=0.75), "done")
    ((identity, shape, options),) = gate.seen
    assert (identity, shape) == ("mine-1", (64, 64))
    assert (options["diameter"], options["threshold"], options["model"]) == (9.0, 0.75, None)


def test_jobs_are_worked_on_one_after_the_other_as_they_came(make, store, gate):
    runner = make(gate)
    jobs = [send(runner, squares(1), identity=f"r{number}") for number in range(5)]
    runner.start()
    gate.entered.acquire(timeout=20)
    assert [store.find(job.job_id, "anna").state for job in jobs] == ["running", *4 * ["waiting"]]
    gate.release.set()
    store.wait_for(jobs[-1], "done")
    assert [identity for identity, *_ in gate.seen] == [f"r{number}" for number in range(5)]


def test_many_jobs_of_many_threads_are_each_done_once(make, store, reopen, make_gate):
    stores = [store, reopen()]
    stores[1].changed = stores[0].changed
    gates = [make_gate() for _ in stores]
    for gate in gates:
        gate.release.set()
    runners = [make(gate, store, workers=2) for gate, store in zip(gates, stores, strict=True)]
    for runner in runners:
        runner.start()
    jobs, barrier = [], threading.Barrier(8)

    def send_some(thread):
        barrier.wait()
        jobs.extend(
            send(runners[thread % 2], squares(thread + 1), identity=f"{thread}-{number}") for number in range(3)
        )

    threads = [threading.Thread(target=send_some, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        found = stores[0].wait_for(job, "done")
        thread = int(job.request_id.split("-")[0])
        assert json.loads(content(stores[0], found, "json"))["object_count"] == thread + 1
    seen = [identity for gate in gates for identity, *_ in gate.seen]
    assert sorted(seen) == sorted(job.request_id for job in jobs)


def test_one_that_fails_says_why_and_the_next_one_goes_on(make, store, gate, caplog):
    runner = make(gate)
    gate.release.set()
    runner.start()
    send_all = [send(runner, squares(1), model="no such model"), send(runner, squares(1))]
    failed, done = (store.wait_for(job, "failed", "done") for job in send_all)
    assert (failed.state, failed.error.code) == ("failed", "model_unusable")
    assert done.state == "done"


def test_what_nobody_foresaw_is_logged_and_not_told(make, store, gate, monkeypatch, caplog):
    monkeypatch.setattr(gate, "segment", lambda *_, **__: {}["secret"])
    runner = make(gate)
    runner.start()
    with caplog.at_level(logging.ERROR):
        failed = store.wait_for(send(runner, squares(1)), "failed")
    assert failed.error.code == "internal_error"
    assert "secret" not in failed.error.message
    assert "KeyError" in caplog.text


def test_progress_never_shrinks_and_is_not_written_for_every_tile(make, store, service, monkeypatch):
    written, write = [], store.write_progress
    monkeypatch.setattr(store, "write_progress", lambda job, step: (written.append(step), write(job, step)))

    class Counting:
        model_info = service.model_info

        def segment(self, image, *, progress, cancel, **options):
            for done in range(1, 5001):
                progress(done, 5000)
            for done in range(5001, 10_001):  # another look at the image
                progress(done, 10_000)
            return service.segment(image, **options)

    runner = make(Counting())
    runner.start()
    store.wait_for(send(runner, squares(1)), "done")
    parts = [step.part for step in written]
    assert parts == sorted(parts)
    assert len(written) <= 402
    assert (written[-1].done, written[-1].total, written[-1].part) == (10_000, 10_000, 1)


def test_one_that_waits_is_cancelled_at_once_and_one_that_has_ended_is_removed(make, store, gate):
    runner = make(gate)
    runner.start()
    running, waiting = send(runner, squares(1)), send(runner, squares(2))
    gate.entered.acquire(timeout=20)
    assert runner.cancel_or_remove(waiting).state == "cancelled"
    gate.release.set()
    done = store.wait_for(running, "done")
    assert len(gate.seen) == 1
    for job in (done, store.find(waiting.job_id, "anna")):
        assert runner.cancel_or_remove(job).state == job.state
    assert store.jobs("anna") == []


@pytest.mark.parametrize("by_another_server", [False, True])
def test_one_that_runs_stops_within_a_tile(make, store, gate, reopen, by_another_server):
    runner = make(gate)
    runner.start()
    job = send(runner, squares(1))
    gate.entered.acquire(timeout=20)
    running = store.find(job.job_id, "anna")
    other = make(gate, reopen()) if by_another_server else runner
    assert other.cancel_or_remove(running).state == "running"
    cancelled = store.wait_for(job, "cancelled")
    assert cancelled.finished is not None
    store.wait_for(send(runner, squares(1)), "running")  # the thread is free again


def test_one_that_was_to_stop_as_it_came_to_its_end_has_no_result(make, store, service, monkeypatch):
    class Late:
        model_info = service.model_info

        def segment(self, image, *, progress, cancel, **options):
            result = service.segment(image, **options)
            (job,) = store.jobs("anna")
            store.ask_to_stop(job)
            return result

    runner = make(Late())
    runner.start()
    job = store.wait_for(send(runner, squares(1)), "cancelled", "done")
    assert job.state == "cancelled"


def test_a_stop_lets_what_runs_end_and_the_rest_wait_for_the_next_start(make, store, gate, reopen, service):
    runner = make(gate)
    runner.start()
    running, waiting = send(runner, squares(1)), send(runner, squares(2))
    gate.entered.acquire(timeout=20)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    gate.release.set()
    stopping.join()
    assert store.find(running.job_id, "anna").state == "done"
    assert store.find(waiting.job_id, "anna").state == "waiting"
    again = reopen()
    make(service, again).start()
    done = again.wait_for(waiting, "done")
    assert json.loads(content(again, done, "json"))["object_count"] == 2


def test_what_is_not_done_in_time_at_a_stop_waits_again_and_is_done_after_the_next_start(
    make, store, gate, reopen, service
):
    runner = make(gate, patience_s=0)
    runner.start()
    job = send(runner, squares(3))
    gate.entered.acquire(timeout=20)
    runner.stop()
    assert store.find(job.job_id, "anna").state == "waiting"
    again = reopen()
    make(service, again).start()
    again.wait_for(job, "done")


def test_a_runner_that_never_started_stops(make, gate):
    make(gate).stop()


def test_a_disk_that_refuses_at_the_start_is_said_and_tried_again(make, store, service, monkeypatch, caplog):
    runner = make(service)
    job = send(runner, squares(1))
    refused = threading.Event()

    def refuse(_folder):
        refused.set()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_unetseg.server.job_store.disk_time", refuse)
        runner.start()
        assert refused.wait(20)
    send(runner, squares(1))
    store.wait_for(job, "done")
    assert "No space left on device" in caplog.text
