"""POST /segment and POST /segment-batch of a server process."""

import base64
import io
import json

import numpy as np
import pytest
import requests
import tifffile

THREE = 3 * 9 * 8  # pixels of the three squares


@pytest.fixture
def segment(server):
    """Send a request for one image, and return the answer."""

    def send(**words):
        return requests.post(f"{server.url}/api/unet/segment", timeout=60, **words)

    return send


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def tiff(array: np.ndarray, **words) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **words)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 95}), ("BMP", {}), ("TIFF", {})])
def test_each_kind_of_file_gives_its_mask(segment, squares, as_text, read_png, kind, options):
    answer = segment(json={"image_data": as_text(squares, kind, **options)}).json()
    mask = read_png(answer["mask_data"])
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(squares > 100, 255, 0))
    assert answer["object_count"] == 3


def test_the_threshold_of_the_request_is_the_one_used(segment, as_text):
    image = np.zeros((40, 40), np.uint8)
    image[4:14, 4:14], image[24:34, 24:34] = 255, 160  # the second one has a probability of 0.93
    counts = {
        threshold: segment(json={"image_data": as_text(image), "threshold": threshold}).json()["object_count"]
        for threshold in (0.5, 0.97)
    }
    assert counts == {0.5: 2, 0.97: 1}


def test_all_that_can_be_asked_for(segment, squares, as_text, read_png):
    wanted = ("return_confidence", "return_contours", "return_visualizations", "return_labels")
    answer = segment(json={"image_data": as_text(squares), **dict.fromkeys(wanted, True)}).json()
    assert answer["confidence_scores"]["mask_mean"] > 0.9
    assert [contour["area"] for contour in answer["contours"]] == [72.0, 72.0, 72.0]
    assert answer["contours"][0]["bounding_box"] == {"x": 5, "y": 4, "width": 8, "height": 9}
    assert all(read_png(answer["visualizations"][name]).shape[:2] == (40, 48) for name in answer["visualizations"])
    assert answer["labels"]["format"] == "png16"
    assert answer["labels"]["count"] == 3
    assert sorted(np.unique(read_png(answer["labels"]["data"]))) == [0, 1, 2, 3]


def test_parameters_beyond_the_guide_are_used(segment, squares, as_text):
    assert segment(json={"image_data": as_text(squares), "min_size": 100}).json()["object_count"] == 0


def test_a_form_takes_the_file_and_choices(segment, squares):
    deep = np.where(squares > 100, 40000, 100).astype(np.uint16)
    for field in ("image", "file"):
        answer = segment(files={field: ("a.tif", tiff(deep), "image/tiff")}, data={"threshold": "0.5", "min_size": 4})
        assert answer.json()["object_count"] == 3, answer.text


@pytest.mark.parametrize("write", [npy, tiff])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_bytes_of_a_file_lose_no_bit(segment, write, dtype):
    image = np.zeros((40, 48), dtype)
    image[4:14, 4:14] = 2  # of 65,535, 8 bits would keep nothing
    answer = segment(
        data=write(image),
        headers={"Content-Type": "application/octet-stream"},
        params={"return_confidence": "true", "min_size": 4},
    ).json()
    assert answer["object_count"] == 1
    assert answer["confidence_scores"]["mask_mean"] > 0.9


def test_an_image_alone_may_come_as_its_own_media_type(segment, squares, encode):
    answer = segment(data=encode(squares), headers={"Content-Type": "image/png"})
    assert answer.json()["object_count"] == 3


def test_labels_as_tiff(segment, squares, as_text):
    answer = segment(json={"image_data": as_text(squares)}, headers={"Accept": "image/tiff"})
    assert answer.headers["Content-Type"] == "image/tiff"
    labels = tifffile.imread(io.BytesIO(answer.content))
    np.testing.assert_array_equal(labels > 0, squares > 100)
    assert labels.max() == 3


def test_outlines_as_geojson(segment, squares, as_text):
    answer = segment(json={"image_data": as_text(squares)}, headers={"Accept": "application/geo+json, */*;q=0.1"})
    assert answer.headers["Content-Type"] == "application/geo+json"
    assert len(answer.json()["features"]) == 3


def test_a_stack_is_answered_as_tiff_alone(segment, squares):
    stack = tiff(np.stack([squares, squares]), imagej=True, metadata={"axes": "ZYX"})
    words = {"data": stack, "headers": {"Content-Type": "application/octet-stream"}}
    assert segment(**words).json()["error"]["code"] == "image_unreadable"
    words["headers"]["Accept"] = "image/tiff"
    assert tifffile.imread(io.BytesIO(segment(**words).content)).shape == (2, 40, 48)


def test_an_answer_in_no_known_form_is_refused(segment, squares, as_text):
    answer = segment(json={"image_data": as_text(squares)}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


def test_a_body_in_no_known_form_is_refused(segment):
    answer = segment(data=b"a=b", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    ("text", "status", "code", "field"),
    [
        ('{"image_data": "IMAGE", "threshold": 1.5}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "threshold": true}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "threshold": "0.3"}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "threshold": NaN}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "threshold": 1e999}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "threshold": -Infinity}', 422, "invalid_request", "threshold"),
        ('{"image_data": "IMAGE", "diameter": NaN}', 422, "invalid_parameter", "diameter"),
        ('{"image_data": "IMAGE", "diameter": -3}', 422, "invalid_parameter", "diameter"),
        ('{"image_data": "IMAGE", "min_size": 1e400}', 422, "invalid_request", "min_size"),
        ('{"image_data": "IMAGE", "min_size": 0.5}', 422, "invalid_request", "min_size"),
        ('{"image_data": "IMAGE", "colour": 1}', 422, "invalid_request", "colour"),
        ('{"image_data": "IMAGE", "return_labels": "yes"}', 422, "invalid_request", "return_labels"),
        ('{"image_data": 7}', 422, "invalid_request", "image_data"),
        ('{"image_data": "@@@@"}', 422, "image_unreadable", "image_data"),
        ('{"image_data": ""}', 422, "image_unreadable", "image_data"),
        ('{"image_data": "aGVsbG8="}', 422, "image_unreadable", "image_data"),
        ('{"image_data": "IMAGE", "model": "nothing"}', 404, "model_unknown", "model"),
        ('{"image_data": "IMAGE", "model": "/etc"}', 404, "model_unknown", "model"),
        ('{"image_data": "IMAGE", "channel": 7}', 422, "image_unreadable", "image_data"),
        ('{"image_data": "IMAGE", "channels": "DAPI"}', 422, "image_unreadable", "image_data"),
        ('{"image_data": "IMAGE", "channels": "max(0"}', 422, "invalid_request", "channels"),
        ("{}", 422, "invalid_request", "image_data"),
        ("[]", 422, "invalid_request", None),
        ("null", 422, "invalid_request", None),
        ("", 400, "invalid_json", None),
        ("{", 400, "invalid_json", None),
        ("[" * 10_000, 400, "invalid_json", None),
    ],
)
def test_what_is_wrong_is_named(segment, squares, as_text, text, status, code, field):
    body = text.replace("IMAGE", as_text(squares))
    answer = segment(data=body, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field), error
    assert as_text(squares) not in answer.text


def test_a_form_without_a_file_names_it(segment):
    answer = segment(files={"picture": ("a.png", b"", "image/png")})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "image")


def test_a_wrong_choice_in_the_query_is_named(segment, squares, encode):
    words = {"data": encode(squares), "headers": {"Content-Type": "image/png"}}
    for query in ({"threshold": "nan"}, {"threshold": "NaN"}, {"colour": "1"}, {"return_labels": "maybe"}):
        answer = segment(params=query, **words)
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["field"] in query


def test_a_batch_keeps_the_order_and_an_image_fails_alone(server, squares, as_text, read_png):
    images = [squares, squares[:20], squares[20:]]
    texts = [as_text(image) for image in images]
    texts.insert(1, base64.b64encode(b"no image").decode())
    answer = requests.post(
        f"{server.url}/api/unet/segment-batch",
        json={"images": [{"image_data": text} for text in texts], "threshold": 0.5},
        headers={"X-Request-ID": "batch-7"},
        timeout=60,
    ).json()
    assert answer["success"] is True
    assert (answer["batch_size"], answer["request_id"]) == (4, "batch-7")
    assert [result["success"] for result in answer["results"]] == [True, False, True, True]
    assert [result["request_id"] for result in answer["results"]] == 4 * ["batch-7"]
    failed = answer["results"].pop(1)
    assert (failed["error"]["code"], failed["error"]["field"]) == ("image_unreadable", "image_data")
    for image, result in zip(images, answer["results"], strict=True):
        np.testing.assert_array_equal(read_png(result["mask_data"]) > 0, image > 100)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"images": []}, "images"),
        ({"images": [{"image_data": 7}]}, "images.0.image_data"),
        ({"images": [{"image_data": "", "threshold": 0.5}]}, "images.0.threshold"),
        ({"images": 65 * [{"image_data": ""}]}, "images"),
        ({"images": [{"image_data": ""}], "threshold": 2}, "threshold"),
    ],
)
def test_a_wrong_batch_is_refused_whole(server, request_, field):
    answer = requests.post(f"{server.url}/api/unet/segment-batch", json=request_, timeout=60)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


@pytest.mark.parametrize(
    "body", [b'{"images": [%s]}' % b",".join(30_000 * [b"{}"]), b"[%s]" % b",".join(30_000 * [b"[]"])]
)
def test_a_body_of_far_more_parts_than_any_request_has_is_not_taken_apart(server, body):
    answer = requests.post(
        f"{server.url}/api/unet/segment-batch", data=body, headers={"Content-Type": "application/json"}, timeout=60
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert answer.json()["error"]["details"] == []


def test_the_id_of_a_request_is_in_header_body_and_log(start_server, squares, as_text):
    server = start_server(UNET_LOGGING_LOG_REQUESTS="true")
    answer = requests.post(
        f"{server.url}/api/unet/segment",
        json={"image_data": as_text(squares)},
        headers={"X-Request-ID": "mine-1"},
        timeout=60,
    )
    assert (answer.headers["X-Request-ID"], answer.json()["request_id"]) == ("mine-1", "mine-1")
    assert "request_id=mine-1 message=segmented" in server.log.read_text()


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "ü"])
def test_an_id_that_could_harm_a_log_is_replaced(server, bad):
    answer = requests.get(f"{server.url}/livez", headers={"X-Request-ID": bad.encode("latin-1")}, timeout=60)
    assert answer.headers["X-Request-ID"] != bad
    assert len(answer.headers["X-Request-ID"]) == 36


def test_a_body_that_is_too_large_is_refused_declared_or_not(start_server):
    server = start_server(UNET_SERVER_MAX_REQUEST_MB="0.01")
    body = json.dumps({"image_data": "A" * 20_000}).encode()
    for data in (body, iter([body[:9000], body[9000:]])):
        answer = requests.post(
            f"{server.url}/api/unet/segment", data=data, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
