import asyncio
import io
import json
import logging
import socket
import struct
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
import tifffile

from napari_unetseg.server.audit import AuditLog, RequestRecords
from napari_unetseg.server.metrics import Metrics

HEALTH = "/api/unet/health"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_a_line_tells_who_asked_for_what_and_how_it_went(client_of, path):
    client = client_of(audit_log=path)
    answer = client.post("/api/unet/raw", content=b"pixels of somebody", headers={"X-Request-ID": "mine"})
    (line,) = lines(path)
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "request_id": "mine",
        "address": "testclient",
        "method": "POST",
        "path": "/api/unet/raw",
        "status": 200,
        "bytes_in": 18,
        "bytes_out": len(answer.content),
    }
    assert "pixels" not in path.read_text()


def test_images_and_models_are_told_where_they_are_known(client_of, path):
    client_of(audit_log=path).get("/api/unet/jobs/7")
    (line,) = lines(path)
    assert (line["images"], line["model"]) == (["512x640"], "nuclei")


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        ("/api/unet/defect", 500, "internal_error"),
        ("/nothing", 404, "not_found"),
        ("/api/unet/raw", 405, "method_not_allowed"),
    ],
)
def test_what_failed_has_its_status_and_code(client_of, path, asked, status, error):
    client_of(audit_log=path).get(asked)
    (line,) = lines(path)
    assert (line["status"], line["error"]) == (status, error)


def test_a_probe_leaves_a_line_only_where_something_is_wrong(client_of, path):
    client = client_of(audit_log=path)
    assert client.get("/livez").status_code == 200
    assert not path.exists()
    assert client.get("/livez", headers={"Host": "elsewhere.example"}).status_code == 403
    assert [line["status"] for line in lines(path)] == [403]


def test_a_path_cannot_break_or_fake_a_line(client_of, path):
    client = client_of(audit_log=path)
    client.get('/a%0A{"status":200}%1B[31m%22é?key=secret')
    client.get("/" + 5000 * "x")
    first, second = lines(path)
    assert first["path"].isascii()
    assert first["path"].isprintable()
    assert "secret" not in path.read_text()
    assert len(second["path"]) == 300


def test_a_log_that_is_rotated_away_goes_on_in_a_new_file(client_of, path):
    client = client_of(audit_log=path)
    client.get(HEALTH)
    path.rename(path.with_suffix(".1"))
    client.get(HEALTH)
    assert len(lines(path.with_suffix(".1"))) == len(lines(path)) == 1


def test_lines_are_added_to_those_there_are(client_of, path):
    path.write_text('{"old": 1}\n')
    client_of(audit_log=path).get(HEALTH)
    assert lines(path)[0] == {"old": 1}
    assert len(lines(path)) == 2


def test_that_it_cannot_be_written_is_told_once_and_refuses_nobody(client_of, path, caplog):
    path.mkdir()
    client = client_of(audit_log=path)
    assert {client.get(HEALTH).status_code for _ in range(3)} == {200}
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert str(path) in record.getMessage()
    path.rmdir()
    client.get(HEALTH)
    assert len(lines(path)) == 1
    path.unlink()
    path.mkdir()
    client.get(HEALTH)
    assert caplog.text.count("cannot be written") == 2


def test_without_a_file_the_log_has_the_figures(client_of, caplog):
    with caplog.at_level(logging.INFO, "napari_unetseg.server.audit"):
        client_of().get("/api/unet/jobs/7", headers={"X-Request-ID": "mine"})
    (record,) = [one for one in caplog.records if one.name == "napari_unetseg.server.audit"]
    assert record.figures["request_id"] == "mine"
    assert record.figures["images"] == ["512x640"]


def test_a_request_whose_client_left_before_an_answer_is_written_down(path):
    async def cut(scope, receive, send):
        scope["state"]["request_id"] = "mine"
        await receive()
        raise asyncio.CancelledError

    async def receive():
        return {"type": "http.request", "body": b"pixels", "more_body": True}

    async def ask():
        scope = {"type": "http", "method": "POST", "path": "/ä\nb", "headers": [], "client": None}
        await RequestRecords(cut, AuditLog(path), Metrics())(scope, receive, None)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())
    (line,) = lines(path)
    assert (line["request_id"], line["status"], line["bytes_in"], line["bytes_out"]) == ("mine", 499, 6, 0)


def test_lines_of_several_writers_do_not_mix(path):
    from concurrent.futures import ThreadPoolExecutor

    logs = [AuditLog(path) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: logs[number % 4].write({"number": number, "text": 3000 * "x"}), range(200)))
    assert sorted(line["number"] for line in lines(path)) == list(range(200))


def test_odd_files_and_requests_leave_no_lines_of_libraries_in_the_log(start_server):
    server = start_server()
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((64, 64), np.uint8))
    odd = bytearray(file.getvalue())
    # Behind the tags of its one directory stands where the next one is: beyond the end of the file.
    (start,) = struct.unpack_from("<I", odd, 4)
    (tags,) = struct.unpack_from("<H", odd, start)
    struct.pack_into("<I", odd, start + 2 + 12 * tags, 2**31)
    answer = requests.post(
        f"{server.url}/api/unet/segment", data=bytes(odd), headers={"Content-Type": "image/tiff"}, timeout=60
    )
    assert answer.ok, answer.text
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert requests.get(f"{server.url}/livez", headers=upgrade, timeout=60).ok
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"nothing of the kind\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    lines = server.log.read_text().splitlines()
    assert [line for line in lines if not line.startswith(("time=", "Listening"))] == []
