"""What /openapi.json says beyond what FastAPI finds by itself: bodies of several kinds, errors, and examples."""

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from napari_unetseg.api.models import (
    BatchRequest,
    ErrorResponse,
    InitializeRequest,
    SegmentationRequest,
    SegmentationResponse,
    SegmentChoices,
)
from napari_unetseg.server import openapi_examples as examples
from napari_unetseg.server.bodies import FILE_FIELDS, FORM, JSON, OCTETS

TAGS = [
    {"name": "segmentation", "description": "From images to objects."},
    {"name": "jobs", "description": "Images that take longer than a request may."},
    {"name": "prediction", "description": "The network alone, for napari-unetseg as a client."},
    {"name": "service", "description": "The server, its models, and how it is doing."},
    {"name": "monitoring", "description": "For Docker, Kubernetes and Prometheus."},
]

_MEANINGS = {
    400: "The body is no JSON, or no form.",
    401: "A key is needed (header `Authorization: Bearer KEY` or `X-API-Key: KEY`), and none or a wrong one was sent.",
    403: "The request comes from the page of another web site, or calls this machine's own server by a foreign name.",
    404: "There is no such model or job.",
    406: "The answer cannot be of the wanted media type.",
    408: "The rest of the request did not come.",
    409: "The job is not in a state in which that can be done.",
    413: "The request is larger than this server takes.",
    415: "The body is of a media type that this server does not read.",
    422: "A field is wrong, and named; or the image cannot be read.",
    429: "Too many requests of this key or address; `Retry-After` says when to come again.",
    503: "Too much to do, out of time or memory, or the model cannot be used; see the code, and `Retry-After`.",
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers when it fails, for its `responses`; `describe` adds 401, 403 and 429 to all."""
    return {status: {"model": ErrorResponse, "description": _MEANINGS[status]} for status in statuses}


def answers(example: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers in JSON, by an example, and when it fails; see `problems`."""
    return {200: {"content": {JSON: {"example": example}}}, **problems(*statuses)}


def _body(content: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": content}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _choices() -> dict[str, Any]:
    """Return the schema of each choice by name."""
    return dict(SegmentChoices.model_json_schema()["properties"])


def _form_schema() -> dict[str, Any]:
    """Return the schema of a form: its file, and choices, which come as texts."""
    file = {name: {"type": "string", "format": "binary"} for name in FILE_FIELDS[:1]}
    return {
        "type": "object",
        "properties": file | _choices(),
        "required": list(file),
        "additionalProperties": False,
    }


_REQUEST = {"image_data": examples.PNG, "threshold": 0.5, "return_confidence": True}

IMAGE_BODY: dict[str, Any] = _body(
    {
        JSON: {
            "schema": _reference("SegmentationRequest"),
            "examples": {
                "published": {"summary": "As published", "value": {"image_data": examples.PNG, "threshold": 0.5}},
                "more": {"summary": "With labels", "value": _REQUEST | {"return_labels": True, "diameter": 16}},
            },
        },
        FORM: {"schema": _form_schema()},
        OCTETS: _BINARY,
        "image/*": _BINARY,
    }
) | {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": schema.get("description", "")}
        for name, schema in _choices().items()
    ]
}
"""Body and parameters of POST /segment."""

BATCH_BODY = _body(
    {
        JSON: {
            "schema": _reference("BatchRequest"),
            "examples": {
                "published": {
                    "summary": "As published",
                    "value": {"images": [{"image_data": examples.PNG}, {"image_data": examples.PNG}], "threshold": 0.5},
                }
            },
        }
    }
)
"""Body of POST /segment-batch."""

INITIALIZE_BODY = _body(
    {
        JSON: {
            "schema": _reference("InitializeRequest"),
            "examples": {"published": {"summary": "As published", "value": {"force_reload": False, "warm_up": True}}},
        }
    },
    required=False,
)
"""Body of POST /initialize."""

IMAGE_ANSWERS: dict[str, Any] = {
    "model": SegmentationResponse,
    "description": "The objects.",
    "content": {
        JSON: {"example": examples.SEGMENTATION},
        "image/tiff": _BINARY,
        "application/geo+json": {"schema": {"type": "object"}},
    },
}
"""Answers of POST /segment."""


def describe(app: FastAPI, *, needs_keys: bool, open_paths: Collection[str]) -> None:
    """Let the OpenAPI document of an app say what FastAPI does not see: bodies that routes read themselves, and keys.

    Parameters
    ----------
    app
        All of its routes are there.
    needs_keys
        Whether requests need a key.
    open_paths
        What is answered without one in any case, and as often as asked.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
            )
            models = (SegmentationRequest, BatchRequest, InitializeRequest)
            _, schemas = models_json_schema(
                [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
            )
            document["components"]["schemas"] |= schemas["$defs"]
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _add_common(operation, guarded=path not in open_paths, needs_keys=needs_keys)
            for unused in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(unused, None)
            if needs_keys:
                document["components"]["securitySchemes"] = _KEYS
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problem(status: int) -> dict[str, Any]:
    return {"description": _MEANINGS[status], "content": {JSON: {"schema": _reference("ErrorResponse")}}}


def _add_common(operation: dict[str, Any], *, guarded: bool, needs_keys: bool) -> None:
    """Add what the layers around all routes may answer."""
    statuses: tuple[int, ...] = (401, 403, 429) if guarded else (403,)
    if "requestBody" in operation:
        statuses += (408, 413)
    known = operation["responses"]
    for status in statuses:
        known.setdefault(str(status), _problem(status))
    if known.get("422", {}).get("content") == {JSON: {"schema": _reference("HTTPValidationError")}}:
        known["422"] = _problem(422)  # where FastAPI takes its own for granted
    if guarded and needs_keys:
        operation["security"] = [{name: []} for name in _KEYS]
