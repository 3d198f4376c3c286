"""/openapi.json says all that the server does, and /docs needs no other host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from napari_unetseg.api import models
from napari_unetseg.server import openapi_examples as examples
from napari_unetseg.server.service_routes import PublishedModelsResponse


@pytest.fixture(scope="module")
def document(server):
    return requests.get(f"{server.url}/openapi.json", timeout=60).json()


def operations(document):
    return {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_of_the_guide_is_there(document):
    guide = {("segment", "post"), ("segment-batch", "post"), ("health", "get"), ("model-info", "get")}
    guide |= {("initialize", "post"), ("models", "get")}
    assert {(f"/api/unet/{name}", method) for name, method in guide} <= set(operations(document))


def test_every_group_of_routes_has_some(document):
    grouped = {tag for operation in operations(document).values() for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == grouped


def test_every_reference_leads_somewhere(document):
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])
    assert "SegmentationRequest" in named


def test_every_route_is_explained_and_every_error_has_the_one_shape(document):
    for operation in operations(document).values():
        assert operation["tags"]
        assert operation["description"] or operation["summary"]
        failing = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert "403" in failing
        for answer in failing.values():
            assert answer["description"]
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}


def test_requests_have_examples_that_are_answered(document, server):
    for (path, method), operation in operations(document).items():
        for example in (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {}).values()
        ):
            answer = requests.request(method, server.url + path, json=example["value"], timeout=60)
            assert answer.status_code in (200, 202), answer.text


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (models.SegmentationResponse, examples.SEGMENTATION),
        (models.BatchResponse, examples.BATCH),
        (models.HealthResponse, examples.HEALTH),
        (models.ModelInfoResponse, examples.MODEL_INFO),
        (models.ModelsResponse, examples.MODELS),
        (models.InitializeResponse, examples.INITIALIZED),
        (PublishedModelsResponse, examples.PUBLISHED),
        (models.JobResponse, examples.JOB),
        (models.JobResponse, examples.RUNNING_JOB),
        (models.JobResponse, examples.CANCELLED_JOB),
        (models.JobsResponse, examples.JOBS),
    ],
)
def test_examples_of_answers_are_such_answers(model, example):
    assert model.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_and_what_they_load_come_from_this_server(server, page):
    text = requests.get(f"{server.url}/{page}", timeout=60).text
    loaded = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", text)
    assert loaded
    for address in loaded:
        assert address.startswith("/"), address
        assert requests.get(server.url + address, timeout=60).status_code == 200
    assert not re.findall(r"https?://(?!127\.0\.0\.1)", text)


def test_where_keys_are_needed_the_pages_ask_for_one(tmp_path, bright_model):
    from napari_unetseg.config.loading import load_settings
    from napari_unetseg.server.app import create_app

    settings = load_settings().settings
    settings = settings.model_copy(
        update={
            "server": settings.server.model_copy(update={"host": "0.0.0.0", "keys_file": tmp_path / "keys.json"}),
            "unet": settings.unet.model_copy(
                update={"model": settings.unet.model.model_copy(update={"name": str(bright_model)})}
            ),
        }
    )
    document = create_app(settings).openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    assert document["paths"]["/api/unet/segment"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in document["paths"]["/livez"]["get"]


def run_schemathesis(url: str, folder: Path, *words: str) -> None:
    """Send what the document allows and what it forbids; every answer must be one that it names."""
    program = [str(Path(sys.executable).with_name("st")), "run", f"{url}/openapi.json", "--no-color"]
    program += ["--generation-deterministic", "--warnings", "off"]
    run = subprocess.run(
        [*program, "--continue-on-failure", *words], cwd=folder, capture_output=True, text=True, timeout=1800
    )
    assert run.returncode == 0, run.stdout[-8000:]


CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CHECKS += ",negative_data_rejection,unsupported_method,allow_header_conformance"


def test_every_answer_is_one_that_the_document_names(start_server, tmp_path):
    """But for jobs, whose bodies are those of /segment: they would take as long again."""
    words = ("--exclude-path-regex", "jobs", "--phases", "examples,coverage", "--checks", CHECKS)
    run_schemathesis(start_server().url, tmp_path, *words)


@pytest.mark.nightly
def test_every_answer_to_many_requests_is_one_that_the_document_names(start_server, tmp_path):
    """But for /predict, whose body schemathesis cannot write."""
    words = (
        "--exclude-path",
        "/api/unet/predict",
        "--max-examples",
        "200",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--checks",
        CHECKS,
    )
    run_schemathesis(start_server().url, tmp_path, *words)
