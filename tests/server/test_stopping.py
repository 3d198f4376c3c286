"""A client that leaves ends its work; a stop finishes what runs, and nothing else holds it up."""

import http.client
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests

LIMIT_S = 120  # only ends what hangs


def wait_for(what):
    """Ask until it is so."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        found = what()
        if found:
            return found
    raise AssertionError("it never came")


def running(server) -> float:
    """Images that the server works on."""
    text = requests.get(f"{server.url}/metrics", timeout=LIMIT_S).text
    return float(re.search(r"^unetseg_queue_running (\S+)$", text, re.MULTILINE).group(1))


def image(side: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).integers(0, 255, (side, side), np.uint8))
    return file.getvalue()


OCTETS = {"Content-Type": "application/octet-stream"}


def test_a_client_that_leaves_stops_its_work(start_server):
    server = start_server(UNET_LOGGING_LOG_REQUESTS="true")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    # Eight times this image takes far longer than all that follows.
    connection.request("POST", "/api/unet/segment?augment=true", image(7000), OCTETS | {"X-Request-ID": "left"})
    wait_for(lambda: running(server))
    connection.close()
    wait_for(lambda: "request_id=left" in server.log.read_text() and not running(server))
    lines = [line for line in server.log.read_text().splitlines() if "request_id=left" in line]
    assert not any("message=segmented" in line for line in lines)
    assert any("status=499" in line for line in lines)
    assert requests.get(f"{server.url}/readyz", timeout=LIMIT_S).status_code == 200


def test_a_stop_finishes_the_request_that_runs(start_server):
    server = start_server()
    requests.post(f"{server.url}/api/unet/initialize", timeout=LIMIT_S).raise_for_status()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            requests.post,
            f"{server.url}/api/unet/segment",
            params={"augment": "true"},
            data=image(1000),
            headers=OCTETS,
            timeout=LIMIT_S,
        )
        wait_for(lambda: running(server))
        server.process.terminate()
        assert answer.result().status_code == 200
        assert answer.result().json()["success"] is True
    server.process.wait(LIMIT_S)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/livez", timeout=LIMIT_S)


def test_a_request_beyond_the_time_of_a_stop_is_cut(start_server):
    server = start_server(UNET_SERVER_SHUTDOWN_S="1")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            requests.post,
            f"{server.url}/api/unet/segment",
            params={"augment": "true"},
            data=image(7000),
            headers=OCTETS,
            timeout=LIMIT_S,
        )
        wait_for(lambda: running(server))
        server.process.terminate()
        assert (answer.result().status_code, answer.result().json()["error"]["code"]) == (503, "stopping")
    server.process.wait(LIMIT_S)
    assert "Traceback" not in server.log.read_text()
