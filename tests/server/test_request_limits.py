"""Against a real HTTP server, since how a body arrives is what matters here."""

import http.client
import itertools
import json
from urllib.parse import urlsplit

import pytest
import requests

LIMIT = 100_000
TOO_MUCH = LIMIT + 1


@pytest.fixture
def url(make_app, listen):
    return f"{listen(make_app(max_request_mb=LIMIT / 1e6))}/api/unet"


def chunks(size):
    """A body that does not say how large it is."""
    whole, rest = divmod(size, 1000)
    return itertools.chain(itertools.repeat(1000 * b" ", whole), [rest * b" "] if rest else [])


def sent(url, body, kind):
    return requests.post(url, data=body, headers={"Content-Type": kind, "X-Request-ID": "mine"}, timeout=60)


def is_refused(answer):
    body = answer.json()
    assert answer.headers["X-Request-ID"] == body["request_id"] == "mine"
    assert "0.1 MB" in body["error"]["message"]
    return (answer.status_code, body["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("body_of", [lambda size: size * b" ", chunks], ids=["declared", "chunked"])
def test_raw_bodies_up_to_the_limit_are_taken(url, body_of):
    answer = sent(f"{url}/raw", body_of(LIMIT), "application/octet-stream")
    assert (answer.status_code, answer.text) == (200, str(LIMIT))
    assert is_refused(sent(f"{url}/raw", body_of(TOO_MUCH), "application/octet-stream"))


@pytest.mark.parametrize("chunked", [False, True])
def test_json_up_to_the_limit_is_taken(url, chunked):
    def body(size):
        text = b'{"a": 1}'
        parts = itertools.chain([text], chunks(size - len(text)))
        return parts if chunked else b"".join(parts)

    assert sent(f"{url}/json", body(LIMIT), "application/json").json() == {"fields": 1}
    assert is_refused(sent(f"{url}/json", body(TOO_MUCH), "application/json"))


@pytest.mark.parametrize("chunked", [False, True])
def test_forms_up_to_the_limit_are_taken(url, chunked):
    def body(size):
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        tail = b"\r\n--x--\r\n"
        parts = itertools.chain([head], chunks(size - len(head) - len(tail)), [tail])
        return parts if chunked else b"".join(parts)

    kind = "multipart/form-data; boundary=x"
    assert sent(f"{url}/form", body(LIMIT), kind).json() == {"fields": 1}
    assert is_refused(sent(f"{url}/form", body(TOO_MUCH), kind))


def test_too_many_fields_and_files_are_refused(url):
    answer = requests.post(f"{url}/form", files={str(number): (None, "x") for number in range(6)}, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    answer = requests.post(f"{url}/form", files={str(number): ("a", "x") for number in range(2)}, timeout=60)
    assert answer.status_code == 400


def test_a_size_that_is_too_large_is_refused_before_a_byte_of_it_is_sent(url):
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    try:
        connection.putrequest("POST", f"{place.path}/raw")
        connection.putheader("Content-Length", "64000000000000")
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "request_too_large"
    finally:
        connection.close()


def test_an_endless_body_is_refused(url):
    """The server stops to read, or answers while more is sent; the client sees either."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    try:
        connection.putrequest("POST", f"{place.path}/raw")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for _ in range(LIMIT // 1000 + 1):
            connection.send(b"3e8\r\n" + 1000 * b"x" + b"\r\n")
        answer = connection.getresponse()  # though the body has no end
        assert answer.status == 413
    finally:
        connection.close()


def test_the_server_goes_on_after_a_refusal(url):
    with requests.Session() as session:
        assert session.post(f"{url}/raw", data=chunks(10 * LIMIT), timeout=60).status_code == 413
        assert session.post(f"{url}/raw", data=b"small", timeout=60).text == "5"
