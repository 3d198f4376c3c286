"""The outermost layer of the server (pure ASGI): an id for each request, and an answer to what nobody foresaw."""

import re
from asyncio import CancelledError
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from napari_unetseg.server.errors import STOPPING, api_error, error_response
from napari_unetseg.service.requests import request

HEADER = "X-Request-ID"

_ACCEPTED = re.compile(r"[\x21-\x7e]{1,128}")


class RequestIds:
    """Keep the id that a client sent, or make one; every answer has it in its header.

    Ids of more than 128 characters, or of others than visible ASCII, are replaced. Below, the id is
    ``scope["state"]["request_id"]``, and `napari_unetseg.service.requests.request_id` returns it.

    Parameters
    ----------
    app
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see `napari_unetseg.server.errors.api_error` for what fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        identity = sent if _ACCEPTED.fullmatch(sent) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = identity
        began = False

        async def with_id(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                MutableHeaders(scope=message)[HEADER] = identity
            await send(message)

        with request(identity):
            try:
                await self._app(scope, receive, with_id)
            except (Exception, CancelledError) as error:
                found = api_error(error) if isinstance(error, Exception) else STOPPING
                # What is cancelled without a stop has no client any more.
                if began or (isinstance(error, CancelledError) and not _stops(scope)):
                    raise  # nothing but a broken connection can say so any more
                scope["state"]["error_code"] = found.code
                await error_response(found, identity)(scope, receive, with_id)


def _stops(scope: Scope) -> bool:
    """Whether what runs the app has said that it stops, by ``app.state.stopping``."""
    return bool(getattr(scope["app"].state, "stopping", False))
