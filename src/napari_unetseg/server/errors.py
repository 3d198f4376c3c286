"""What goes wrong as answers: a status, a code for programs, a sentence for people; never a path or a trace."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from napari_unetseg.api.models import ErrorDetail, ErrorResponse, FieldFault
from napari_unetseg.errors import (
    Cancelled,
    DeviceError,
    ImageError,
    MissingPackage,
    ModelError,
    NotCalibrated,
    OutOfMemory,
    ParameterError,
    UnetsegError,
    is_out_of_memory,
)
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.model_cache import ServiceClosed

RETRY_AFTER_S = 2
"""Seconds after which to come again where nothing better is known."""

_log = logging.getLogger(__name__)

_MOST_FAULTS = 20
_RETRY = {"Retry-After": str(RETRY_AFTER_S)}


class ApiError(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status
        Of HTTP.
    code
        A word for programs.
    message
        A sentence for people.
    field
        The field of the request that is wrong.
    headers
        Of the answer.
    details
        All fields that are wrong.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Sequence[FieldFault] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = dict(headers or {})
        self.details = list(details)

    @property
    def detail(self) -> ErrorDetail:
        """The error as an answer has it."""
        return ErrorDetail(code=self.code, message=self.message, field=self.field, details=self.details)


INTERNAL_ERROR = ApiError(
    500, "internal_error", "The server failed at this request; its log has the reason under the request's id."
)

STOPPING = ApiError(503, "stopping", "The server is stopping. Come again once it is back.", headers=_RETRY)


def busy(message: str) -> ApiError:
    """Say that the server has enough to do: 503 with `Retry-After`."""
    return ApiError(503, "queue_full", message, headers=_RETRY)


def invalid_request(error: ValidationError | RequestValidationError) -> ApiError:
    """Say which fields of a request are wrong, and why, without repeating what was sent."""
    faults = [_fault(fault) for fault in error.errors()]
    if any(kind == "json_invalid" for kind, _ in faults):
        return ApiError(400, "invalid_json", "The body of the request is no JSON.")
    details = [fault for _, fault in faults[:_MOST_FAULTS]]
    first = details[0]
    message = f"{first.field}: {first.message}" if first.field else first.message
    return ApiError(422, "invalid_request", message, first.field or None, details=details)


def _fault(fault: Mapping[str, object]) -> tuple[str, FieldFault]:
    kind, place = str(fault["type"]), fault["loc"]
    parts = [str(part) for part in place] if isinstance(place, tuple) else []
    if parts and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    message = "there is no such field" if kind == "extra_forbidden" else str(fault["msg"])
    message = message.removeprefix("Value error, ")
    return kind, FieldFault(field=_short(".".join(parts)), message=message)


def _short(name: str) -> str:
    """Return the name of a field; a client may have sent megabytes for one."""
    return name if len(name) <= 100 else f"{name[:100]}..."


def api_error(error: Exception) -> ApiError:
    """Return what any error means to the client; what it must not see is logged and left out."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return invalid_request(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, MissingPackage):
        return ApiError(415, "format_not_installed", str(error), "image_data")
    if isinstance(error, ImageError):
        return ApiError(422, "image_unreadable", str(error), "image_data")
    if isinstance(error, ParameterError):
        field = str(error).partition(" = ")[0]
        return ApiError(422, "invalid_parameter", str(error), field if field in SegmentOptions.model_fields else None)
    if isinstance(error, Cancelled):
        return ApiError(499, "cancelled", "The client went away.")
    if isinstance(error, ServiceClosed):
        return STOPPING
    if isinstance(error, OutOfMemory) or is_out_of_memory(error):
        _log.error("out of memory: %s", error)
        message = "The server has not enough memory for this image right now. Send a smaller one, or come again."
        return ApiError(503, "out_of_memory", message, headers=_RETRY)
    if isinstance(error, ModelError | NotCalibrated | DeviceError):
        _log.error("%s", error)  # the message may name files
        kind = "device" if isinstance(error, DeviceError) else "model"
        message = f"The server's {kind} cannot be used; its log has the reason under the request's id."
        return ApiError(503, f"{kind}_unusable", message, headers=_RETRY)
    if isinstance(error, UnetsegError):
        _log.error("%s", error)
    else:
        _log.error("a request failed", exc_info=error)
    return INTERNAL_ERROR


def _of_http(error: HTTPException) -> ApiError:
    codes = {
        400: ("invalid_request", "The body of the request cannot be read."),
        404: ("not_found", "There is nothing at this address; /docs lists what there is."),
        405: ("method_not_allowed", "This address does not take that method."),
        413: ("request_too_large", error.detail),
    }
    code, message = codes.get(error.status_code, ("http_error", HTTPStatus(error.status_code).phrase))
    return ApiError(error.status_code, code, message, headers=error.headers)


def error_response(error: ApiError, request_id: str) -> Response:
    """Return an error as the answer to a request."""
    body = ErrorResponse(error=error.detail, request_id=request_id)
    return JSONResponse(body.model_dump(mode="json"), error.status, error.headers)


def add_error_handlers(app: FastAPI) -> None:
    """Let an app answer every error that is foreseen in one shape; `RequestIds` answers the others."""
    for kind in (ApiError, UnetsegError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    found = api_error(error)
    if found.status == 405:
        found.headers["Allow"] = _allowed(request)
    request.state.error_code = found.code
    return error_response(found, request.state.request_id)


def _allowed(request: Request) -> str:
    """Return all methods that an address takes; Starlette names those of its first route alone."""
    operations = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", None), {})
    return ", ".join(sorted(method.upper() for method in operations)) or "GET"
