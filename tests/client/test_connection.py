"""What people read when a server does not answer as it should."""

import json
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from napari_unetseg.client import RemoteService
from napari_unetseg.client.connection import Connection, ConnectionClosed
from napari_unetseg.client.errors import KeyRefused, ServerBusy, ServerDied, ServerError, ServerUnreachable
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config.settings import ClientSettings
from napari_unetseg.errors import ConfigError, DeviceError, ImageError, ModelError, OutOfMemory, ParameterError


def http(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def fault(status, code, *headers, message="So it is."):
    body = {"success": False, "error": {"code": code, "message": message}, "request_id": "id7"}
    return http(status, json.dumps(body).encode(), *headers)


@pytest.fixture
def connect():
    opened = []

    def connect(url, key=None, **settings):
        opened.append(Connection(ServerAddress.of(url), key, ClientSettings(**settings)))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def test_the_answer_is_returned_and_the_key_was_sent(scripted, connect):
    server = scripted(http(200, b"yes"))
    assert connect(server.url, "k1").get("/models", model="a b") == b"yes"
    head = server.requests[0].decode()
    assert head.startswith("GET /api/unet/models?model=a")
    assert "authorization: bearer k1\r\n" in head.lower()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (fault(401, "key_missing"), KeyRefused, "wants a key"),
        (fault(401, "key_refused"), KeyRefused, "revoked"),
        (http(403), KeyRefused, "another login"),
        (http(404, b"<html>"), ServerUnreachable, "too old"),
        (fault(404, "not_found"), ServerError, "So it is."),
        (fault(404, "model_unknown"), ModelError, "does not have this model"),
        (fault(413, "request_too_large"), ServerError, "server.max_request_mb"),
        (http(413), ServerError, "server.max_request_mb"),
        (fault(422, "image_unreadable"), ImageError, "So it is."),
        (fault(422, "invalid_parameter"), ParameterError, "So it is."),
        (fault(500, "internal_error"), ServerError, "id7"),
        (http(502), ServerUnreachable, "what stands before"),
        (fault(503, "deadline_exceeded", "Retry-After: 0"), ServerError, "server.timeout_s"),
        (fault(503, "out_of_memory", "Retry-After: 0"), OutOfMemory, "memory"),
        (fault(503, "model_unusable", "Retry-After: 0"), ModelError, "log"),
        (fault(503, "device_unusable", "Retry-After: 0"), DeviceError, "log"),
        (fault(503, "queue_full"), ServerBusy, "enough to do"),
        (http(301, b"", "Location: https://lab/"), ServerUnreachable, "points to https://lab/"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", ServerUnreachable, "not as a server of napari-unetseg"),
        (b"", ServerUnreachable, "not as a server of napari-unetseg"),
    ],
)
def test_what_goes_wrong_is_said_in_words(scripted, connect, answer, kind, words):
    with pytest.raises(kind, match=words) as error:
        connect(scripted(answer).url).get("/models")
    assert type(error.value) is kind


def test_a_busy_server_is_asked_again(scripted, connect):
    busy = [fault(503, "queue_full", "Retry-After: 0"), http(429, b"", "Retry-After: 0")]
    server = scripted(*busy, http(200, b"yes"))
    assert connect(server.url).post("/initialize", b"{}") == b"yes"
    assert len(server.requests) == 3


def test_to_cancel_ends_the_wait_for_a_busy_server(scripted, connect):
    server = scripted(fault(503, "queue_full", "Retry-After: 60"))
    future = connect(server.url).stream("/predict", {}, [b"abc"], "text/plain", lambda _: None)
    assert server.answered.wait(30)
    future.cancel()
    assert future.cancelled()
    assert len(server.requests) == 1


def test_a_server_that_dies_in_the_middle(scripted, connect):
    server = scripted(http(200, b"yes"), b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nabc")
    connection = connect(server.url)
    connection.get("/models")
    with pytest.raises(ServerDied, match="went away"):
        connection.get("/models")


def test_a_silent_server_counts_as_dead(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServerDied, match="fell silent"):
            connection.get("/models", silence_s=0.1)


def test_no_server_at_the_port_and_no_such_machine(scripted, connect):
    server = scripted()
    server.close()
    with pytest.raises(ServerUnreachable, match="napari-unetseg serve"):
        connect(server.url).get("/models")
    with pytest.raises(ServerUnreachable, match=r"no machine called nowhere\.invalid"):
        connect("http://nowhere.invalid:8001").get("/models")


def test_proxies_of_the_environment_do_not_take_loopback(scripted, connect, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert connect(scripted(http(200, b"yes")).url).get("/models") == b"yes"


def test_a_page_in_place_of_an_answer_is_told_in_words(scripted):
    with pytest.raises(ServerUnreachable, match=r"not understood \(Invalid JSON"):
        RemoteService(scripted(http(200, b"<html>")).url)


def test_tls_in_words(tmp_path, connect, scripted):
    key, certificate = tmp_path / "key.pem", tmp_path / "lab.pem"
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    subjects = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*line, *subjects], check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"yes")

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"https://localhost:{server.server_port}"
        try:
            with pytest.raises(ServerUnreachable, match=r"client\.ca_file"):
                connect(url).get("/models")
            assert connect(url, ca_file=certificate).get("/models") == b"yes"
            with pytest.raises(ServerUnreachable, match="for another name"):
                connect(url.replace("localhost", "127.0.0.1"), ca_file=certificate).get("/models")
            with pytest.raises(ConfigError, match=r"client\.ca_file"):
                connect(url, ca_file=tmp_path / "none.pem").get("/models")
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(ServerUnreachable, match="Try it with http://"):
        connect(scripted(http(400)).url.replace("http:", "https:")).get("/models")


def test_a_closed_connection_says_so_and_a_released_one_works_on(scripted, connect):
    connection = connect(scripted(http(200, b"1"), http(200, b"2")).url)
    assert connection.get("/models") == b"1"
    connection.release()
    assert connection.get("/models") == b"2"
    connection.close()
    with pytest.raises(ConnectionClosed):
        connection.get("/models")


def test_to_release_a_connection_leaves_what_is_under_way(scripted, connect):
    server = scripted(fault(503, "queue_full", "Retry-After: 0"), http(200, b"yes"))
    taken, go_on = [], threading.Event()

    def take(part):
        taken.append(part)
        go_on.wait(30)

    connection = connect(server.url)
    future = connection.stream("/predict", {}, [b"abc"], "text/plain", take)
    connection.release()
    go_on.set()
    future.result(30)
    assert taken == [b"yes"]


@pytest.mark.parametrize("key", ["", " ", "a\nb", "é"])
def test_a_key_that_is_none_is_refused(key, connect):
    with pytest.raises(ServerError, match="characters that no key has"):
        connect("http://lab", key)
