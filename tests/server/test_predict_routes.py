"""POST /predict against a server process, as programs speak it that know no client of ours."""

import asyncio
import io
import json

import httpx2
import numpy as np
import pytest

from napari_unetseg.api.prediction_stream import MEDIA_TYPE, NPY, PredictionReader
from napari_unetseg.image import Image
from napari_unetseg.server.bodies import OCTETS
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.predict_routes import _News, _stream


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.fixture
def image():
    pixels = np.zeros((40, 50), np.uint8)
    pixels[10:20, 10:30] = 200
    return pixels


@pytest.fixture
def post(server):
    def post(body, **query):
        headers = {"Content-Type": NPY}
        return httpx2.post(f"{server.url}/api/unet/predict", content=body, params=query, headers=headers, timeout=60)

    return post


def read(answer, image, heads=2):
    told = []
    reader = PredictionReader(Image(image), heads, lambda *counts: told.append(counts), lambda _: None)
    reader.feed(answer.content)
    return reader.served, told


@pytest.mark.parametrize("compress", ["true", "false"])
def test_the_answer_is_a_stream(post, image, compress):
    answer = post(npy(image), compress=compress)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    served, told = read(answer, image)
    assert told[-1] == (1, 1)
    assert served.model == "bright"
    np.testing.assert_array_equal(served.prediction.probability[0] > 0.5, image > 100)


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"", {}, 422, "image_unreadable"),
        (b"\x89PNG", {}, 422, "image_unreadable"),
        (npy(np.zeros((3, 3, 3, 3))), {}, 422, "image_unreadable"),
        (npy(np.zeros((0, 3))), {}, 422, "image_unreadable"),
        (npy(np.array([[{}]], dtype=object)), {}, 422, "image_unreadable"),
        (npy(np.zeros((9, 9)))[:-1], {}, 422, "image_unreadable"),
        (npy(np.zeros((9, 9))), {"axes": "ZYX"}, 422, "invalid_request"),
        (npy(np.zeros((9, 9))), {"colour": "1"}, 422, "invalid_request"),
        (npy(np.zeros((9, 9))), {"diameter": "-1"}, 422, "invalid_parameter"),
        (npy(np.zeros((9, 9))), {"diameter": "nan"}, 422, "invalid_parameter"),
        (npy(np.zeros((9, 9))), {"model": "../bright"}, 404, "model_unknown"),
    ],
)
def test_what_is_wrong_is_answered_before_a_stream_begins(post, body, query, status, code):
    answer = post(body, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_image_above_the_limit_is_refused(start_server, image):
    server = start_server(UNET_SERVER_MAX_MEGAPIXELS="0.001")
    answer = httpx2.post(f"{server.url}/api/unet/predict", content=npy(image), timeout=60)
    assert answer.json()["error"]["code"] == "image_unreadable"


def test_a_run_that_tells_its_progress_has_no_deadline(start_server, image):
    server = start_server(UNET_SERVER_TIMEOUT_S="0.05")
    large = np.tile(image, (50, 40))
    answer = httpx2.post(f"{server.url}/api/unet/predict", content=npy(large), timeout=60)
    served, _ = read(answer, large)
    np.testing.assert_array_equal(served.prediction.probability[0] > 0.5, large > 100)
    late = httpx2.post(
        f"{server.url}/api/unet/segment", content=npy(large), headers={"Content-Type": OCTETS}, timeout=60
    )
    assert late.json()["error"]["code"] == "deadline_exceeded"


def test_what_fails_after_the_stream_began_is_a_line_of_it():
    async def go():
        running = asyncio.get_running_loop().create_future()
        stream = _stream(running, _News(asyncio.get_running_loop()))
        running.get_loop().call_soon(running.set_exception, ApiError(503, "device_unusable", "It is gone."))
        return [json.loads(part) async for part in stream if part]

    assert asyncio.run(go())[-1]["error"]["code"] == "device_unusable"


def test_work_of_a_client_that_left_ends(server, image):
    large = np.tile(image, (150, 120))
    address = f"{server.url}/api/unet/predict"
    with httpx2.stream("POST", address, content=npy(large), params={"augment": "true"}, timeout=60) as answer:
        first = json.loads(next(answer.iter_lines()))
    assert first.keys() <= {"progress", "alive"}
    # With one device, another image is done only after the large one, which would take a minute.
    assert httpx2.post(address, content=npy(image), timeout=20).status_code == 200
    health = httpx2.get(f"{server.url}/metrics", timeout=20).text
    assert "running" in health
