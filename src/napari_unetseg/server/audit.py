"""What every request leaves: a line of the audit log, without its pixels or keys, and its part of the metrics."""

import json
import logging
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from napari_unetseg.server.metrics import Metrics
from napari_unetseg.service.logs import LOG_FIELDS

CLIENT_GONE = 499
"""Status in the records of requests whose client left before an answer began."""

_LONGEST_PATH = 300
_LONGEST_ADDRESS = 64

_log = logging.getLogger("napari_unetseg.server.audit")


@dataclass
class RequestFacts:
    """What only those know who answer a request; they find it as ``request.state.facts``, and any thread may add to it.

    Attributes
    ----------
    key_name
        Whose key it was.
    sizes, models
        Of each image that was computed, such as ``"512x512"``.
    """

    metrics: Metrics
    key_name: str | None = None
    sizes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def image_done(self, shape: tuple[int, ...], model: str, objects: int | None = None) -> None:
        """Note an image that was computed.

        Parameters
        ----------
        shape
            Of its label image, or of its probability map without the heads.
        model
            Name of the model, as its card has it.
        objects
            How many it has; None where that is not known here.
        """
        self.sizes.append("x".join(map(str, shape)))
        self.models.append(model)
        self.metrics.image_done(model, objects)


PROBES = ("/livez", "/readyz")
"""What is asked so often that only what is wrong with it is written down."""


class AuditLog:
    """Writes a line for each request.

    Parameters
    ----------
    path
        File that JSON lines are appended to. It is opened for each, so that a program that rotates logs may move it
        away at any time. None: records of the logger ``napari_unetseg.server.audit``, in its form.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._failed = False

    def write(self, figures: dict[str, Any]) -> None:
        """Write a line; that it cannot be written is told once, and is no reason to refuse a request."""
        if self._path is None:
            _log.info("request", extra={LOG_FIELDS: figures})
            return
        line = json.dumps(figures) + "\n"
        try:
            self._append(self._path, line.encode())
        except OSError as error:
            if not self._failed:
                _log.error("%s: the audit log cannot be written (%s)", self._path, error.strerror or error)
            self._failed = True
        else:
            self._failed = False

    @staticmethod
    def _append(path: Path, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        file = os.open(path, flags, 0o640)
        try:
            os.write(file, line)  # at once, so that lines of several processes do not mix
        finally:
            os.close(file)


class RequestRecords:
    """The outermost layer (pure ASGI): measures each request, whatever becomes of it, and writes it down.

    Parameters
    ----------
    app
        What answers; it puts ``request_id`` into the state of the request.
    audit
        Where lines go.
    metrics
        What counts.
    """

    def __init__(self, app: ASGIApp, audit: AuditLog, metrics: Metrics) -> None:
        self._app = app
        self._audit = audit
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and write it down."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = RequestFacts(self._metrics)
        scope.setdefault("state", {})["facts"] = facts
        status, bytes_in, bytes_out = CLIENT_GONE, 0, 0
        began, clock = datetime.now(UTC), time.perf_counter()

        async def counted_receive() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, bytes_out
            if message["type"] == "http.response.start":
                status = message["status"]
            bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            seconds = time.perf_counter() - clock
            code = scope["state"].get("error_code")
            template = getattr(scope.get("route"), "path", None)
            self._metrics.request_done(scope["method"], template, status, seconds, code)
            figures = {
                "time": began.isoformat(timespec="milliseconds"),
                "request_id": scope["state"].get("request_id"),
                "key": facts.key_name,
                "address": client_address(scope),
                "method": scope["method"],
                "path": _path(scope),
                "status": status,
                "error": code,
                "ms": round(1000 * seconds, 1),
                "bytes_in": bytes_in,
                "bytes_out": bytes_out,
                "images": facts.sizes or None,
                "model": ", ".join(dict.fromkeys(facts.models)) or None,
            }
            if template not in PROBES or status != 200:  # which come every few seconds
                self._audit.write({name: value for name, value in figures.items() if value is not None})


def client_address(scope: Scope) -> str:
    """Return where a request comes from; a proxy may have said it, so it can be any text."""
    client = scope.get("client")
    return str(client[0])[:_LONGEST_ADDRESS] if client else "unknown"


def _path(scope: Scope) -> str:
    """Return the path as it was sent, percent signs and all: nothing in it can break a line."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")[:_LONGEST_PATH]
