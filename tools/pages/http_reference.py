"""The server's API from its OpenAPI document: a page to read, and the document itself."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from napari_unetseg.config import Settings
from napari_unetseg.server.app import create_app
from pages.json_schema import kind_of
from pages.markdown import code, fenced, paragraphs, prose, table

_HEAD = """\
# HTTP API

Every address of a server, what it takes and what it answers. [The server](server.md) says how to start one, and shows
the API in use; this page is made from the server's own OpenAPI document, which it serves at `/openapi.json`
([as a file](openapi.json)), and as pages to try it on at `/docs` and `/redoc`.

The examples ask a server on this machine, as `napari-unetseg serve` starts it. One that others can reach wants a key
with every request, unless the address says otherwise: `--header "Authorization: Bearer KEY"` or
`--header "X-API-Key: KEY"`. `$JOB` is the `job_id` that sending a job answers.

"""
_LINK = "#{}"
_COMMON = ("401", "403", "408", "413", "429")
"""What the layers around all routes answer."""
# What curl needs beside the address, by the media type that is best to send.
_SENT = {
    "multipart/form-data": "--form image=@image.tif",
    "application/x-npy": "--header 'Content-Type: application/x-npy' --data-binary @image.npy --output answer.bin",
    "application/json": "--json @request.json",
}
_SERVER = "http://localhost:8001"


def http_pages() -> Iterator[tuple[str, str]]:
    """Yield name and content of the page and of the document."""
    # With an address that others can reach, so that keys are part of the document.
    document = create_app(Settings(server={"host": "0.0.0.0"})).openapi()  # noqa: S104
    yield "openapi.json", json.dumps(document, indent=1)
    yield "http-api.md", _HEAD + "\n\n".join(_page(document)) + "\n"


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    schemas = document["components"]["schemas"]
    common: dict[str, Any] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            common |= {status: answer for status, answer in operation["responses"].items() if status in _COMMON}
    yield "Any address may answer these, 408 and 413 where something is sent:"
    yield table(("status", "answer", "meaning"), _answers(common, schemas), "r")
    for tag in document["tags"]:
        yield f"## {tag['name'].capitalize()}\n\n{prose(tag['description'])}"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield from _route(method.upper(), path, operation, schemas, common)
    yield "## Bodies\n\nWhat is sent and answered as JSON."
    for name, schema in schemas.items():
        yield f"### {name}"
        yield paragraphs(schema.get("description", ""))
        if schema.get("properties"):
            yield _fields(schema, schemas)


def _route(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], common: Mapping[str, Any]
) -> Iterator[str]:
    yield f"### {method} {path}"
    yield paragraphs(operation.get("description", ""))
    if not operation.get("security"):
        yield "It takes no key."
    bodies = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" not in bodies:
        for example in bodies.get("application/json", {}).get("examples", {}).values():
            yield f"With this as `request.json`:\n\n{fenced(json.dumps(example['value'], indent=1), 'json')}"
    yield fenced(_curl(method, path, bodies), "sh")
    choices = schemas["SegmentationRequest"]["properties"]
    asked = operation.get("parameters", [])
    if asked and all(each["name"] in choices for each in asked):
        described = f"[SegmentationRequest]({_LINK.format('segmentationrequest')})"
        yield f"What {described} has beside the image may stand in the address, too."
    elif asked:
        rows = [
            (
                code(each["name"]),
                kind_of(each["schema"], schemas, _LINK),
                _default(each["schema"]),
                prose(each.get("description", "")),
            )
            for each in asked
        ]
        yield table(("in the address", "type", "default", "meaning"), rows)
    if bodies:
        yield "Takes:\n\n" + "\n".join(_media(bodies, schemas))
    own = {status: answer for status, answer in operation["responses"].items() if answer != common.get(status)}
    yield table(("status", "answer", "meaning"), _answers(own, schemas), "r")


def _curl(method: str, path: str, bodies: Mapping[str, Any]) -> str:
    words = ["curl --fail-with-body --silent"]
    sent = next((said for kind, said in _SENT.items() if kind in bodies), "")
    if method != ("POST" if sent else "GET"):
        words.append(f"--request {method}")
    address = re.sub(r"\{(\w+?)(?:_id)?\}", lambda found: f"${found[1].upper()}", path)
    return " ".join(filter(None, [*words, sent, f'"{_SERVER}{address}"']))


def _media(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    for kind, said in content.items():
        schema = said.get("schema", {})
        if schema.get("type") == "object":
            words = ", ".join(code(name) for name in schema["properties"])
            yield f"- {code(kind)}: a form with {words}"
        else:
            yield f"- {code(kind)}: {kind_of(schema, schemas, _LINK)}"


def _answers(responses: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for status, answer in sorted(responses.items()):
        kinds = [
            kind_of(said["schema"], schemas, _LINK) if kind == "application/json" else code(kind)
            for kind, said in answer.get("content", {}).items()
            if kind != "application/json" or "schema" in said
        ]
        yield status, " or ".join(kinds), prose(answer["description"])


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    needed = schema.get("required", [])
    rows = [
        (
            code(name),
            kind_of(field, schemas, _LINK),
            "needed" if name in needed else _default(field),
            prose(field.get("description", "")),
        )
        for name, field in schema["properties"].items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def _default(field: Mapping[str, Any]) -> str:
    return code(json.dumps(field["default"])) if field.get("default") is not None else ""
