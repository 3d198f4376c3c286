"""The server as a process, and what all of its answers have in common."""

import requests


def test_health_is_answered_by_the_process(server):
    answer = requests.get(f"{server.url}/api/unet/health", timeout=60)
    assert answer.status_code == 200
    assert answer.json()["model_info"]["model_name"] == "bright"


def test_an_id_that_a_client_sends_is_kept(server):
    answer = requests.get(f"{server.url}/nothing", headers={"X-Request-ID": "mine-1"}, timeout=60)
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert answer.json() == {
        "success": False,
        "error": {
            "code": "not_found",
            "message": "There is nothing at this address; /docs lists what there is.",
            "field": None,
            "details": [],
        },
        "request_id": "mine-1",
    }
