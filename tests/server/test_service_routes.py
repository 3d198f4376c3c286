"""What the server says about itself and its models."""

import hashlib

import pytest
import requests


@pytest.fixture
def ask(server):
    """Send a request below /api/unet, and return the answer."""

    def send(method, path, **words):
        return requests.request(method, f"{server.url}/api/unet/{path}", timeout=60, **words)

    return send


def test_models_begin_with_the_server_s_own(ask, bright_model):
    listed = ask("GET", "models").json()["models"]
    assert [listed[0]["name"], listed[0]["is_default"]] == ["bright", True]
    assert (
        listed[0]["weights_sha256"] == hashlib.sha256((bright_model / "weights.safetensors").read_bytes()).hexdigest()
    )
    assert {"nuclei", "cells"} <= {model["name"] for model in listed[1:]}
    assert not any(model["is_default"] for model in listed[1:])


def test_another_model_is_told_of_and_nothing_is_loaded_for_it(start_server):
    server = start_server()  # on which nobody has tried others
    answer = requests.get(f"{server.url}/api/unet/model-info", params={"model": "nails"}, timeout=60).json()
    assert answer["model_name"] == "nails"
    assert answer["details"]["loaded"] is False


@pytest.mark.parametrize("name", ["nothing", "/etc/passwd", "../bright", "http://example.org/m"])
def test_only_names_of_models_are_known(ask, name):
    answer = ask("GET", "model-info", params={"model": name})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_unknown")


def test_no_answer_has_a_path(ask, bright_model, repository):
    for path in ("health", "models", "model-info"):
        text = ask("GET", path).text
        assert str(bright_model.parent) not in text
        assert str(repository) not in text


def test_initialize_without_a_body_means_its_defaults(ask):
    answer = ask("POST", "initialize")
    assert (answer.status_code, answer.json()["service_ready"]) == (200, True)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [('{"force": true}', 422, "force"), ('{"warm_up": 1}', 422, "warm_up"), ("{", 400, None), ("7", 422, None)],
)
def test_a_wrong_request_to_initialize_is_refused(ask, body, status, field):
    answer = ask("POST", "initialize", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_a_reload_takes_the_weights_from_disk(ask):
    answer = ask("POST", "initialize", json={"force_reload": True, "warm_up": True})
    assert answer.json()["message"] == "Bright objects is ready on cpu."


def test_the_published_networks_are_listed(server):
    listed = requests.get(f"{server.url}/api/v1/models", timeout=60).json()["models"]
    by_name = {model["name"]: model for model in listed}
    assert {"unet_spherohq", "hrnet", "cbam_resunet"} <= set(by_name)
    assert by_name["unet_spherohq"] | {"description": ""} == {
        "name": "unet_spherohq",
        "display_name": "UNet (SpheroHQ Best)",
        "description": "",
        "parameters": 45_197_505,
        "image_size": [1024, 1024],
        "usable": False,
    }


def test_there_is_a_debug_route_only_where_that_is_set(ask, start_server):
    assert ask("GET", "debug").status_code == 404
    server = start_server(UNET_DEVELOPMENT_ENABLE_DEBUG_ENDPOINTS="true", UNET_CLIENT_KEY="secret")
    answer = requests.get(f"{server.url}/api/unet/debug", timeout=60)
    assert "MainThread" in answer.json()["threads"]
    assert "secret" not in answer.text
