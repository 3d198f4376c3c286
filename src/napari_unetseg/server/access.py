"""Who may use the server, and for how much: the layers around the endpoints, put around an app by `add_access`.

From the outside: a record of each request (`audit`), its id and answers to errors (`request_ids`), whether it may be
answered (here), and the size of its body (`request_limits`). All are pure ASGI, so that endpoints see a client leave.

Without keys the address is this machine's own, where only this machine's programs come from; but one of them is the
web browser, in which any page may call any address. Such pages are told by what browsers say of them, and by names:
a page whose name is made to point here (DNS rebinding) calls the server by that name.
"""

import logging
from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from napari_unetseg.config.settings import ServerSettings
from napari_unetseg.server.audit import AuditLog, RequestRecords, client_address
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.keys import KeyCheck, is_loopback, keys_path, keys_required
from napari_unetseg.server.rate_limit import RateLimit
from napari_unetseg.server.request_ids import RequestIds
from napari_unetseg.server.request_limits import RequestLimit

OPEN_PATHS = ("/livez", "/readyz", "/docs", "/redoc", "/openapi.json", "/static-offline-docs/")
"""What is answered without a key, and as often as asked: probes, and pages that say what every copy of this program
says. Those that end in a slash stand for all below."""

_log = logging.getLogger(__name__)


def add_access(app: FastAPI, context: ServerContext) -> None:
    """Put the layers around an app; none must be added after them."""
    server = context.settings.server
    app.add_middleware(RequestLimit, most=round(1e6 * server.max_request_mb), patience_s=server.timeout_s)
    app.add_middleware(Guard, server=server)
    app.add_middleware(RequestIds)
    app.add_middleware(RequestRecords, audit=AuditLog(server.audit_log), metrics=context.metrics)


class Guard:
    """Lets a request through if it comes from where requests may come from, with a key, and not too often.

    Parameters
    ----------
    app
        What answers.
    server
        `host`, `require_keys`, `keys_file` and `rate_per_minute` are read.

    Raises
    ------
    ApiError
        401, 403 or 429, to the layer around.
    """

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self._app = app
        self._host = server.host.strip("[]").lower()
        self._own_machine_alone = is_loopback(server.host)
        self._required = keys_required(server)
        self._keys = KeyCheck(keys_path(server)) if self._required else None
        self._rate = RateLimit(server.rate_per_minute) if server.rate_per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may be."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if self._keys is None:
                self._refuse_web_sites(scope["method"], headers)
            if not _is_open(scope):
                self._admit(scope, headers)
        await self._app(scope, receive, send)

    def _refuse_web_sites(self, method: str, headers: Headers) -> None:
        """Refuse what a page of another site, open in a browser of this machine, asks for."""
        host, origin = headers.get("host"), headers.get("origin")
        if self._own_machine_alone and host is not None and not self._is_own(host):
            raise ApiError(
                403,
                "foreign_host",
                "This server answers to its own machine alone, under the name localhost or its address. To reach it "
                "by another name, start it with --host and keys.",
            )
        # Where an address is typed or a link followed, the page that is left learns nothing.
        is_visit = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        by_another_site = headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_visit
        if by_another_site or (origin is not None and origin.partition("://")[2].lower() != (host or "").lower()):
            raise ApiError(403, "foreign_origin", "Pages of other web sites may not use this server.")

    def _is_own(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        name = (name if name and port.isdecimal() else host).strip("[]").lower()
        return is_loopback(name) or name == self._host

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Ask for the key and for a token of its rate."""
        user = f"address {_network(client_address(scope))}"
        if self._keys is not None:
            holder = self._holder(self._keys, headers)
            scope["state"]["facts"].key_name = holder
            user = f"key {holder}"
        wait = self._rate.wait(user) if self._rate else 0
        if wait:
            message = f"These are more requests than this server takes a minute. Come again in {wait} s."
            raise ApiError(429, "too_many_requests", message, headers={"Retry-After": str(wait)})

    @staticmethod
    def _holder(keys: KeyCheck, headers: Headers) -> str:
        key = _key(headers)
        if key is None:
            raise ApiError(
                401,
                "key_missing",
                "This server wants a key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'. Ask for one whoever "
                "runs it.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        holder = keys.holder(key.encode("latin-1"))
        if holder is None:
            raise ApiError(
                401,
                "key_refused",
                "This server does not know the key, or it was revoked. Ask for another one whoever runs it.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return holder


def _is_open(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return any(path == open_ or (open_.endswith("/") and path.startswith(open_)) for open_ in OPEN_PATHS)


def _key(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _network(address: str) -> str:
    """Return the address whose requests count together: of IPv6, where a machine has very many, its network."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else address
