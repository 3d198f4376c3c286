"""Against a real HTTP server, since how a body arrives is what matters here."""

import asyncio
import http.client
import itertools
import json
from urllib.parse import urlsplit

import pytest
import requests

from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.request_limits import RequestLimit

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


@pytest.fixture
def reading():
    """Let an app that reads bodies, behind limits, receive what a test puts into its queue."""
    app = RequestLimit(reads_all, most=100, patience_s=3600)

    def begin(app=app, *there):
        parts = asyncio.Queue()
        for message in there:
            parts.put_nowait(message)
        scope = {"type": "http", "headers": [], "state": {}}
        return parts, asyncio.ensure_future(app(scope, parts.get, None))

    return begin


async def reads_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await receive()  # for the end of the connection


def part(size, more=True):
    return {"type": "http.request", "body": size * b"x", "more_body": more}


async def is_read(parts):
    while not parts.empty():
        await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_all_bodies_together_are_bounded_and_make_room_when_they_are_done_with(reading):
    async def run():
        begun = [reading() for _ in range(4)]
        for parts, _ in begun:
            parts.put_nowait(part(100))
            await is_read(parts)
        parts, refused = reading()
        parts.put_nowait(part(1))
        with pytest.raises(ApiError) as caught:
            await refused
        assert (caught.value.status, caught.value.code) == (503, "queue_full")
        assert "Retry-After" in caught.value.headers
        parts, first = begun[0]
        parts.put_nowait(part(0, more=False))
        parts.put_nowait({"type": "http.disconnect"})
        await first
        parts, taken = reading()
        for message in (part(100, more=False), {"type": "http.disconnect"}):
            parts.put_nowait(message)
        await taken
        for _, waiting in begun[1:]:
            waiting.cancel()

    asyncio.run(run())


def test_a_body_that_stops_arriving_is_given_up_and_a_wait_for_the_answer_is_not(reading):
    async def run():
        impatient = RequestLimit(reads_all, most=100, patience_s=0)
        parts, stalled = reading(impatient)
        with pytest.raises(ApiError) as caught:
            await stalled
        assert (caught.value.status, caught.value.code) == (408, "body_stalled")
        parts, waiting = reading(impatient, part(10, more=False))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        parts.put_nowait({"type": "http.disconnect"})
        await waiting

    asyncio.run(run())


def test_the_server_goes_on_after_a_refusal(url):
    with requests.Session() as session:
        assert session.post(f"{url}/raw", data=chunks(10 * LIMIT), timeout=60).status_code == 413
        assert session.post(f"{url}/raw", data=b"small", timeout=60).text == "5"
