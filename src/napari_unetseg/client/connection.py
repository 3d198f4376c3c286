"""The connection to a server: requests in an event loop of its own thread, each of which ends at once when cancelled.

Closing a synchronous client from another thread does not end a request that waits for its answer; cancelling a task of
an event loop does, and the server sees the closed connection.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from napari_unetseg import __version__
from napari_unetseg.api.models import PREFIX
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.client.answers import WORTH_ASKING_AGAIN, code_of, connection_errors, error_of
from napari_unetseg.client.errors import ServerError, ServerUnreachable
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config.settings import ClientSettings
from napari_unetseg.errors import Cancelled, ConfigError, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Buffer = bytes | memoryview

SILENCE_S = 60.0
"""Seconds without a byte after which a connection counts as dead; while a network runs, the server says every few that
it is there."""

LOADING_S = 600.0
"""The same where a server answers once it has loaded a model."""

# How often, and seconds for how long together, a server is asked again that has enough to do.
_MOST_TIMES = 60
_WAITED_S = 180.0
_LONGEST_WAIT_S = 60.0
_CHUNK = 2**18
_LARGEST_ERROR = 2**20
_POLL_S = 0.1

_cancel_flag: ContextVar[CancelFlag | None] = ContextVar("cancel_flag", default=None)


@contextmanager
def questions_end_with(cancel: CancelFlag) -> Iterator[None]:
    """Let `cancel` end the questions that this thread asks servers in the block; they raise `Cancelled` then.

    For those that take no such flag themselves: which models a server has, and how it is.
    """
    token = _cancel_flag.set(cancel)
    try:
        yield
    finally:
        _cancel_flag.reset(token)


class ConnectionClosed(UnetsegError):
    """A connection was used after `close`."""

    def __init__(self) -> None:
        super().__init__("The connection to this server was closed. Make a new service.")


class Connection:
    """Asks one server; any thread may call any method.

    Nothing happens before the first question.

    Parameters
    ----------
    address
        Where it is.
    key
        Sent with each request; None: none is.
    settings
        `connect_timeout_s` and `ca_file` are read.

    Raises
    ------
    ServerError
        If the key can be none, or the extra ``[client]`` is not installed.
    """

    def __init__(self, address: ServerAddress, key: str | None, settings: ClientSettings) -> None:
        if find_spec("httpx2") is None:
            raise ServerError(
                Sentence('To use a server this needs one more library: pip install "napari-unetseg[client]"')
            )
        self.address = address
        self._settings = settings
        self._headers = {"User-Agent": f"napari-unetseg/{__version__}"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {_checked_key(key)}"
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx2.AsyncClient | None = None
        self._under_way: set[Future[Any]] = set()
        self._has_answered = False
        self._closed = False

    def get(self, path: str, *, silence_s: float = SILENCE_S, **parameters: str | None) -> bytes:
        """Return the answer to a question.

        Raises
        ------
        ServerError
            If there is none; the message says why.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        return _result(self.submit(self._ask("GET", path, given, None, "", silence_s, None)))

    def post(self, path: str, body: bytes, *, silence_s: float = LOADING_S) -> bytes:
        """Return the answer to a request in JSON.

        Raises
        ------
        ServerError
            As for `get`.
        """
        return _result(self.submit(self._ask("POST", path, {}, [body], "application/json", silence_s, None)))

    def stream(
        self,
        path: str,
        parameters: Mapping[str, str],
        body: Sequence[Buffer],
        media_type: str,
        take: Callable[[bytes], None],
    ) -> "Future[bytes]":
        """Send a body, and hand the answer on as it comes.

        Parameters
        ----------
        path, parameters, body, media_type
            Of the request.
        take
            Called with each part of the answer, in the thread of the connection; what it raises ends the request.

        Returns
        -------
        Future
            Done with the answer; to cancel it ends the request at once.
        """
        return self.submit(self._ask("POST", path, parameters, body, media_type, SILENCE_S, take))

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine in the loop of the connection.

        Raises
        ------
        ConnectionClosed
            After `close`.
        """
        with self._lock:
            if self._closed:
                work.close()
                raise ConnectionClosed
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="server connection", daemon=True).start()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._under_way = {other for other in self._under_way if not other.done()} | {future}
            return future

    def check_open(self) -> None:
        """Raise `ConnectionClosed` after `close`."""
        if self._closed:
            raise ConnectionClosed

    def release(self) -> None:
        """Let the connections to the server go, unless one is in use; the next question makes new ones."""
        with self._lock:
            if not self._closed and any(not future.done() for future in self._under_way):
                return
            loop, self._loop = self._loop, None
            client, self._client = self._client, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_end(loop, client), loop)

    def close(self) -> None:
        """Let the connections go for good; requests under way end with an error."""
        self._closed = True
        self.release()

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: Sequence[Buffer] | None,
        media_type: str,
        silence_s: float,
        take: Callable[[bytes], None] | None,
    ) -> bytes:
        """Send a request, again where the server says when, and return the body of its answer."""
        import httpx2

        client = self._open_client()
        headers = {} if body is None else {"Content-Type": media_type, "Content-Length": str(sum(map(len, body)))}
        waited, asked = 0.0, 0
        while True:
            asked += 1
            with connection_errors(self.address, has_answered=self._has_answered):
                async with client.stream(
                    method,
                    f"{self.address.url}{PREFIX}{path}",
                    params=dict(parameters),
                    content=None if body is None else _chunks(body),
                    headers=headers,
                    timeout=httpx2.Timeout(silence_s, connect=self._settings.connect_timeout_s, pool=None),
                ) as response:
                    if response.status_code == 200:
                        return await self._read(response, take)
                    answer = await _read_error(response)
            self._has_answered = self._has_answered or code_of(answer) is not None
            wait = _wait_before_asking_again(response, answer)
            if wait is None or waited + wait > _WAITED_S or asked >= _MOST_TIMES:
                raise error_of(response.status_code, answer, response.headers.get("location", ""), self.address)
            await asyncio.sleep(wait)
            waited += wait

    async def _read(self, response: "httpx2.Response", take: Callable[[bytes], None] | None) -> bytes:
        if take is None:
            answer = await response.aread()
            self._has_answered = True
            return answer
        async for part in response.aiter_bytes():
            self._has_answered = True
            take(part)
        return b""

    def _open_client(self) -> "httpx2.AsyncClient":
        """Return the HTTP client, made in the loop in which it is used."""
        if self._client is None:
            import httpx2

            limits = httpx2.Limits(max_connections=None, keepalive_expiry=2.0)  # before servers end idle connections
            verify = self._trusted()
            # Variables for proxies are for the world outside; many machines have them without naming themselves.
            trust_env = not self.address.is_loopback
            self._client = httpx2.AsyncClient(
                headers=self._headers, verify=verify, trust_env=trust_env, limits=limits, follow_redirects=False
            )
        return self._client

    def _trusted(self) -> ssl.SSLContext | bool:
        """Return whose certificates are trusted."""
        if self.address.url.startswith("http://"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and need not read whom the system trusts
        path = self._settings.ca_file
        if path is None:
            return True
        try:
            return ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                Sentence(
                    "{path}: this is no certificate in PEM that can be read ({reason}). Correct the setting "
                    "client.ca_file.",
                    path=path,
                    reason=error,
                )
            ) from error


def _result(future: "Future[T]") -> T:
    cancel = _cancel_flag.get()
    while cancel is not None and not wait([future], _POLL_S).done:
        if cancel():
            future.cancel()
            raise Cancelled("The question to the server was cancelled.")
    try:
        return future.result()
    except CancelledError:
        raise ConnectionClosed from None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _end(loop: asyncio.AbstractEventLoop, client: "httpx2.AsyncClient | None") -> None:
    """End what still runs in a loop, and the loop."""
    others = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if client is not None:
        await client.aclose()
    loop.call_soon(loop.stop)


async def _chunks(body: Sequence[Buffer]) -> AsyncIterator[bytes]:
    """Give a body in parts that leave the loop time for others; anew for each attempt."""
    for part in body:
        view = memoryview(part)
        for start in range(0, len(view), _CHUNK):
            yield bytes(view[start : start + _CHUNK])


async def _read_error(response: "httpx2.Response") -> bytes:
    answer = b""
    async for part in response.aiter_bytes():
        answer += part
        if len(answer) > _LARGEST_ERROR:
            break
    return answer


def _wait_before_asking_again(response: "httpx2.Response", answer: bytes) -> float | None:
    """Return after how many seconds the same request is worth another try; None: it is not."""
    given = response.headers.get("retry-after", "")
    code = code_of(answer)
    if response.status_code not in (429, 503) or not given.isdecimal():
        return None
    if code is not None and code not in WORTH_ASKING_AGAIN:
        return None
    return min(float(given), _LONGEST_WAIT_S)


def _checked_key(key: str) -> str:
    if not (key.isascii() and key.isprintable() and key.strip()):
        raise ServerError(Sentence("The key for the server has characters that no key has. Enter it again."))
    return key.strip()


def not_understood(address: ServerAddress, reason: object) -> ServerUnreachable:
    """Return the error of an answer that this version cannot read, by its first fault where pydantic found several."""
    if isinstance(reason, ValidationError):
        fault = reason.errors()[0]
        reason = ": ".join([".".join(map(str, fault["loc"])), fault["msg"]]) if fault["loc"] else fault["msg"]
    return ServerUnreachable(
        Sentence(
            "{server}: the answer of the server is not understood ({reason}). If it is a server of napari-unetseg, "
            "bring it and this machine to the same version.",
            server=address,
            reason=reason,
        )
    )
