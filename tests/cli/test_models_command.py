"""`napari-unetseg models` lists what can be used, and says why the rest cannot."""

import json

import pytest

from napari_unetseg.cli import models_command
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import BrokenPackage, WeightsNeeded, read_package


@pytest.fixture
def listed(bright_model, tmp_path, monkeypatch):
    found = [read_package(bright_model, "user"), BrokenPackage(tmp_path / "odd", "user", "odd/model.yaml: no card.")]
    found.append(WeightsNeeded(PUBLISHED["unet_spherohq"], tmp_path / "unet_spherohq"))
    monkeypatch.setattr(models_command, "list_models", lambda: found)


def test_table(listed, call):
    run = call("models")
    assert run.exit_code == 0
    titles, row = run.stdout.splitlines()[:2]
    assert titles.split() == ["name", "model", "from", "object", "size", "scores"]
    assert row.split() == ["bright", "Bright", "objects", "user", "12", "px", "none", "stated"]
    assert "Broken: odd (user): odd/model.yaml: no card." in run.stdout


def test_published_models_without_weights(listed, call, tmp_path):
    reported = call("models").stdout
    assert "Weights needed" in reported
    line = f"unet_spherohq: UNet (SpheroHQ Best), 45.20 M (31.04 M live) parameters; {tmp_path / 'unet_spherohq'}"
    assert line in reported


def test_json(listed, call, bright_model):
    usable, broken, needing = json.loads(call("models", "--json").stdout)
    assert (usable["name"], usable["usable"], usable["path"]) == ("bright", True, str(bright_model))
    assert usable["card"]["object_size"] == 12
    assert (broken["name"], broken["usable"], broken["reason"]) == ("odd", False, "odd/model.yaml: no card.")
    assert (needing["name"], needing["usable"]) == ("unet_spherohq", False)
    assert (needing["parameters"], needing["live_parameters"]) == (45_197_505, 31_037_633)
    assert "weights needed" in needing["reason"]
