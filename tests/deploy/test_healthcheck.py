"""The container's health check, as Docker runs it: a process and its exit status."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers /livez so, and its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def check(deploy: Path, port: int) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-I", deploy / "healthcheck.py", str(port)]
    proxy = {"http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=proxy)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (401, 1)])
def test_the_status_is_that_of_the_server(deploy: Path, status: int, code: int) -> None:
    with answering(status) as port:
        said = check(deploy, port)
    assert said.returncode == code
    assert (str(status) in said.stderr) == bool(code)


def test_no_server_is_no_health(deploy: Path) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        said = check(deploy, bound.getsockname()[1])
    assert said.returncode == 1
    assert said.stderr.startswith("no answer")
