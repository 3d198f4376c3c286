"""What answers of a server mean that are no results: each is an error in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_unetseg.api.models import ErrorDetail, ErrorResponse
from napari_unetseg.client.errors import KeyRefused, ServerBusy, ServerDied, ServerError, ServerUnreachable
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.errors import DeviceError, ImageError, ModelError, OutOfMemory, ParameterError
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

if TYPE_CHECKING:
    import httpx2

WORTH_ASKING_AGAIN = ("queue_full", "too_many_requests", "stopping")
"""Codes of a server that will have time for the same request soon."""

_MOST_CAUSES = 8


def error_of(status: int, body: bytes, location: str, server: ServerAddress) -> Exception:
    """Return the error that an answer means.

    Parameters
    ----------
    status
        Of HTTP, other than 200.
    body
        Of the answer.
    location
        What it says of where to go instead.
    server
        Who was asked.
    """
    try:
        said = ErrorResponse.model_validate_json(body)
    except ValidationError:
        return _of_something_else(status, location, server)
    return error_of_detail(said.error, server, said.request_id)


def code_of(body: bytes) -> str | None:
    """Return the code of an error that a server of ours answers; None of any other answer."""
    try:
        return ErrorResponse.model_validate_json(body).error.code
    except ValidationError:
        return None


def error_of_detail(detail: ErrorDetail, server: ServerAddress, request_id: str = "") -> Exception:
    """Return the error that a server of ours describes."""
    code, reason = detail.code, printable(detail.message)
    if (said := _said(code, server)) is not None:
        return said
    if code in _KINDS:
        return _KINDS[code](Sentence("{server}: {reason}", server=server, reason=reason))
    if code == "internal_error":
        return ServerError(
            Sentence(
                "{server}: the server failed. Its log says why, under the id {id}; tell whoever runs it.",
                server=server,
                id=request_id or "?",
            )
        )
    return ServerError(Sentence("{server}: {reason}", server=server, reason=reason))


def _said(code: str, server: ServerAddress) -> Exception | None:
    """Return the error of a code for which a desk has words of its own."""
    match code:
        case "key_missing":
            return KeyRefused(
                Sentence(
                    "{server}: the server wants a key. Ask for one whoever runs it, and enter it with the "
                    "server, or set the variable UNET_CLIENT_KEY.",
                    server=server,
                )
            )
        case "key_refused":
            return KeyRefused(
                Sentence(
                    "{server}: the server does not know the key, or it was revoked. Ask for another one "
                    "whoever runs it.",
                    server=server,
                )
            )
        case "request_too_large":
            return _too_large(server)
        case "deadline_exceeded":
            return ServerError(
                Sentence(
                    "{server}: the server took longer than it may for an image. Segment a part of it, or "
                    "have server.timeout_s raised there.",
                    server=server,
                )
            )
        case "out_of_memory":
            return OutOfMemory(
                Sentence(
                    "{server}: the server has not enough memory for this image. Segment a part of it, or try "
                    "again later.",
                    server=server,
                )
            )
        case "model_unusable":
            return ModelError(
                Sentence(
                    "{server}: the model cannot be used there; the server's log says why. Choose another model.",
                    server=server,
                )
            )
        case "device_unusable":
            return DeviceError(
                Sentence(
                    "{server}: the server's device cannot be used; its log says why. Tell whoever runs it.",
                    server=server,
                )
            )
        case "model_unknown":
            return ModelError(
                Sentence("{server}: the server does not have this model any more. Choose another one.", server=server)
            )
        case "queue_full":
            return ServerBusy(
                Sentence(
                    "{server}: the server has enough to do, and had each time it was asked again. Try again later.",
                    server=server,
                )
            )
        case "too_many_requests":
            return ServerBusy(
                Sentence(
                    "{server}: these are more requests than the server takes of one key or machine a minute. "
                    "Try again later.",
                    server=server,
                )
            )
        case "stopping":
            return ServerDied(Sentence("{server}: the server is stopping. Try again when it is back.", server=server))
        case "cancelled":
            return ServerDied(Sentence("{server}: the server ended this request. Try again.", server=server))
    return None


def _too_large(server: ServerAddress) -> ServerError:
    return ServerError(
        Sentence(
            "{server}: the image is larger than the server takes. Segment a part of it, or have "
            "server.max_request_mb raised there.",
            server=server,
        )
    )


_KINDS = {
    "image_unreadable": ImageError,
    "invalid_parameter": ParameterError,
}


def _of_something_else(status: int, location: str, server: ServerAddress) -> ServerError:
    """Say what an answer means that no server of ours gave."""
    if 300 <= status < 400 and location:
        return ServerUnreachable(
            Sentence(
                "{server}: this address points to {location}. Enter that one.",
                server=server,
                location=printable(location),
            )
        )
    if status in (401, 403, 407):
        return KeyRefused(
            Sentence(
                "{server}: something before the server wants another login ({status}). Ask whoever runs it.",
                server=server,
                status=status,
            )
        )
    if status == 413:
        return _too_large(server)
    if status in (429, 502, 503, 504):
        kind = ServerBusy if status in (429, 503) else ServerUnreachable
        return kind(
            Sentence(
                "{server}: what stands before the server says that it cannot be reached now ({status}). Try again "
                "later, or ask whoever runs it.",
                server=server,
                status=status,
            )
        )
    return ServerUnreachable(
        Sentence(
            "{server}: there is no server of napari-unetseg at this address, or one that is too old (it answers "
            "{status}). Check address and port.",
            server=server,
            status=status,
        )
    )


@contextmanager
def connection_errors(server: ServerAddress, *, has_answered: bool) -> Iterator[None]:
    """Say in words what goes wrong with a connection.

    Parameters
    ----------
    server
        Who is asked.
    has_answered
        Whether it did before, so that it is known to be a server of ours.

    Raises
    ------
    ServerError
        In place of what the HTTP library raises.
    """
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        raise _unreachable(server, error) from error
    except httpx2.TransportError as error:
        if not has_answered and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
            raise ServerUnreachable(
                Sentence(
                    "{server}: something answers there, but not as a server of napari-unetseg does. Check the port, "
                    "and whether the address begins with http:// or https://.",
                    server=server,
                )
            ) from error
        raise ServerDied(
            Sentence(
                "{server}: the server went away before its answer was complete. Run the image again once it is back.",
                server=server,
            )
            if not isinstance(error, httpx2.TimeoutException)
            else Sentence(
                "{server}: the server fell silent, or the network did. Try again when it answers.", server=server
            )
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerError(Sentence("{server}: {reason}.", server=server, reason=str(error))) from error


_FOR_ANOTHER_NAME = (62, 64)
"""What OpenSSL says of a certificate that is for another host, or for another address."""


def _unreachable(server: ServerAddress, error: "httpx2.TransportError") -> ServerUnreachable:
    import socket
    import ssl

    import httpx2

    causes = list(_causes(error))
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted is not None and untrusted.verify_code in _FOR_ANOTHER_NAME:
        return ServerUnreachable(
            Sentence(
                "{server}: the server's certificate is for another name. Write the address as the certificate has it, "
                "or have the certificate made for this one.",
                server=server,
            )
        )
    if untrusted is not None:
        return ServerUnreachable(
            Sentence(
                "{server}: the server's certificate is not trusted ({reason}). If it is the lab's own, name the file "
                "of its authority in the setting client.ca_file.",
                server=server,
                reason=untrusted.verify_message,
            )
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ServerUnreachable(
            Sentence("{server}: this address does not speak TLS. Try it with http:// instead.", server=server)
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ServerUnreachable(
            Sentence(
                "{server}: there is no machine called {host}, or no network. Check the address.",
                server=server,
                host=server.host,
            )
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return ServerUnreachable(
            Sentence(
                "{server}: the machine answers, but no server does at this port. Start it there with "
                "'napari-unetseg serve', or check the port.",
                server=server,
            )
        )
    if isinstance(error, httpx2.ProxyError):
        return ServerUnreachable(
            Sentence(
                "{server}: the proxy of this machine does not reach it ({reason}). Name its host in the variable "
                "NO_PROXY.",
                server=server,
                reason=str(error),
            )
        )
    return ServerUnreachable(
        Sentence(
            "{server}: nothing answers. Is the machine on, and does its firewall let this port through?", server=server
        )
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it came of, those of a group, too."""
    waiting = [error]
    for _ in range(_MOST_CAUSES):
        if not waiting:
            return
        found = waiting.pop(0)
        yield found
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
        cause = found.__cause__ or found.__context__
        waiting += [] if cause is None else [cause]
