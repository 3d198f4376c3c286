import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest


class ScriptedServer:
    """Answers one request after the other with given bytes, and closes the connection after each."""

    def __init__(self, *answers: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.answered = threading.Event()
        self._over = threading.Event()
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            connection = self._accept()
            if connection is None:
                return
            with connection:
                request = b""
                is_tls = b"\x16"  # which waits for the server to speak
                while b"\r\n\r\n" not in request and request[:1] != is_tls and (part := connection.recv(2**16)):
                    request += part
                self.requests.append(request)
                connection.sendall(answer)
                self.answered.set()
                with suppress(ConnectionError):  # of a client that did not wait
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(2**16):  # so that what was not read does not reset the connection
                        pass

    def _accept(self) -> socket.socket | None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            return connection
        return None

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    with ExitStack() as stack:

        def start(*answers: bytes) -> ScriptedServer:
            server = ScriptedServer(*answers)
            stack.callback(server.close)
            return server

        yield start
