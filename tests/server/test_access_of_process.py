"""The layers of the server in a process of its own, which other machines could reach."""

import json
import subprocess
import sys

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

HEALTH = "/api/unet/models"
LIMIT_S = 120  # only ends what hangs


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Call `napari-unetseg keys` beside the server."""
    monkeypatch.setenv("UNET_SERVER_KEYS_FILE", str(tmp_path / "keys.json"))

    def call(*words):
        line = [sys.executable, "-m", "napari_unetseg", "keys", *words]
        return subprocess.run(line, check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout.strip()

    return call


def test_keys_come_and_go_while_the_server_runs(start_server, keys, tmp_path):
    ada = keys("add", "Ada")
    running = start_server("--host", "0.0.0.0", UNET_SERVER_AUDIT_LOG=str(tmp_path / "audit.jsonl"))
    url = running.url.replace("0.0.0.0", "127.0.0.1")

    def status(path=HEALTH, key=None, **headers):
        named = {} if key is None else {"Authorization": f"Bearer {key}"}
        return requests.get(url + path, headers=named | headers, timeout=LIMIT_S).status_code

    assert [status(), status(key="unetseg_other"), status(key=ada)] == [401, 401, 200]
    bob = keys("add", "Bob")
    assert status(key=bob) == 200
    keys("revoke", "Ada")
    assert [status(key=ada), status(key=bob)] == [401, 200]
    assert [status("/livez"), status("/docs"), status("/openapi.json"), status("/metrics")] == [200, 200, 200, 401]
    assert status("/metrics", key=bob) == 200
    assert status("/static-offline-docs/%2e%2e/api/unet/models") in (401, 404)
    document = requests.get(f"{url}/openapi.json", timeout=LIMIT_S).json()
    assert document["paths"][HEALTH]["get"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in document["paths"]["/readyz"]["get"]
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line.get("key") for line in lines if line["path"] == HEALTH] == [None, None, "Ada", "Bob", None, "Bob"]
    written = (tmp_path / "audit.jsonl").read_text() + running.log.read_text()
    assert not any(key.removeprefix("unetseg_") in written for key in (ada, bob))


def test_images_and_objects_are_counted(server, encode):
    def counted():
        text = requests.get(f"{server.url}/metrics", timeout=LIMIT_S).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        names = ("unetseg_images_total", "unetseg_objects_total")
        found = {sample.name: sample.value for sample in samples if sample.labels == {"model": "bright"}}
        return np.array([found.get(name, 0) for name in names])

    pixels = np.full((64, 64), 20, np.uint8)
    pixels[10:20, 10:20] = pixels[40:50, 30:40] = 220
    before = counted()
    answer = requests.post(
        f"{server.url}/api/unet/segment", encode(pixels), headers={"Content-Type": "image/png"}, timeout=LIMIT_S
    )
    assert answer.status_code == 200
    np.testing.assert_array_equal(counted() - before, [1, 2])
