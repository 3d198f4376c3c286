"""Jobs over HTTP: sent, asked after, fetched, cancelled and removed, and what a killed server leaves of them."""

import io
import os
import signal
import time

import numpy as np
import pytest
import requests
import tifffile
from starlette.testclient import TestClient

from napari_unetseg.config import Settings
from napari_unetseg.server.app import create_app
from napari_unetseg.server.keys import add_key

JOBS = "/api/unet/jobs"


@pytest.fixture
def gate(make_gate):
    return make_gate()


@pytest.fixture
def open_app(tmp_path, gate, watched_store, monkeypatch):
    """Start the app on one folder of jobs, by settings of section `server`; call it by the address of this machine."""
    monkeypatch.setattr("napari_unetseg.server.job_routes.JobStore", watched_store)
    opened = []

    def start(service=gate, **server):
        server = {"jobs_dir": tmp_path / "jobs", "shutdown_s": 0.01, "measure_batch": False} | server
        app = create_app(Settings(server=server), service)
        client = TestClient(app, base_url="http://127.0.0.1:8001")
        opened.append(client.__enter__())
        client.store = app.state.context.jobs.store
        return client

    yield start
    gate.release.set()
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(open_app):
    return open_app()


def wait_for(client, job, *states):
    store = client.store
    store.wait_for(store._read(job["job_id"]), *states)


def send(client, image, **words):
    headers = {"Content-Type": "application/octet-stream"} | words.pop("headers", {})
    answer = client.post(JOBS, content=image, headers=headers, params=words)
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.fixture
def image(encode, squares):
    return encode(squares, "PNG")


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("kind", ["json", "form", "octets", "image"])
def test_a_job_is_sent_like_a_request_and_says_where_it_is(client, gate, as_text, squares, image, kind):
    gate.release.set()
    body = {
        "json": {"json": {"image_data": as_text(squares), "return_labels": True}},
        "form": {"files": {"image": ("a.png", image, "image/png")}, "data": {"return_labels": "true"}},
        "octets": {
            "content": image,
            "params": {"return_labels": "true"},
            "headers": {"Content-Type": "application/octet-stream"},
        },
        "image": {"content": image, "params": {"return_labels": "true"}, "headers": {"Content-Type": "image/png"}},
    }[kind]
    answer = client.post(JOBS, **body)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{JOBS}/{job['job_id']}"
    assert (job["state"], job["progress"], job["expires"], job["result_url"]) == ("waiting", 0, None, None)
    wait_for(client, job, "done")
    done = client.get(answer.headers["Location"]).json()
    assert (done["state"], done["progress"], done["error"]) == ("done", 1, None)
    result = client.get(done["result_url"])
    assert result.headers["Content-Type"] == "application/json"
    assert (result.json()["object_count"], result.json()["labels"]["count"]) == (3, 3)
    assert result.json()["request_id"] == job["request_id"]


def test_the_result_is_that_of_a_request_in_each_form(client, gate, image):
    gate.release.set()
    job = send(client, image, return_contours="true")
    wait_for(client, job, "done")
    for accept in ("application/json", "image/tiff", "application/geo+json"):
        words = {"headers": {"Accept": accept, "Content-Type": "image/png"}, "params": {"return_contours": "true"}}
        direct = client.post("/api/unet/segment", content=image, **words)
        kept = client.get(f"{JOBS}/{job['job_id']}/result", headers={"Accept": accept})
        assert kept.status_code == direct.status_code == 200
        assert kept.headers["Content-Type"] == direct.headers["Content-Type"] == accept
        if accept == "image/tiff":
            ours, theirs = (tifffile.imread(io.BytesIO(answer.content)) for answer in (kept, direct))
            np.testing.assert_array_equal(ours, theirs)
        else:
            varying = {"request_id", "processing_time_ms"}
            ours, theirs = (
                {key: value for key, value in answer.json().items() if key not in varying} for answer in (kept, direct)
            )
            assert ours == theirs
    refused = client.get(f"{JOBS}/{job['job_id']}/result", headers={"Accept": "text/html"})
    assert code(refused) == (406, "not_acceptable")


def test_a_stack_comes_back_as_labels_of_every_plane(client, gate, squares):
    gate.release.set()
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([squares, squares[:, ::-1]]), ome=True, metadata={"axes": "ZYX"})
    job = send(client, file.getvalue())
    wait_for(client, job, "done")
    result = client.get(f"{JOBS}/{job['job_id']}/result", headers={"Accept": "image/tiff"})
    labels = tifffile.imread(io.BytesIO(result.content))
    np.testing.assert_array_equal(labels > 0, np.stack([squares, squares[:, ::-1]]) > 100)
    refused = client.get(f"{JOBS}/{job['job_id']}/result")
    assert code(refused) == (406, "not_acceptable")
    assert "image/tiff" in refused.json()["error"]["message"]


def test_a_job_remembers_its_scene(client, gate, squares, write_czi, tmp_path):
    path = write_czi(tmp_path / "cells.czi", squares, squares[:20])
    assert client.post(JOBS, files={"image": path.read_bytes()}).status_code == 422
    job = send(client, path.read_bytes(), scene="Scene 1")
    gate.release.set()
    wait_for(client, job, "done")
    assert client.get(f"{JOBS}/{job['job_id']}/result").json()["object_count"] == 2


def test_progress_counts_tiles_and_there_is_no_result_before_the_end(client, gate, image):
    job = send(client, image)
    gate.entered.acquire(timeout=20)
    running = client.get(f"{JOBS}/{job['job_id']}").json()
    assert running["state"] == "running"
    assert (running["progress"], running["tiles_done"], running["tiles_total"]) == (0.25, 1, 4)
    assert code(client.get(f"{JOBS}/{job['job_id']}/result")) == (409, "job_not_finished")
    other = send(client, image)
    assert code(client.get(f"{JOBS}/{other['job_id']}/result")) == (409, "job_not_finished")
    listed = client.get(JOBS).json()["jobs"]
    assert [(one["job_id"], one["state"]) for one in listed] == [
        (job["job_id"], "running"),
        (other["job_id"], "waiting"),
    ]


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        ({"content": b"no image"}, 422, "image_unreadable"),
        ({"params": {"threshold": "7"}}, 422, "invalid_request"),
        ({"params": {"diameter": "-3"}}, 422, "invalid_parameter"),
        ({"params": {"model": "../../etc/passwd"}}, 404, "model_unknown"),
        ({"headers": {"Content-Type": "text/plain"}}, 415, "media_type_unsupported"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_is_kept(client, image, words, status, kind):
    words = {"content": image, "headers": {"Content-Type": "application/octet-stream"}} | words
    assert code(client.post(JOBS, **words)) == (status, kind)
    assert client.get(JOBS).json()["jobs"] == []


def test_a_client_that_left_before_the_image_was_checked_leaves_no_job(client, image, monkeypatch):
    runner = client.app.state.context.jobs
    workers = client.app.state.context.workers
    decode = runner.decode

    def and_leave(*words):
        for flag in list(workers._flags):
            flag.set()
        return decode(*words)

    monkeypatch.setattr(runner, "decode", and_leave)
    client.post(JOBS, content=image, headers={"Content-Type": "image/png"})
    assert client.get(JOBS).json()["jobs"] == []


def test_delete_cancels_what_waits_and_what_runs_and_removes_what_has_ended(client, gate, image):
    running, waiting = send(client, image), send(client, image)
    gate.entered.acquire(timeout=20)
    answer = client.delete(f"{JOBS}/{waiting['job_id']}")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert code(client.get(f"{JOBS}/{waiting['job_id']}/result")) == (409, "job_without_result")
    answer = client.delete(f"{JOBS}/{running['job_id']}")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    wait_for(client, running, "cancelled")
    gate.release.set()
    done = send(client, image)
    wait_for(client, done, "done")
    for job, state in ((waiting, "cancelled"), (running, "cancelled"), (done, "done")):
        answer = client.delete(f"{JOBS}/{job['job_id']}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        for gone in (client.get, client.delete):
            assert code(gone(f"{JOBS}/{job['job_id']}")) == (404, "job_unknown")
        assert code(client.get(f"{JOBS}/{job['job_id']}/result")) == (404, "job_unknown")
    assert client.get(JOBS).json()["jobs"] == []


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "job.json", "%00"])
def test_what_is_no_job_is_not_found(client, job_id):
    for answer in (
        client.get(f"{JOBS}/{job_id}"),
        client.get(f"{JOBS}/{job_id}/result"),
        client.delete(f"{JOBS}/{job_id}"),
    ):
        assert answer.status_code in (404, 405)
        assert answer.json()["error"]["code"] in ("job_unknown", "not_found", "method_not_allowed")


def test_a_job_is_its_keys_alone(open_app, tmp_path, gate, image):
    keys = {name: {"X-API-Key": add_key(tmp_path / "keys.json", name)} for name in ("anna", "ben")}
    client = open_app(host="0.0.0.0", keys_file=tmp_path / "keys.json")
    job = send(client, image, headers=keys["anna"])
    gate.release.set()
    wait_for(client, job, "done")
    url = f"{JOBS}/{job['job_id']}"
    for gone in (client.get(url, headers=keys["ben"]), client.get(f"{url}/result", headers=keys["ben"])):
        assert code(gone) == (404, "job_unknown")
    assert code(client.delete(url, headers=keys["ben"])) == (404, "job_unknown")
    assert client.get(JOBS, headers=keys["ben"]).json()["jobs"] == []
    assert [one["job_id"] for one in client.get(JOBS, headers=keys["anna"]).json()["jobs"]] == [job["job_id"]]
    assert client.get(f"{url}/result", headers=keys["anna"]).status_code == 200


def test_no_room_is_a_sentence_and_a_time_to_come_again(open_app, image, tmp_path):
    client = open_app(jobs_max_gb=1e-6)
    answer = client.post(JOBS, content=image, headers={"Content-Type": "image/png"})
    assert code(answer) == (503, "no_room_for_jobs")
    assert int(answer.headers["Retry-After"]) > 0
    assert "no room for this job" in answer.json()["error"]["message"]
    assert str(tmp_path) not in answer.text


def test_a_folder_that_cannot_be_is_a_sentence(open_app, image, tmp_path):
    (tmp_path / "file").write_text("no folder")
    client = open_app(jobs_dir=tmp_path / "file" / "jobs")
    answer = client.post(JOBS, content=image, headers={"Content-Type": "image/png"})
    for refused in (answer, client.get(JOBS)):
        assert code(refused) == (503, "jobs_unavailable")
        assert str(tmp_path) not in refused.text
    assert code(client.get(f"{JOBS}/{'0' * 32}")) == (404, "job_unknown")


def test_what_a_stop_interrupts_is_done_after_the_next_start(open_app, gate, make_gate, image):
    first = open_app()
    job = send(first, image)
    gate.entered.acquire(timeout=20)
    first.__exit__(None, None, None)
    assert first.store._read(job["job_id"]).state == "waiting"
    again = make_gate()
    again.release.set()
    second = open_app(again)
    wait_for(second, job, "done")
    assert second.get(f"{JOBS}/{job['job_id']}/result").json()["object_count"] == 3


def until(url, *states, tiles=0):
    """Ask after a job until it has one of these states and so many tiles; return how it stands."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        job = requests.get(url, timeout=60).json()
        if job["state"] in states and job["tiles_done"] >= tiles:
            return job
    raise AssertionError(job)


def test_a_killed_server_loses_no_result_and_says_what_became_of_the_rest(start_server, tmp_path, image):
    folder = {"UNET_SERVER_JOBS_DIR": str(tmp_path / "jobs")}
    server = start_server(**folder)
    octets = {"Content-Type": "application/octet-stream"}

    def post(body, **choices):
        return requests.post(server.url + JOBS, data=body, headers=octets, params=choices, timeout=60).json()

    done = post(image)
    until(f"{server.url}{JOBS}/{done['job_id']}", "done")
    large = io.BytesIO()
    np.save(large, np.random.default_rng(0).integers(0, 255, (3000, 3000), np.uint8))
    running, waiting = post(large.getvalue(), augment="true"), post(image)
    until(f"{server.url}{JOBS}/{running['job_id']}", "running", tiles=1)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    again = start_server(**folder)
    states = {job["job_id"]: job for job in requests.get(again.url + JOBS, timeout=60).json()["jobs"]}
    assert set(states) == {done["job_id"], running["job_id"], waiting["job_id"]}
    assert states[done["job_id"]]["state"] == "done"
    interrupted = states[running["job_id"]]
    assert (interrupted["state"], interrupted["error"]["code"]) == ("interrupted", "interrupted")
    until(f"{again.url}{JOBS}/{waiting['job_id']}", "done")
    for job in (done, waiting):
        result = requests.get(f"{again.url}{JOBS}/{job['job_id']}/result", timeout=60)
        assert result.json()["object_count"] == 3
    answer = requests.get(f"{again.url}{JOBS}/{running['job_id']}/result", timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_without_result")
    assert "Send it again" in answer.json()["error"]["message"]
