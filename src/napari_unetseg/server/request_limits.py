"""How large a request may be, whether it says so or not, and of how many parts a form may consist."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_FILES = 1
MOST_FIELDS = 64
LARGEST_FIELD = 2**16
"""Bytes of a field of a form that is no file."""


class RequestTooLarge(HTTPException):
    """A request is larger than the server takes; FastAPI lets no other error through while it reads a body."""

    def __init__(self, most: int) -> None:
        message = f"The request is larger than the {most / 1e6:g} MB that this server takes (server.max_request_mb)."
        super().__init__(413, message)


class RequestLimit:
    """Refuse bodies beyond a size: at once where the size is declared, else as soon as more has arrived.

    Parameters
    ----------
    app
        What answers.
    most
        Bytes of the largest body.

    Raises
    ------
    RequestTooLarge
        To what reads the body, or to the layer around.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count its body meanwhile."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Twenty digits are too many already, and thousands would be no number to Python.
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._most:
            raise RequestTooLarge(self._most)
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._most:
                raise RequestTooLarge(self._most)
            return message

        await self._app(scope, counted, send)
