"""`napari-unetseg health` tells people and programs whether this machine can segment."""

import json


def test_healthy(call, bright_model):
    run = call("health", "--model", bright_model, "--device", "cpu")
    assert run.exit_code == 0
    assert run.stdout.splitlines()[:2] == ["Healthy", "model   bright"]
    assert "device  cpu: " in run.stdout
    assert run.stderr == ""


def test_json(call, bright_model):
    run = call("health", "--model", bright_model, "--device", "cpu", "--json")
    assert run.exit_code == 0
    report = json.loads(run.stdout)
    assert report["service_healthy"] is True
    assert report["model_info"]["device"] == "cpu"


def test_damaged_weights(call, bright_model, tmp_path):
    (tmp_path / "model.yaml").write_bytes((bright_model / "model.yaml").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    run = call("health", "--model", tmp_path)
    assert run.exit_code == 1
    assert run.stdout.startswith("Not healthy")
    assert "weights.safetensors" in run.stderr


def test_unknown_model(call):
    run = call("health", "--model", "nonsense")
    assert run.exit_code == 1
    assert "There is no model 'nonsense'" in run.stderr
    report = json.loads(call("health", "--model", "nonsense", "--json").stdout)
    assert report["service_healthy"] is False
    assert "nonsense" in report["problems"][0]
