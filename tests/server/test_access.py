import json
import logging

import pytest
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from napari_unetseg.server.keys import add_key, revoke_key

HEALTH = "/api/unet/health"
ELSEWHERE = {"host": "0.0.0.0"}


@pytest.fixture
def keys(tmp_path):
    """The settings of a server that other machines reach, and the file of its keys."""
    return {**ELSEWHERE, "keys_file": tmp_path / "keys.json"}


def refusal(answer):
    """Status and code of an error, whose shape is checked."""
    body = answer.json()
    assert body["success"] is False
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert set(body["error"]) == {"code", "message", "field", "details"}
    return answer.status_code, body["error"]["code"]


def test_at_another_address_nobody_gets_in_without_a_key(client_of, keys):
    client = client_of(**keys)
    for path in (HEALTH, "/metrics", "/api/unet/jobs/1", "/nothing", "/livez/", "/docs/x", "/livezz"):
        answer = client.get(path, follow_redirects=False)
        assert refusal(answer) == (401, "key_missing")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert refusal(client.post("/api/unet/json", json={})) == (401, "key_missing")


@pytest.mark.parametrize("form", ["Authorization: Bearer {}", "authorization: bearer {}", "X-API-Key: {}"])
def test_a_key_lets_in_until_it_is_revoked(client_of, keys, form):
    client = client_of(**keys)
    key = add_key(keys["keys_file"], "Ada")
    name, _, value = form.format(key).partition(": ")
    assert client.get(HEALTH, headers={name: value}).status_code == 200
    revoke_key(keys["keys_file"], "Ada")
    answer = client.get(HEALTH, headers={name: value})
    assert refusal(answer) == (401, "key_refused")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert key not in answer.text


def test_what_is_no_key_lets_nobody_in(client_of, keys):
    key = add_key(keys["keys_file"], "Ada")
    client = client_of(**keys)
    for value in (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {key}",
        key,
        f"Bearer {key}x",
        f"Bearer {key} {key}",
        b"Bearer \xff",
    ):
        assert refusal(client.get(HEALTH, headers={"Authorization": value}))[0] == 401
    assert refusal(client.get(HEALTH, params={"key": key, "api_key": key}))[0] == 401
    # Another scheme may be a proxy's.
    assert client.get(HEALTH, headers={"Authorization": "Basic abc", "X-API-Key": key}).status_code == 200


def test_a_damaged_file_of_keys_opens_to_nobody(client_of, keys, caplog):
    key = add_key(keys["keys_file"], "Ada")
    client = client_of(**keys)
    assert client.get(HEALTH, headers={"X-API-Key": key}).status_code == 200
    keys["keys_file"].write_text("{}")
    assert refusal(client.get(HEALTH, headers={"X-API-Key": key})) == (401, "key_refused")
    assert refusal(client.get(HEALTH)) == (401, "key_missing")
    assert str(keys["keys_file"]) in caplog.text


def test_probes_and_pages_that_tell_nothing_need_no_key(client_of, keys):
    client = client_of(**keys)
    for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


def test_keys_are_waived_where_that_is_said_aloud(client_of):
    assert client_of(**ELSEWHERE, require_keys=False).get(HEALTH).status_code == 200


def test_on_this_machine_no_key_is_asked_for(client_of):
    assert client_of().get(HEALTH).status_code == 200
    assert client_of().get(HEALTH, headers={"X-API-Key": "anything"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8001", "127.0.0.1", "127.0.0.1:9000", "[::1]:8001", "[::1]", "LocalHost:80"]
)
def test_this_machine_is_called_by_its_names(client_of, host):
    assert client_of().get(HEALTH, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.org",
        "evil.org:8001",
        "127.0.0.1.evil.org",
        "localhost.evil.org:8001",
        "192.168.1.7:8001",
        "",
        ":8001",
        "@",
    ],
)
@pytest.mark.parametrize("path", [HEALTH, "/docs", "/livez"])
def test_a_name_that_was_made_to_point_here_is_refused(client_of, host, path):
    assert refusal(client_of().get(path, headers={"Host": host})) == (403, "foreign_host")


@pytest.mark.parametrize(
    "origin", ["http://evil.org", "null", "http://127.0.0.1:3000", "http://localhost:8001", "file://"]
)
@pytest.mark.parametrize("server", [{}, {**ELSEWHERE, "require_keys": False}])
def test_pages_of_other_sites_may_not_use_a_server_without_keys(client_of, origin, server):
    client = client_of(**server)
    for method, path in (("GET", HEALTH), ("POST", "/api/unet/json"), ("OPTIONS", "/api/unet/json")):
        answer = client.request(method, path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert refusal(answer) == (403, "foreign_origin")
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_its_own_pages_may_use_it(client_of):
    answer = client_of().post("/api/unet/json", json={}, headers={"Origin": "http://127.0.0.1:8001"})
    assert answer.status_code == 200


def test_pictures_of_other_sites_do_not_come_from_here_but_links_lead_here(client_of):
    client = client_of()
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert refusal(client.get(HEALTH, headers=image)) == (403, "foreign_origin")
    assert refusal(client.get(HEALTH, headers={**image, "Sec-Fetch-Site": "same-site"})) == (403, "foreign_origin")
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/docs", headers=link).status_code == 200
    assert refusal(client.post("/api/unet/json", json={}, headers=link)) == (403, "foreign_origin")
    for site in ("none", "same-origin"):
        assert client.get(HEALTH, headers={**link, "Sec-Fetch-Site": site}).status_code == 200


def test_a_key_is_enough_under_any_name(client_of, keys):
    key = add_key(keys["keys_file"], "Ada")
    headers = {"X-API-Key": key, "Host": "unet.lab.org", "Origin": "https://notebook.lab.org"}
    assert client_of(**keys).get(HEALTH, headers=headers).status_code == 200


def test_the_name_that_it_listens_at_is_its_own(client_of):
    assert client_of(host="127.0.0.2").get(HEALTH, headers={"Host": "127.0.0.2:8001"}).status_code == 200


def test_too_many_requests_of_an_address_are_told_when_to_come_again(client_of):
    client = client_of(rate_per_minute=2)
    assert [client.get(HEALTH).status_code for _ in range(2)] == [200, 200]
    answer = client.get(HEALTH)
    assert refusal(answer) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert {client.get(path).status_code for path in ("/livez", "/readyz", "/docs")} == {200}


def test_each_key_has_a_rate_of_its_own(client_of, keys):
    client = client_of(**keys, rate_per_minute=1)
    ada, bob = ({"X-API-Key": add_key(keys["keys_file"], name)} for name in ("Ada", "Bob"))
    assert client.get(HEALTH, headers=ada).status_code == 200
    assert client.get(HEALTH, headers=ada).status_code == 429
    assert client.get(HEALTH, headers=bob).status_code == 200
    # Who has no key cannot use up anybody's.
    assert {client.get(HEALTH).status_code for _ in range(3)} == {401}


def test_ids_are_on_every_answer(client_of, keys):
    client = client_of(**keys)
    assert client.get(HEALTH, headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"
    for bad in ("a b", 129 * "a", "ä", ""):
        made = client.get(HEALTH, headers={"X-Request-ID": bad.encode()}).headers["X-Request-ID"]
        assert made not in (bad, "")
    open_to_all = client_of()
    assert open_to_all.get("/api/unet/defect", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"


def test_a_defect_shows_nothing_of_itself(client_of, caplog):
    answer = client_of().get("/api/unet/defect")
    assert refusal(answer) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_what_is_written_down_names_the_key_and_not_what_it_is(client_of, keys, tmp_path):
    key = add_key(keys["keys_file"], "Ada")
    client = client_of(**keys, audit_log=tmp_path / "audit.jsonl")
    client.get(HEALTH, headers={"X-API-Key": key, "X-Request-ID": "one"})
    client.get(HEALTH, headers={"X-API-Key": "unetseg_wrong", "X-Request-ID": "two"})
    text = (tmp_path / "audit.jsonl").read_text()
    assert key not in text
    assert "unetseg_wrong" not in text
    first, second = map(json.loads, text.splitlines())
    assert (first["key"], first["status"], first["request_id"]) == ("Ada", 200, "one")
    assert (second["status"], second["error"], second["request_id"]) == (401, "key_refused", "two")
    assert "key" not in second


def test_a_missing_file_of_keys_is_told_once(client_of, keys, caplog):
    client = client_of(**keys)
    with caplog.at_level(logging.WARNING, "napari_unetseg.server.keys"):
        for _ in range(3):
            client.get(HEALTH, headers={"X-API-Key": "x"})
    told = [record for record in caplog.records if record.name == "napari_unetseg.server.keys"]
    assert len(told) == 1
    assert "keys add" in told[0].getMessage()


def test_pages_that_are_open_open_nothing_beside_them(client_of, make_app, keys, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.js").write_text("1")
    app = make_app(**keys)
    app.mount("/static-offline-docs", StaticFiles(directory=tmp_path / "static"))
    client = client_of(app)
    assert client.get("/static-offline-docs/a.js").text == "1"
    for path in (
        "../api/unet/health",
        "..%2fapi/unet/health",
        "../../keys.json",
        "%2e%2e/keys.json",
        "/api/unet/health",
    ):
        answer = client.get(f"/static-offline-docs/{path}")
        assert answer.status_code in (401, 404)
        assert "healthy" not in answer.text


def test_an_address_that_a_proxy_made_up_is_kept_short(make_app, tmp_path):
    app = make_app(audit_log=tmp_path / "audit.jsonl")
    client = TestClient(app, base_url="http://127.0.0.1", client=(70_000 * "a", 1))
    assert client.get(HEALTH).status_code == 200
    assert len(json.loads((tmp_path / "audit.jsonl").read_text())["address"]) == 64


def test_addresses_of_one_network_of_ipv6_count_together(make_app):
    app = make_app(rate_per_minute=1)
    statuses = [
        TestClient(app, base_url="http://127.0.0.1", client=(address, 1)).get(HEALTH).status_code
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "10.0.0.1", "10.0.0.2", "fe80::1%eth0")
    ]
    assert statuses == [200, 429, 200, 200, 200, 200]
