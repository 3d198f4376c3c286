import json
import os
import subprocess

import pytest

from napari_unetseg.config import Settings
from napari_unetseg.config.keys import dotted, fields

KEYS = {dotted(key) for key, _ in fields(Settings)}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("unet:\n  model:\n    device: cpu\n  inference: {threshold: 0.25}\n", encoding="utf-8")
    return path


def test_every_key_is_printed_with_its_value_and_where_it_comes_from(call, file, monkeypatch):
    monkeypatch.setenv("UNET_INFERENCE_BATCH_SIZE", "16")
    result = call("config", "--file", file)
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()[2:]}
    assert rows.keys() == KEYS
    assert rows["unet.model.device"] == ["cpu", f"{file}, line 3"]
    assert rows["unet.inference.threshold"] == ["0.25", f"{file}, line 4"]
    assert rows["unet.inference.batch_size"] == ["16", "environment UNET_INFERENCE_BATCH_SIZE"]
    assert rows["unet.memory.enable_gpu_pools"] == ["true", "default"]


def test_the_key_for_a_server_is_not_printed(call, file, monkeypatch):
    monkeypatch.setenv("UNET_CLIENT_KEY", "unetseg_secret")
    said = [call("config", "--file", file, *words).stdout for words in ([], ["--json"])]
    assert not any("unetseg_secret" in text for text in said)
    assert all("(hidden)" in text for text in said)


def test_json_says_the_same(call, file):
    reported = json.loads(call("config", "--file", file, "--json").stdout)
    assert reported["file"] == str(file)
    assert reported["keys"].keys() == KEYS
    device = reported["keys"]["unet.model.device"]
    assert (device["value"], device["from"]) == ("cpu", f"{file}, line 3")
    assert device["variable"] == "UNET_MODEL_DEVICE"


def test_faults_stand_on_a_line_each_and_fail(call, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("unet:\n  modell:\n  inference: {batch_size: none}\n", encoding="utf-8")
    result = call("config", "--file", path)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == f"Error: {path}, line 2: there is no key unet.modell. Did you mean model?"
    assert second.startswith(f"{path}, line 3: unet.inference.batch_size = 'none'")


def test_init_writes_a_file_that_loads_and_never_overwrites_one(call, tmp_path):
    path = tmp_path / "new" / "config.yaml"
    assert call("config", "--init", "--file", path).exit_code == 0
    written = path.read_text(encoding="utf-8")
    assert json.loads(call("config", "--file", path, "--json").stdout)["file"] == str(path)
    again = call("config", "--init", "--file", path)
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    assert path.read_text(encoding="utf-8") == written


def test_in_a_process_of_its_own_the_environment_is_heeded_and_torch_is_not_loaded(command, file):
    variables = {
        "UNET_MODEL_DEVICE": "cuda",
        "UNET_MODEL_DEVISE": "cuda",
        "NAPARI_UNETSEG_CONFIG": str(file),
        "PYTHONPROFILEIMPORTTIME": "1",
    }
    line = [*command, "config", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | variables, timeout=120)
    assert done.returncode == 0
    keys = json.loads(done.stdout)["keys"]
    assert keys["unet.model.device"]["from"] == "environment UNET_MODEL_DEVICE"
    assert keys["unet.inference.threshold"]["value"] == 0.25
    assert "UNET_MODEL_DEVISE is not known" in done.stderr
    modules = {entry.rpartition("|")[2].strip() for entry in done.stderr.splitlines()}
    assert "napari_unetseg.config.loading" in modules
    assert "torch" not in modules
