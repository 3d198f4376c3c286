"""Work beside the event loop: how much is taken on, and what ends it early."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore, Event, Lock
from typing import TypeVar

from starlette.requests import Request

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.config.settings import ServerSettings
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.server.errors import ApiError, busy
from napari_unetseg.service.requests import request as request_id_of

T = TypeVar("T")
Work = Callable[[CancelFlag], T]
"""What is run in a thread; it ends with `Cancelled` soon after its flag returns True."""


class Workers:
    """Threads that work for requests.

    There are as many as images may be worked on, so that those share the device's batches.

    Parameters
    ----------
    settings
        `queue_size`, `queue_megapixels`, `timeout_s` and `shutdown_s` are read.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.queue_size, thread_name_prefix="request")
        self._decoding = BoundedSemaphore(usable_cores())
        self._lock = Lock()
        self._admitted = 0
        self._running = 0
        self._reserved = 0
        self._flags: set[Event] = set()

    @property
    def running(self) -> int:
        """Works that have a thread."""
        return self._running

    @property
    def waiting(self) -> int:
        """Works that wait for one."""
        return self._admitted - self._running

    def check_room(self) -> None:
        """Refuse a request before its body is read.

        Raises
        ------
        ApiError
            503 ``queue_full`` if as much waits as may.
        """
        if self._admitted >= self._settings.queue_size:
            raise busy("The server has as many images as it takes. Come again in a moment.")

    async def run(self, request: Request, work: Work[T], *, has_deadline: bool = True) -> T:
        """Run work in a thread until it is done, the client has gone, or the time is over.

        Parameters
        ----------
        request
            Whose client waits for it; its body has been read.
        work
            What to run; it is given a flag that says whether to stop.
        has_deadline
            Whether it is given up after `timeout_s`; a client that hears of progress leaves when it has waited enough.

        Raises
        ------
        ApiError
            503 ``queue_full`` or ``deadline_exceeded``; 499 where nobody reads it, as the client has gone.
        Exception
            What the work raised.
        """
        (result,) = await self.run_all(request, [work], has_deadline=has_deadline)
        if isinstance(result, Exception):
            raise result
        return result

    async def run_all(
        self, request: Request, works: Sequence[Work[T]], *, has_deadline: bool = True
    ) -> list[T | Exception]:
        """Run works of one request side by side; each gives its result or its error, in their order.

        They are taken on together, if there is room for one.

        Raises
        ------
        ApiError
            As for `run`.
        """
        flag = Event()
        with self._lock:
            self.check_room()
            self._admitted += len(works)
            self._flags.add(flag)
        identity = request.state.request_id
        futures = [self._pool.submit(self._run, work, flag, identity) for work in works]
        for future in futures:
            future.add_done_callback(self._left)
        all_done = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        gone = asyncio.ensure_future(_gone(request))
        timeout = self._settings.timeout_s if has_deadline else None
        try:
            await asyncio.wait((all_done, gone), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if all_done.done():
                return [_checked(result) for result in all_done.result()]
            if gone.done():
                flag.set()
                await asyncio.wait((all_done,))
                raise ApiError(499, "cancelled", "The client went away.")
            message = f"This took longer than {self._settings.timeout_s:g} s. Send it as a job (POST /jobs) instead."
            raise ApiError(503, "deadline_exceeded", message, headers={"Retry-After": "60"})
        finally:
            flag.set()
            gone.cancel()
            # What nobody waits for any more still ends by itself, and gives its room back then.
            for future in futures:
                future.cancel()
            self._flags.discard(flag)

    @contextmanager
    def reserve(self, values: int) -> Iterator[None]:
        """Count the values of an image as worked on until the block ends; one image alone is always taken.

        Raises
        ------
        ApiError
            503 ``queue_full`` if there would be too many.
        """
        with self._lock:
            if self._reserved and self._reserved + values > 1e6 * self._settings.queue_megapixels:
                raise busy("The server has as many pixels as it takes. Come again in a moment.")
            self._reserved += values
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= values

    @contextmanager
    def decoded(self, decode: Callable[[], Image]) -> Iterator[Image]:
        """Decode an image, and count its values as worked on until the block ends.

        Only as many are decoded at once as there are cores, since what one takes is known afterwards.

        Raises
        ------
        ApiError
            See `reserve`.
        """
        with ExitStack() as stack:
            with self._decoding:
                image = decode()
                stack.enter_context(self.reserve(image.array.size))
            yield image

    def stop(self) -> None:
        """Ask what still runs to end, and wait until it has; nothing more is taken on."""
        for flag in list(self._flags):
            flag.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, work: Work[T], flag: Event, identity: str) -> T:
        with self._lock:
            self._running += 1
        try:
            if flag.is_set():
                raise Cancelled("The client went away.")
            with request_id_of(identity):
                return work(flag.is_set)
        finally:
            with self._lock:
                self._running -= 1

    def _left(self, _future: "Future[T]") -> None:
        with self._lock:
            self._admitted -= 1


async def _gone(request: Request) -> None:
    """Return once the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _checked(result: "T | BaseException") -> "T | Exception":
    if isinstance(result, BaseException) and not isinstance(result, Exception):
        raise result
    return result
