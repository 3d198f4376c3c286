"""Two thousand bad and odd files against a server process: none gets an answer that is no error or no image's."""

import importlib.util
import sys
from collections import Counter

import psutil
import pytest
import requests

COUNT = 2000
MEBIBYTES = 400
"""Most that the server may grow by: images have up to a million values, and what it keeps for the next is among it."""


@pytest.fixture(scope="module")
def corpus(repository):
    """The files that decoding alone is tested with."""
    spec = importlib.util.spec_from_file_location("fuzz_corpus", repository / "tests/api/fuzz_corpus.py")
    module = sys.modules["fuzz_corpus"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_odd_file_is_answered_and_the_server_stays_well(start_server, corpus):
    server = start_server(UNET_SERVER_MAX_MEGAPIXELS="1", UNET_SERVER_TIMEOUT_S="30")
    session = requests.Session()
    session.post(f"{server.url}/api/unet/initialize", timeout=60).raise_for_status()
    process, most, outcomes = psutil.Process(server.process.pid), 0, Counter()
    before = process.memory_info().rss
    for number, file in enumerate(corpus.odd_files(COUNT)):
        if number % 2:
            words = {"json": {"image_data": corpus.as_base64(file.data)}}
        else:
            words = {"data": file.data, "headers": {"Content-Type": file.media_type}}
        answer = session.post(f"{server.url}/api/unet/segment", timeout=60, **words)
        assert answer.status_code in (200, 422), (file.name, answer.text)
        code = "image" if answer.status_code == 200 else answer.json()["error"]["code"]
        assert code in ("image", "image_unreadable"), (file.name, answer.text)
        outcomes[code] += 1
        most = max(most, process.memory_info().rss)
    assert outcomes.total() == COUNT
    assert outcomes["image_unreadable"] > COUNT / 2
    assert (most - before) / 2**20 < MEBIBYTES
    assert session.get(f"{server.url}/readyz", timeout=60).status_code == 200
    assert session.get(f"{server.url}/api/unet/health", timeout=60).json()["service_healthy"] is True
    assert "Traceback" not in server.log.read_text()


def test_text_that_is_no_base64_is_refused(server, corpus):
    for text in corpus.odd_base64():
        answer = requests.post(f"{server.url}/api/unet/segment", json={"image_data": text}, timeout=60)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "image_data"), text
