"""How a request for one image comes: as JSON, as a form with a file, or as the bytes of the file alone."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.requests import Request

from napari_unetseg.api.images import decode_base64
from napari_unetseg.api.models import SegmentationRequest, SegmentChoices
from napari_unetseg.server.errors import ApiError, invalid_request
from napari_unetseg.server.request_limits import LARGEST_FIELD, MOST_FIELDS, MOST_FILES

JSON = "application/json"
FORM = "multipart/form-data"
OCTETS = "application/octet-stream"
FILE_FIELDS = ("image", "file")
"""Names under which a form may hold the image."""

M = TypeVar("M", bound=BaseModel)

_NAMES = ("model", "scene")  # which may look like a number

# Commas and opening brackets of a JSON body: read, a part takes up to a hundred bytes, and what is wrong with it a
# thousand.
_MOST_PARTS = 20_000
_LOOKED_AT = 2**18


@dataclass(frozen=True)
class SentImage:
    """A request for one image.

    Attributes
    ----------
    data
        The bytes of the file.
    media_type
        What the client says they are; None where it does not.
    choices
        What is wanted of it.
    """

    data: bytes
    media_type: str | None
    choices: SegmentChoices


async def read_image_request(request: Request) -> Callable[[], SentImage]:
    """Receive a request for one image; what is returned takes it apart, which belongs into a thread.

    Choices may stand in the query too, whatever the body; there they go before those of the body.

    Raises
    ------
    ApiError
        415 if the body is of no known kind; 400 or 422 if what is returned finds a fault.
    """
    kind, query = media_type(request), dict(request.query_params)
    if kind == JSON:
        body = await read_body(request)
        return lambda: _from_json(body, query)
    if kind == FORM:
        upload, fields = await _read_form(request)
        return lambda: SentImage(*upload, choices_of_texts(fields | query))
    if kind == OCTETS or kind.startswith("image/"):
        body = await read_body(request)
        return lambda: SentImage(body, None if kind == OCTETS else kind, choices_of_texts(query))
    raise ApiError(
        415,
        "media_type_unsupported",
        f"Send {JSON} (image_data in base64), {FORM} (field image), or the file alone as {OCTETS} or image/*.",
        headers={"Accept": f"{JSON}, {FORM}, {OCTETS}, image/*"},
    )


async def read_body(request: Request) -> bytes:
    """Receive all of a body; its parts are joined in a thread, as the event loop would stand still for a large one."""
    parts = [part async for part in request.stream()]
    return await asyncio.to_thread(b"".join, parts)


async def read_json_request(request: Request, model: type[M]) -> Callable[[], M]:
    """Receive a request in JSON; what is returned takes it apart. A request without a body is one without fields.

    Raises
    ------
    ApiError
        As for `read_image_request`.
    """
    body = await read_body(request)
    if body and media_type(request) != JSON:
        raise ApiError(415, "media_type_unsupported", f"Send the request as {JSON}.", headers={"Accept": JSON})
    return lambda: checked(model, _fields_of(body) if body else {})


def media_type(request: Request) -> str:
    """Return the media type of a body without its parameters; "" where the client names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def choices_of_texts(texts: Mapping[str, str]) -> SegmentChoices:
    """Read choices that come as texts, in a query or a form: as JSON has them (``0.5``, ``true``), names as they are.

    Raises
    ------
    ApiError
        422 ``invalid_request``.
    """
    return checked(SegmentChoices, {name: text if name in _NAMES else _value(text) for name, text in texts.items()})


def checked(model: type[M], fields: Any) -> M:
    """Check the fields of a request.

    Raises
    ------
    ApiError
        422 ``invalid_request``.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(error) from error


def _from_json(body: bytes, query: Mapping[str, str]) -> SentImage:
    fields = _fields_of(body)
    if query and isinstance(fields, dict):
        fields |= choices_of_texts(query).model_dump(include=set(query))
    sent = checked(SegmentationRequest, fields)
    return SentImage(decode_base64(sent.image_data), None, sent)


def _fields_of(body: bytes) -> Any:
    _check_parts(body)
    try:
        return from_json(body)
    except ValueError as error:
        raise ApiError(400, "invalid_json", "The body of the request is no JSON.") from error


def _check_parts(body: bytes) -> None:
    """Refuse a body of far more parts than any request has; NumPy looks, as it lets other threads go meanwhile."""
    parts = 0
    for start in range(0, len(body), _LOOKED_AT):
        some = np.frombuffer(body, np.uint8, min(_LOOKED_AT, len(body) - start), start)
        parts += sum(int(np.count_nonzero(some == mark)) for mark in b",[{")
        if parts > _MOST_PARTS:
            raise ApiError(422, "invalid_request", "The body of the request has far more fields than there are.")


def _value(text: str) -> Any:
    """Return what a text means in JSON; the text itself where it means nothing there, which no field takes."""
    try:
        return from_json(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text


async def _read_form(request: Request) -> tuple[tuple[bytes, str | None], dict[str, str]]:
    """Return the file of a form with its media type, and the other fields."""
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD) as form:
        uploads = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        name = next((name for name in FILE_FIELDS if name in uploads), None)
        if name is None:
            raise ApiError(422, "invalid_request", "image: the form has no file of this name.", FILE_FIELDS[0])
        return (await uploads[name].read(), uploads[name].content_type), fields
