"""`napari-unetseg serve`: what it refuses, and what it goes by."""

import importlib.util
import shutil
import socket
import ssl
import subprocess

import pytest
import requests


def test_another_address_needs_keys_and_the_refusal_says_how_to_make_one(call):
    answer = call("serve", "--host", "0.0.0.0")
    assert answer.exit_code == 1
    assert "napari-unetseg keys add NAME" in answer.stderr
    assert "--no-keys" in answer.stderr


def test_no_keys_opens_it_with_a_loud_warning(start_server):
    server = start_server("--host", "0.0.0.0", "--no-keys")
    port = server.url.rpartition(":")[2]
    assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=60).status_code == 200
    assert "WARNING: whoever reaches 0.0.0.0 may use this server without a key" in server.log.read_text()


def test_a_key_opens_another_address(start_server, tmp_path, call, monkeypatch):
    monkeypatch.setenv("UNET_SERVER_KEYS_FILE", str(tmp_path / "keys.json"))
    key = call("keys", "add", "Ada").stdout.strip()
    server = start_server("--host", "0.0.0.0")
    url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}/api/unet/models"
    assert requests.get(url, timeout=60).json()["error"]["code"] == "key_missing"
    assert requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code == 200


@pytest.mark.parametrize(("library", "extra", "words"), [("uvicorn", "server", []), ("ray", "ray", ["--ray"])])
def test_a_missing_extra_is_named(call, monkeypatch, library, extra, words):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "napari_unetseg.cli.serve_command.find_spec", lambda name: None if name == library else found(name)
    )
    answer = call("serve", *words)
    assert answer.exit_code == 1
    assert f'{library}, which is not installed: pip install "napari-unetseg[{extra}]"' in answer.stderr


@pytest.mark.parametrize("words", [("--replicas", "2"), ("--gpus", "0.5")])
def test_replicas_without_ray_are_refused(call, words):
    answer = call("serve", *words)
    assert answer.exit_code == 2
    assert "add --ray" in answer.stderr


def test_a_port_that_is_taken_is_told(call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("serve", "--port", port)
    assert answer.exit_code == 1
    assert f"Port {port} of 127.0.0.1 cannot be had" in answer.stderr


def test_an_option_goes_before_the_setting(start_server):
    server = start_server("--host", "localhost", UNET_SERVER_PORT="99", UNET_SERVER_HOST="192.0.2.1")
    assert server.url.startswith("http://localhost:")
    assert not server.url.endswith(":99")


def test_a_name_is_heard_at_all_of_its_addresses(start_server):
    port = int(start_server("--host", "localhost").url.rpartition(":")[2])
    addresses = {address[:2] for *_, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    assert addresses
    for address in addresses:
        socket.create_connection(address, timeout=60).close()


def test_a_device_that_cannot_be_is_an_error(call):
    answer = call("serve", "--device", "abacus")
    assert answer.exit_code == 1
    assert "--device abacus" in answer.stderr


def test_a_model_that_cannot_be_loaded_ends_the_server_and_says_why(shell, bright_model, tmp_path):
    shutil.copytree(bright_model, tmp_path / "broken")
    weights = tmp_path / "broken" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    answer = shell("serve", "--port", "0", "--model", tmp_path / "broken")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("Error: ")
    assert "weights.safetensors" in answer.stderr


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key]
    subprocess.run([openssl, *words], check=True, capture_output=True)
    return certificate, key


def test_with_a_certificate_it_speaks_https(start_server, certificate):
    server = start_server("--ssl-certfile", certificate[0], "--ssl-keyfile", certificate[1])
    assert server.url.startswith("https://")
    assert requests.get(f"{server.url}/livez", verify=str(certificate[0]), timeout=60).status_code == 200


def test_a_file_that_is_no_certificate_is_told(call, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(wrong)
    answer = call("serve", "--port", "0", "--ssl-certfile", wrong, "--ssl-keyfile", wrong)
    assert answer.exit_code == 1
    assert "The certificate or its key cannot be used" in answer.stderr
