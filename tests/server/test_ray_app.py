"""The server on Ray Serve. What needs Ray itself runs where it is installed: ``pip install "napari-unetseg[ray]"``."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image as PillowImage
from pydantic import ValidationError

from napari_unetseg.server.ray_app import RayOptions

PROGRAM = """
from napari_unetseg.config import Settings
from napari_unetseg.server.ray_app import RayOptions, run_on_ray

settings = Settings(server={"port": %d}, unet={"model": {"name": %r}})
run_on_ray(settings, RayOptions(replicas=2, cpus=0.5), lambda url: print("Listening on", url, flush=True))
print("ended")
"""


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"gpus": -1}, {"replicas": 3, "max_replicas": 2}, {"replica": 2}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RayOptions(**wrong)


def test_two_replicas_answer_and_end_without_losing_a_request(bright_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    squares = np.zeros((64, 64), np.uint8)
    squares[8:20, 8:20] = squares[40:52, 30:42] = 200
    buffer = io.BytesIO()
    PillowImage.fromarray(squares).save(buffer, format="PNG")
    body = json.dumps({"image_data": base64.b64encode(buffer.getvalue()).decode(), "return_labels": True}).encode()
    homes = {f"XDG_{name}_HOME": str(tmp_path) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment = os.environ | homes | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
    with (tmp_path / "log.txt").open("w") as log:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM % (port, str(bright_model))],
            env=environment | {"RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert program.stdout is not None
    own_thread = ThreadPoolExecutor(1)
    try:
        line = next((line for line in program.stdout if line.startswith("Listening on ")), "")
        assert line, (tmp_path / "log.txt").read_text()
        url = f"{line.split()[-1]}/api/unet"

        def segment(_: int) -> dict[str, Any]:
            request = Request(f"{url}/segment", body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=60) as answer:
                told: dict[str, Any] = json.load(answer)
            return told

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(segment, range(40)))
        assert {answer["object_count"] for answer in answers} == {2}
        labels = np.asarray(PillowImage.open(io.BytesIO(base64.b64decode(answers[0]["labels"]["data"]))))
        np.testing.assert_array_equal(labels > 0, squares > 0)

        def runs(_: int) -> int:
            with urlopen(f"{url}/health", timeout=60) as answer:
                return int(json.load(answer)["details"]["performance"]["runs"])

        with ThreadPoolExecutor(8) as threads:  # each replica tells of its own
            counts = set(threads.map(runs, range(40)))
        assert len(counts) == 2 or counts == {20}
        assert sum(counts) == 40 or counts == {20}

        large = io.BytesIO()
        PillowImage.fromarray(np.kron(squares, np.ones((64, 64), np.uint8))).save(large, format="PNG")
        body = json.dumps({"image_data": base64.b64encode(large.getvalue()).decode()}).encode()
        last = own_thread.submit(segment, 0)
        while "unetseg_queue_running 1.0" not in urlopen(f"{line.split()[-1]}/metrics", timeout=60).read().decode():
            assert not last.done()
    finally:
        program.send_signal(signal.SIGTERM)
        rest, _ = program.communicate(timeout=120)
    assert rest.splitlines()[-1] == "ended"
    assert last.result(timeout=1)["object_count"] == 2
    assert program.returncode == 0
