from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from napari_unetseg.server.errors import add_error_handlers, busy
from napari_unetseg.server.probe_routes import probe_router


@pytest.fixture
def context():
    """A server that is ready."""
    return SimpleNamespace(
        startup=SimpleNamespace(ready=True, failure=None), workers=SimpleNamespace(check_room=lambda: None)
    )


@pytest.fixture
def client(context):
    app = FastAPI()
    add_error_handlers(app)

    @app.middleware("http")
    async def with_id(request, go_on):
        request.state.request_id = "one"
        return await go_on(request)

    app.include_router(probe_router(context))
    return TestClient(app)


def full():
    raise busy("The server has as many images as it takes.")


def test_a_server_that_is_ready_says_so(client):
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/livez").json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("part", "change", "code"),
    [
        ("startup", {"ready": False}, "starting"),
        ("startup", {"ready": False, "failure": "/secret/weights: damaged"}, "model_unusable"),
        ("workers", {"check_room": full}, "queue_full"),
    ],
)
def test_one_that_is_not_says_why_and_lives(client, context, part, change, code):
    vars(getattr(context, part)).update(change)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret" not in answer.text
    assert client.get("/livez").status_code == 200
