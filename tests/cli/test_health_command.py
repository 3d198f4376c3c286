"""`napari-unetseg health` tells people and programs whether this machine can segment."""

import json
from dataclasses import fields

from napari_unetseg.service.reports import Health, MemoryUsage, Performance


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
    assert report["model_info"] == {"model_name": "bright", "model_variant": "standard", "device": "cpu"}
    assert report.keys() == {field.name for field in fields(Health)}
    assert report["memory_usage"].keys() == {field.name for field in fields(MemoryUsage)}
    assert report["performance"].keys() == {field.name for field in fields(Performance)}


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
    assert report.keys() == {field.name for field in fields(Health)}
    assert report["service_healthy"] is False
    assert report["model_info"]["model_name"] == "nonsense"
    assert "nonsense" in report["problems"][0]


def test_the_bundled_model_meets_its_known_answer(call):
    run = call("health", "--model", "nuclei", "--device", "cpu")
    assert run.exit_code == 0
    assert "off its known answer by up to" in run.stdout


def test_the_precision_is_said_once(call, bright_model, monkeypatch):
    monkeypatch.setenv("UNET_MODEL_PRECISION", "auto")
    lines = call("health", "--model", bright_model, "--device", "cpu").stdout.splitlines()
    (runs,) = [line for line in lines if line.startswith("runs ")]
    assert ": float32: " not in runs
    assert ": bfloat16: " not in runs
