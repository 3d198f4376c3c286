"""How large requests may be, each and together, and of how many parts a form may consist."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from napari_unetseg.server.errors import ApiError, busy

MOST_FILES = 1
MOST_FIELDS = 64
LARGEST_FIELD = 2**16
"""Bytes of a field of a form that is no file."""

_LARGEST_AT_ONCE = 4  # as many bodies of the largest size, or more smaller ones, are in memory at a time


class RequestTooLarge(HTTPException):
    """A request is larger than the server takes; FastAPI lets no other error through while it reads a body."""

    def __init__(self, most: int) -> None:
        message = f"The request is larger than the {most / 1e6:g} MB that this server takes (server.max_request_mb)."
        super().__init__(413, message)


class RequestLimit:
    """Refuse bodies beyond a size: at once where the size is declared, else as soon as more has arrived.

    Those of all requests under way together are bounded too, and a body that stops arriving is given up.

    Parameters
    ----------
    app
        What answers.
    most
        Bytes of the largest body.
    patience_s
        Seconds that may pass without another part of a body.

    Raises
    ------
    RequestTooLarge, ApiError
        413, 503 ``queue_full`` or 408 ``body_stalled``, to what reads the body, or to the layer around.
    """

    def __init__(self, app: ASGIApp, most: int, patience_s: float) -> None:
        self._app = app
        self._most = most
        self._patience_s = patience_s
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count its body meanwhile."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Twenty digits are too many already, and thousands would be no number to Python.
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._most:
            raise RequestTooLarge(self._most)
        arrived, complete = 0, False

        async def counted() -> Message:
            nonlocal arrived, complete
            message = await (receive() if complete else self._next_part(receive))
            complete = not message.get("more_body", False)
            size = len(message.get("body", b""))
            arrived += size
            self._held += size
            if arrived > self._most:
                raise RequestTooLarge(self._most)
            if self._held > _LARGEST_AT_ONCE * self._most:
                raise busy("The server has as much to read as it can hold. Come again in a moment.")
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= arrived

    async def _next_part(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._patience_s):
                return await receive()
        except TimeoutError:
            raise ApiError(
                408, "body_stalled", f"Nothing more of the request came for {self._patience_s:g} s."
            ) from None
